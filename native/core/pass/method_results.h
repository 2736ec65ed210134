#pragma once
#include <exception>
#include <functional>
#include <vector>

#include "core/base/error.h"
#include "core/maps/maps.h"
#include "explained.h"
#include "rerunner.h"

namespace gradcam {

// The maps of all methods of a pass. A method that fails keeps the others' maps; where all fail, the first error is
// that of the pass.
class MethodResults {
 public:
  explicit MethodResults(const MapPlan& plan)
      : plan_(plan), by_method_(plan.methods.size()), failures_(plan.methods.size()) {}

  void add_layer(const std::function<LayerMap(const LayerMethod&)>& map_of) {
    for (size_t m = 0; m < by_method_.size(); ++m)
      attempt(m, [&] { by_method_[m].push_back(map_of(*plan_.methods[m])); });
  }

  void finish(Explained& explained) {
    for (size_t m = 0; m < by_method_.size(); ++m) {
      explained.maps.emplace_back();
      attempt(m, [&] { explained.maps.back() = finish_maps(plan_, by_method_[m]); });
    }
    if (std::all_of(failures_.begin(), failures_.end(), [](const auto& failure) { return failure != nullptr; }))
      std::rethrow_exception(failures_.front());
    explained.failures = std::move(failures_);
  }

 private:
  template <typename Work>
  void attempt(size_t method, Work work) {
    if (failures_[method]) return;
    try {
      work();
    } catch (const std::exception& e) {
      if (!concerns_one_method(e)) throw;
      failures_[method] = std::current_exception();
    }
  }

  const MapPlan& plan_;
  std::vector<std::vector<LayerMap>> by_method_;
  std::vector<std::exception_ptr> failures_;
};

// Throws what kept the pass from evidence that a method needs.
void rethrow_missing(const LayerMethod& method, const Explained& explained, const LayerReruns& reruns);

// Per image, whether a gradient [N, C, spatial...] adds up to zero in every channel but for the rounding of the type
// that it was computed in: weights that are means over space are then rounding. So it is before a normalisation over
// each channel.
std::vector<bool> cancelled_over_space(const Tensor& gradient, at::ScalarType computed);

// Per image, whether the scores with each channel changed [N, C] and that of the image itself [N] are one number but
// for the rounding of the type that the model computes in. Empty where nothing was changed, or the batch has one score.
std::vector<bool> same_scores(const Tensor& changed, const Tensor& scores, at::ScalarType computed);

// Looks at the evidence where a map is zero or not finite: says which of its parts is.
void say_why_maps_are_empty(Explained& explained, int64_t images);

}  // namespace gradcam
