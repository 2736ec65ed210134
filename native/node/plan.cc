#include "plan.h"

#include "convert.h"
#include "core/base/error.h"
#include "handles.h"

namespace gradcam::node {

namespace {

template <typename T>
using Names = std::initializer_list<std::pair<const char*, T>>;

// The value of a name, where undefined is the first of them.
template <typename T>
T parse_name(const Napi::Value& value, const std::string& what, Names<T> names) {
  if (value.IsUndefined()) return names.begin()->second;
  const auto name = to_text(value, what);
  std::string known;
  for (const auto& [candidate, meaning] : names) {
    if (name == candidate) return meaning;
    known += (known.empty() ? "'" : ", '") + std::string(candidate) + "'";
  }
  throw Error("ERR_INVALID_ARGUMENT", "Unknown " + what + " '" + name + "': it must be one of " + known + ".");
}

std::vector<std::string> to_texts(const Napi::Value& value, const std::string& what) {
  std::vector<std::string> texts;
  if (!value.IsArray()) return texts;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) texts.push_back(to_text(array[i], what));
  return texts;
}

std::vector<int64_t> optional_integers(const Napi::Value& value, const std::string& what) {
  return value.IsUndefined() ? std::vector<int64_t>() : to_integers(value, what);
}

double number_or(const Napi::Value& value, double otherwise) {
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
}

// A JavaScript function of a tensor's handle that gives another's, which is then disposed.
std::function<Tensor(const Tensor&)> custom_shape(const Napi::Function& call) {
  const auto kept = Environment::of(call.Env()).keep(call);
  return [kept](const Tensor& tensor) {
    Tensor shaped;
    kept->environment().call_javascript([&](Napi::Env env) {
      const Napi::HandleScope scope(env);
      const auto answer = kept->function().Call({TensorHandle::wrap(env, tensor)});
      shaped = unwrap_tensor(answer);
      const auto handle = answer.As<Napi::Object>();
      handle.Get("dispose").As<Napi::Function>().Call(handle, {});
    });
    return shaped;
  };
}

LayerShape to_layer_shape(const Napi::Value& value) {
  LayerShape shape;
  if (!value.IsObject()) return shape;
  const auto object = value.As<Napi::Object>();
  shape.kind = parse_name<LayerShape::Kind>(object.Get("kind"), "reshape",
                                            {{"tokens", LayerShape::Kind::tokens},
                                             {"permute", LayerShape::Kind::permute},
                                             {"custom", LayerShape::Kind::custom}});
  if (shape.kind == LayerShape::Kind::custom) shape.custom = custom_shape(object.Get("call").As<Napi::Function>());
  shape.skip = static_cast<int64_t>(number_or(object.Get("skip"), 0));
  shape.grid = optional_integers(object.Get("grid"), "grid");
  shape.order = optional_integers(object.Get("order"), "order");
  return shape;
}

MapPlan to_map_plan(const Napi::Object& plan) {
  MapPlan maps;
  for (const auto& name : to_texts(plan.Get("methods"), "A method")) maps.methods.push_back(&layer_method(name));
  const auto relu = plan.Get("relu");
  maps.relu = relu.IsUndefined() || relu.ToBoolean();
  maps.contributions = plan.Get("contributions").ToBoolean();
  maps.eigen_smooth = plan.Get("eigenSmooth").ToBoolean();
  maps.input_size = plan.Get("inputSize").ToBoolean();
  maps.aggregate = parse_name<Aggregate>(
      plan.Get("aggregate"), "aggregate",
      {{"each", Aggregate::each}, {"mean", Aggregate::mean}, {"max", Aggregate::max}, {"product", Aggregate::product}});
  maps.shape = to_layer_shape(plan.Get("reshape"));
  maps.chunk_size = static_cast<int64_t>(number_or(plan.Get("chunkSize"), static_cast<double>(maps.chunk_size)));
  maps.seed = static_cast<uint64_t>(number_or(plan.Get("seed"), 0));
  if (const auto samples = plan.Get("samples"); samples.IsNumber())
    maps.samples = samples.As<Napi::Number>().Int64Value();
  if (const auto steps = plan.Get("steps"); steps.IsNumber()) maps.steps = steps.As<Napi::Number>().Int64Value();
  if (const auto sigma = plan.Get("sigma"); sigma.IsNumber()) maps.sigma = sigma.As<Napi::Number>().DoubleValue();
  maps.baseline = number_or(plan.Get("lineStart"), 0);
  return maps;
}

PartPath to_path(const Napi::Value& value) {
  PartPath path;
  if (!value.IsArray()) return path;
  const auto steps = value.As<Napi::Array>();
  for (uint32_t i = 0; i < steps.Length(); ++i) {
    const Napi::Value step = steps[i];
    if (step.IsNumber())
      path.emplace_back(step.As<Napi::Number>().Int64Value());
    else
      path.emplace_back(to_text(step, "A step of a path"));
  }
  return path;
}

BoxTarget to_box_target(const Napi::Object& object) {
  BoxTarget box;
  box.boxes = unwrap_tensor(object.Get("boxes")).detach();
  if (const auto labels = object.Get("labels"); !labels.IsUndefined()) box.labels = unwrap_tensor(labels).detach();
  box.iou = number_or(object.Get("iou"), box.iou);
  box.may_miss = object.Get("mayMiss").ToBoolean();
  if (const auto parts = to_path(object.Get("parts")); parts.size() == 3) {
    box.boxes_part = parts[0];
    box.labels_part = parts[1];
    box.scores_part = parts[2];
  }
  return box;
}

// Integers, or "sum", "mean" or "max".
std::vector<ElementStep> to_element(const Napi::Value& value) {
  std::vector<ElementStep> steps;
  const auto list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value step = list[i];
    if (step.IsNumber())
      steps.push_back({ElementStep::Kind::index, step.As<Napi::Number>().Int64Value()});
    else
      steps.push_back(
          {parse_name<ElementStep::Kind>(
               step, "step of a target",
               {{"sum", ElementStep::Kind::sum}, {"mean", ElementStep::Kind::mean}, {"max", ElementStep::Kind::max}}),
           0});
  }
  return steps;
}

