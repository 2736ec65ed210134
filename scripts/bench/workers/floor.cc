// The floor of the benchmark: what a bare forward pass of the same TorchScript file costs in C++, with LibTorch's
// settings as they are. It answers the same requests as the other contestants, see worker.mjs.
//
//   floor MODEL.pt INPUT.bin IMAGES SIZE TARGET THREADS DEVICE
#include <ATen/Parallel.h>
#include <torch/script.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace {

torch::Tensor read_images(const std::string& file, int64_t images, int64_t size) {
  auto tensor = torch::empty({images, 3, size, size});
  std::ifstream stream(file, std::ios::binary);
  stream.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  if (!stream) throw std::runtime_error("cannot read " + file);
  return tensor;
}

double peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss);
#else
  return static_cast<double>(usage.ru_maxrss) * 1024;
#endif
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> given(arguments + 1, arguments + count);
  if (given.size() != 7) return 2;
  at::set_num_threads(std::stoi(given[5]));
  const torch::Device device(given[6]);
  auto model = torch::jit::load(given[0], device);
  model.eval();
  const torch::NoGradGuard no_grad;
  const auto images = read_images(given[1], std::stoll(given[2]), std::stoll(given[3]));
  const auto target = std::stoll(given[4]);

  torch::Tensor input;
  torch::Tensor logits;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string request;
    int64_t batch = 0;
    words >> request >> batch;
    if (request == "memory") {
      std::cout << "{\"peakRss\":" << std::fixed << peak_rss() << ",\"peakDevice\":null}" << std::endl;
      continue;
    }
    if (!input.defined() || input.size(0) != batch) input = images.narrow(0, 0, batch).clone().to(device);
    const auto start = std::chrono::steady_clock::now();
    logits = model.forward({input}).toTensor();
    // Also what makes the CPU wait for another device.
    if (!device.is_cpu()) logits = logits.cpu();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (request == "run") {
      std::cout << "{\"ms\":" << took.count() << "}" << std::endl;
    } else {
      std::cout.precision(9);
      std::cout << "{\"shape\":null,\"scores\":[";
      for (int64_t i = 0; i < batch; ++i) std::cout << (i ? "," : "") << logits[i][target].item<double>();
      std::cout << "]}" << std::endl;
    }
  }
}
