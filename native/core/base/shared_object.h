#pragma once
#include <string>
#include <vector>

namespace gradcam {

// The names of the libraries that a shared library of this system needs. Empty where that cannot be told, as on other
// systems than Linux.
std::vector<std::string> needed_libraries(const std::string& path);

// A copy in memory of a shared library that does not ask for some of the libraries that it needs. Its path is valid
// while the object lives; a library that was loaded from it stays.
class CopyWithout {
 public:
  CopyWithout(const std::string& path, const std::vector<std::string>& needed);
  ~CopyWithout();
  CopyWithout(const CopyWithout&) = delete;
  CopyWithout& operator=(const CopyWithout&) = delete;

  // Empty where the copy could not be made.
  const std::string& path() const { return path_; }

 private:
  int file_ = -1;
  std::string path_;
};

}  // namespace gradcam
