#pragma once
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "autograd_node.h"
#include "core/base/ivalues.h"

namespace gradcam {

// What goes on downwards from a ReLU with input x whose output has the gradient g. A hook on the node that recorded it
// changes what ReLU's own backward says; ReLU6 is taken for a ReLU, its own mask being 1[0 < x < 6].
enum class ReluRule {
  guided,     // g * 1[x > 0] * 1[g > 0]: Springenberg et al. 2015, "Striving for Simplicity", arXiv:1412.6806
  deconvnet,  // g * 1[g > 0]: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks",
              // arXiv:1311.2901
};

// A node of our own that computes the gradient of a ReLU, and follows a rule by itself.
class OwnRelu {
 public:
  explicit OwnRelu(bool of_module) : of_module_(of_module) {}
  OwnRelu(const OwnRelu&) = delete;
  OwnRelu& operator=(const OwnRelu&) = delete;
  virtual ~OwnRelu() = default;

  // Whether the ReLU is a module, not a function.
  bool of_module() const { return of_module_; }
  void follow(ReluRule rule) { rule_ = rule; }

 protected:
  std::optional<ReluRule> rule_;

 private:
  bool of_module_;
};

// The node that recorded the ReLU whose output this is; none where it is not the output of one.
NodePtr relu_that_made(const Tensor& output);

// Applies the rule to the nodes of ReLUs that it is called with: module or functional, in place or not, on a view or
// not.
class ReluRuler {
 public:
  // On those `among` alone, where it is given.
  explicit ReluRuler(ReluRule rule, const std::vector<NodePtr>* among = nullptr);

  // The node that replaces the node, if any: see Rewrite.
  NodePtr operator()(const NodePtr& node, bool replaceable);

  int count() const { return count_; }
  // An activation that is not a ReLU, which has no rule; empty where there was none.
  const std::string& other() const { return other_; }

 private:
  // Whether the rule applies to the activation that `node` records; it is counted then.
  bool rules(const NodePtr& node, const torch::autograd::Node& activation);

  ReluRule rule_;
  std::optional<std::unordered_set<const torch::autograd::Node*>> among_;
  int count_ = 0;
  std::string other_;
};

}  // namespace gradcam
