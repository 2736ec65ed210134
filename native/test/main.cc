// Tests of parts of the core that the tests in TypeScript only reach through whole models.
// test/native/core-program.test.ts compiles and runs them; by hand, `cmake -DGRADCAM_TESTS=ON` makes the target
// gradcam_core_test. Prints a line for each check, "ok NAME" or "not ok NAME: why", and ends with 1 where one failed.
// Each source holds the checks of one subject.
#include <algorithm>
#include <iostream>

#include "check.h"

int main() {
  int failed = 0;
  for (const auto& [name, body] : gradcam::test::checks()) {
    std::string why;
    try {
      body();
    } catch (const std::exception& e) {
      why = e.what();
    }
    if (why.empty()) {
      std::cout << "ok " << name << std::endl;
    } else {
      ++failed;
      std::replace(why.begin(), why.end(), '\n', ' ');  // a line for each check
      std::cout << "not ok " << name << ": " << why << std::endl;
    }
  }
  return failed > 0 ? 1 : 0;
}
