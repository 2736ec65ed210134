#include "nodes.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>

#include <memory>
#include <utility>

namespace gradcam {

namespace ag = torch::autograd;

namespace {

class StartNode : public ag::Node {
 public:
  explicit StartNode(Tensor value) : value_(std::move(value)) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    return {above.front().defined() ? above.front() * value_ : Tensor()};
  }
  std::string name() const override { return kRelevanceStart; }

 private:
  Tensor value_;
};

class RuleNode : public ag::Node {
 public:
  RuleNode(WeightedLayer layer, Rule rule) : layer_(std::move(layer)), rule_(std::move(rule)) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    if (!above.front().defined()) return {Tensor()};
    const at::NoGradGuard no_graph;
    return {rule_.formula(layer_, above.front(), rule_)};
  }
  std::string name() const override { return "RelevanceRuleBackward"; }

 private:
  WeightedLayer layer_;
  Rule rule_;
};

class PassNode : public ag::Node {
 public:
  ag::variable_list apply(ag::variable_list&& above) override {
    ag::variable_list passed(num_outputs());
    passed.front() = above.front();
    return passed;
  }
  std::string name() const override { return "RelevancePassBackward"; }
};

class BySum : public ag::FunctionPreHook {
 public:
  BySum(Tensor result, double epsilon) : result_(std::move(result)), epsilon_(epsilon) {}
  ag::variable_list operator()(const ag::variable_list& above) override {
    const at::NoGradGuard no_graph;
    auto divided = above;
    if (divided.front().defined()) divided.front() = divided.front() / stabilized(result_, epsilon_);
    return divided;
  }

 private:
  Tensor result_;
  double epsilon_;
};

class TimesSummands : public ag::FunctionPostHook {
 public:
  explicit TimesSummands(std::vector<Tensor> summands) : summands_(std::move(summands)) {}
  ag::variable_list operator()(const ag::variable_list& computed, const ag::variable_list&) override {
    const at::NoGradGuard no_graph;
    auto shares = computed;
    for (size_t i = 0; i < shares.size(); ++i)
      if (shares[i].defined()) shares[i] = shares[i] * summands_.at(i);
    return shares;
  }

 private:
  std::vector<Tensor> summands_;
};

}  // namespace

Tensor start_relevance(const Tensor& output) {
  const NodePtr node = make_node<StartNode>(output.detach().clone());
  node->set_next_edges({ag::impl::gradient_edge(output)});
  auto same = output.detach();
  ag::create_gradient_edge(same, node);
  return same;
}

NodePtr rule_node(WeightedLayer layer, Rule rule, ag::Edge below, const Tensor& output) {
  const NodePtr node = make_node<RuleNode>(std::move(layer), std::move(rule));
  node->set_next_edges({std::move(below)});
  node->add_input_metadata(output);
  return node;
}

NodePtr pass_node(const NodePtr& activation) {
  const NodePtr node = make_node<PassNode>();
  node->set_next_edges(ag::edge_list(activation->next_edges()));
  node->add_input_metadata(like_output(*activation));
  return node;
}

void share_relevance(ag::Node& sum, std::vector<Tensor> summands, const Tensor& result, double epsilon) {
  sum.add_pre_hook(std::make_unique<BySum>(result, epsilon));
  sum.add_post_hook(std::make_unique<TimesSummands>(std::move(summands)));
}

Tensor like_output(const ag::Node& node) {
  const auto& metadata = node.input_metadata(0);
  const auto shape = metadata.shape_as_dim_vector();
  std::vector<int64_t> sizes;
  for (const auto& size : shape) sizes.push_back(size.expect_int());
  return at::zeros({1}, metadata.options()).expand(sizes);
}

}  // namespace gradcam
