#include "split_dump.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"

namespace gradcam {

namespace {

std::string environment_variable(const char* name) {
  const auto* value = std::getenv(name);
  return value ? value : "";
}

// Read once, while nothing else runs: getenv is not safe beside a setenv on another thread.
const std::string kDumpFolder = environment_variable("GRADCAM_DUMP_SPLIT");

std::string file_stem(const SplitPlan& plan) {
  constexpr size_t kMaxLength = 120;
  std::string stem = plan.at_input ? "input" : "";
  for (const auto& layer : plan.layers) stem += (stem.empty() ? "" : "+") + layer;
  if (stem.empty()) stem = "model";
  stem.resize(std::min(stem.size(), kMaxLength));
  if (plan.head_dtype) stem += std::string("-") + c10::toString(*plan.head_dtype);
  return stem;
}

void write_graph(const std::filesystem::path& file, const torch::jit::Graph& graph) {
  std::ofstream stream(file);
  stream << graph.toString(/*print_source_locations=*/false);
  stream.close();
  if (!stream)
    throw Error("ERR_INVALID_ARGUMENT", "The split model cannot be written to " + file.string() +
                                            ": set GRADCAM_DUMP_SPLIT to a folder that can be written to.");
}

}  // namespace

void dump_split_if_asked(const SplitPlan& plan, const torch::jit::Graph* head, const torch::jit::Graph* tail) {
  if (!kDumpFolder.empty()) dump_split(kDumpFolder, plan, head, tail);
}

void dump_split(const std::string& folder, const SplitPlan& plan, const torch::jit::Graph* head,
                const torch::jit::Graph* tail) {
  const std::filesystem::path path(folder);
  std::error_code ignored;  // writing reports it
  std::filesystem::create_directories(path, ignored);
  const auto stem = file_stem(plan);
  if (head) write_graph(path / (stem + "-head.txt"), *head);
  if (tail) write_graph(path / (stem + "-tail.txt"), *tail);
}

}  // namespace gradcam