Rule to_rule(const Napi::Object& object) {
  Rule rule;
  rule.formula = rule_formula(to_text(object.Get("rule"), "A rule"));
  rule.epsilon = number_or(object.Get("epsilon"), rule.epsilon);
  rule.gamma = number_or(object.Get("gamma"), rule.gamma);
  rule.alpha = number_or(object.Get("alpha"), rule.alpha);
  rule.beta = number_or(object.Get("beta"), rule.beta);
  if (const auto low = object.Get("low"); !low.IsUndefined()) rule.low = unwrap_tensor(low).detach();
  if (const auto high = object.Get("high"); !high.IsUndefined()) rule.high = unwrap_tensor(high).detach();
  return rule;
}

Composite to_composite(const Napi::Object& object) {
  Composite composite;
  if (const auto first = object.Get("first"); first.IsObject()) composite.first = to_rule(first.As<Napi::Object>());
  composite.convolution = to_rule(object.Get("convolution").As<Napi::Object>());
  composite.linear = to_rule(object.Get("linear").As<Napi::Object>());
  composite.epsilon = number_or(object.Get("epsilon"), composite.epsilon);
  return composite;
}

// What the flags of lib/addon/native-pass.ts's PassPlan ask for: lib/ sets those of one goal alone.
Goal to_goal(const Napi::Object& object) {
  const auto layers = to_texts(object.Get("layers"), "A layer path");
  const auto scope = parse_name<std::optional<ReluScope>>(
      object.Get("guided"), "guided",
      {{"none", std::nullopt}, {"modules", ReluScope::modules}, {"all", ReluScope::all}});
  const auto rule = parse_name<ReluRule>(object.Get("reluRule"), "rule of ReLUs",
                                         {{"guided", ReluRule::guided}, {"deconvnet", ReluRule::deconvnet}});
  if (object.Get("scoresOnly").ToBoolean()) return ScoresOnly{};
  if (object.Get("fullGrad").ToBoolean()) return FullGradient{layers};
  if (object.Get("attention").ToBoolean()) return AttentionGradients{layers};
  if (!object.Get("inputGradient").ToBoolean()) {
    LayerMaps maps{layers, to_map_plan(object), {}, {}, {}, {}, {}};
    if (const auto call = object.Get("call"); call.IsNumber()) maps.call = call.As<Napi::Number>().Int64Value();
    if (const auto part = object.Get("part"); part.IsArray()) maps.part = to_path(part);
    if (const auto concepts = object.Get("concepts"); concepts.IsNumber())
      maps.concepts = concepts.As<Napi::Number>().Int64Value();
    return maps;
  }
  if (const auto baseline = object.Get("baseline"); !baseline.IsUndefined())
    return RescaledGradient{unwrap_tensor(baseline).detach()};
  if (const auto relevance = object.Get("relevance"); relevance.IsObject())
    return to_composite(relevance.As<Napi::Object>());
  if (scope) return GuidedGradient{*scope, rule};
  return InputGradient{};
}

}  // namespace

