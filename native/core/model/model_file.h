#pragma once
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gradcam {

// Where a model comes from: a file, or the bytes of one.
struct ModelSource {
  std::string path;  // UTF-8; empty when the bytes are given
  std::string bytes;
};

// A file that is open for reading, with what tells its format: the first bytes, and the names in it where it is a zip
// archive.
class ModelFile {
 public:
  // Throws an Error where the file cannot be opened.
  explicit ModelFile(const ModelSource& source);

  // For messages: the path in quotes, or "The buffer".
  const std::string& name() const { return name_; }
  bool starts_with(const std::string& prefix) const { return head_.starts_with(prefix); }
  const std::string& head() const { return head_; }  // at most 64 bytes

  bool is_zip() const { return starts_with("PK"); }
  // The names in a zip archive in PyTorch's layout, without the name of its only folder; none where it is not one.
  const std::optional<std::vector<std::string>>& records() const { return records_; }
  bool has_record(const std::string& name) const;
  bool has_record_like(const std::string& part) const;
  // A zip archive in another layout, which PyTorch did not write.
  bool is_foreign_zip() const { return foreign_zip_; }

  // The first bytes of a record, or of the file; at most `count`.
  std::string read_record(const std::string& name, size_t count);
  std::string read_start(size_t count);
  // The whole file, from its first byte on.
  std::istream& rewound();

 private:
  void list_records();

  std::string name_, head_;
  std::unique_ptr<std::istream> stream_;
  std::optional<std::vector<std::string>> records_;
  bool foreign_zip_ = false;
};

}  // namespace gradcam
