#pragma once
#include "run.h"

namespace gradcam {

// Runs a split model.
class SplitRun : public Run {
 public:
  // A finished run of `split` in the layout that it runs in, which the split remembers. Null where it runs in none:
  // `why` then says what failed. The model itself may accept such inputs.
  static std::unique_ptr<Run> try_forward(const RunContext& context, const std::shared_ptr<SplitModel>& split,
                                          const std::vector<IValue>& inputs, const CancelFlag* cancel,
                                          std::string& why);

  SplitRun(const RunContext& context, std::shared_ptr<SplitModel> split, bool channels_last)
      : Run(context), split_(std::move(split)), channels_last_(channels_last) {}

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;

 private:
  Cut run_head(const std::vector<IValue>& inputs, const CancelFlag* cancel) const;
  void start_graph(Cut& cut);

  const std::shared_ptr<SplitModel> split_;
  const bool channels_last_;
};

}  // namespace gradcam