PassPlan to_pass_plan(const Napi::Object& object) {
  PassPlan plan;
  plan.goal = to_goal(object);
  plan.execution = parse_name<Execution>(
      object.Get("execution"), "execution",
      {{"auto", Execution::automatic}, {"split", Execution::split}, {"hooked", Execution::hooked}});
  plan.input = static_cast<size_t>(number_or(object.Get("input"), 0));
  plan.input_said = object.Get("input").IsNumber();
  if (const auto layer = object.Get("scoreLayer"); !layer.IsUndefined())
    plan.score_layer = to_text(layer, "The path of a layer");
  if (const auto precision = object.Get("precision"); !precision.IsUndefined())
    plan.head_dtype =
        parse_name<at::ScalarType>(precision, "precision", {{"bfloat16", at::kBFloat16}, {"float16", at::kHalf}});
  return plan;
}

// undefined: the top class; an array: classes; an object: NativeTarget
Target to_target(const Napi::Value& value) {
  Target target;
  if (value.IsUndefined() || value.IsNull()) return target;
  if (value.IsArray()) {
    target.kind = Target::Kind::classes;
    target.classes = to_integers(value, "target");
    return target;
  }
  const auto object = value.As<Napi::Object>();
  if (const auto classes = object.Get("classes"); !classes.IsUndefined()) {
    target.kind = Target::Kind::classes;
    target.classes = to_integers(classes, "target");
  }
  target.score = parse_name<Target::Score>(object.Get("score"), "score",
                                           {{"logit", Target::Score::logit},
                                            {"probability", Target::Score::probability},
                                            {"difference", Target::Score::difference},
                                            {"finer", Target::Score::finer},
                                            {"mask", Target::Score::mask},
                                            {"box", Target::Score::box},
                                            {"element", Target::Score::element}});
  target.sign = number_or(object.Get("sign"), 1);
  target.against = optional_integers(object.Get("against"), "against");
  target.nearest = static_cast<int64_t>(number_or(object.Get("nearest"), 3));
  target.alpha = number_or(object.Get("alpha"), 1);
  target.path = to_path(object.Get("path"));
  target.image_dim = static_cast<int64_t>(number_or(object.Get("imageDim"), 0));
  if (target.score == Target::Score::box) target.box = to_box_target(object);
  if (target.score == Target::Score::element) target.element = to_element(object.Get("at"));
  if (const auto mask = object.Get("mask"); !mask.IsUndefined()) target.mask = unwrap_tensor(mask).detach();
  return target;
}

}  // namespace gradcam::node
