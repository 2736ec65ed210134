// Checks of the C++ test program: see main.cc.
#pragma once
#include <cmath>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradcam::test {

struct Check {
  const char* name;
  void (*body)();
};

// In the order of the sources.
inline std::vector<Check>& checks() {
  static std::vector<Check> all;
  return all;
}

struct Registration {
  Registration(const char* name, void (*body)()) { checks().push_back({name, body}); }
};

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(int line, const std::string& text) {
  throw Failure("line " + std::to_string(line) + ": " + text);
}

inline void expect(bool condition, int line, const char* text) {
  if (!condition) fail(line, text);
}

template <typename A, typename B>
void expect_equal(const A& actual, const B& expected, int line, const char* text) {
  if (actual == expected) return;
  std::ostringstream message;
  message << text << " is " << actual << ", expected " << expected;
  fail(line, message.str());
}

// `body` has to throw an `Exception` whose text contains `text`.
template <typename Exception, typename Body>
void expect_throws(Body&& body, const std::string& text, int line) {
  try {
    body();
  } catch (const Exception& e) {
    if (std::string(e.what()).find(text) == std::string::npos)
      fail(line, "the error says \"" + std::string(e.what()) + "\", expected \"" + text + "\"");
    return;
  }
  fail(line, "nothing was thrown, expected \"" + text + "\"");
}

}  // namespace gradcam::test

// TEST_CASE("a name") { EXPECT(...); }
#define TEST_CASE(name) GRADCAM_TEST_CASE_EXPAND(name, __COUNTER__)
#define GRADCAM_TEST_CASE_EXPAND(name, id) GRADCAM_TEST_CASE(name, id)
#define GRADCAM_TEST_CASE(name, id)                                                        \
  static void check_body_##id();                                                           \
  static const gradcam::test::Registration check_registration_##id(name, check_body_##id); \
  static void check_body_##id()

#define EXPECT(condition) gradcam::test::expect(condition, __LINE__, #condition)
#define EXPECT_EQUAL(actual, expected) gradcam::test::expect_equal(actual, expected, __LINE__, #actual)
#define EXPECT_THROWS(Exception, expression, text) \
  gradcam::test::expect_throws<Exception>([&] { (void)(expression); }, text, __LINE__)
