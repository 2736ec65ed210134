#include "model_file.h"

#include <algorithm>
#include <caffe2/serialize/inline_container.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/base/error.h"

namespace gradcam {

namespace {

std::unique_ptr<std::istream> open(const ModelSource& source, const std::string& name) {
  if (source.path.empty()) return std::make_unique<std::istringstream>(source.bytes);
  errno = 0;
  auto file = std::make_unique<std::ifstream>(source.path, std::ios::binary);
  char first = 0;
  if (*file && !file->read(&first, 1) && errno == EISDIR)  // a folder opens, and fails at the first read
    throw Error("ERR_FILE_UNREADABLE", name + " is a folder.", Remedy{"Give the path of a TorchScript file (.pt)."});
  if (file->is_open()) return file;
  if (errno == ENOENT || errno == ENOTDIR)
    throw Error("ERR_FILE_NOT_FOUND", name + " does not exist.",
                Remedy{"Check the path; a relative one starts at the "
                       "working directory of the process."});
  throw Error("ERR_FILE_UNREADABLE", name + " cannot be opened: " + std::strerror(errno) + ".");
}

}  // namespace

ModelFile::ModelFile(const ModelSource& source)
    : name_(source.path.empty() ? "The buffer" : "'" + source.path + "'"), stream_(open(source, name_)) {
  head_ = read_start(64);
  if (is_zip()) list_records();
}

void ModelFile::list_records() {
  try {
    caffe2::serialize::PyTorchStreamReader reader(&rewound());
    records_ = reader.getAllRecords();
  } catch (const std::exception& unreadable) {
    // Anything else is a damaged archive.
    foreign_zip_ = std::string(unreadable.what()).find("not in a subdirectory") != std::string::npos;
  }
}

bool ModelFile::has_record(const std::string& name) const {
  return records_ && std::find(records_->begin(), records_->end(), name) != records_->end();
}

bool ModelFile::has_record_like(const std::string& part) const {
  return records_ && std::any_of(records_->begin(), records_->end(),
                                 [&](const auto& record) { return record.find(part) != std::string::npos; });
}

std::string ModelFile::read_record(const std::string& name, size_t count) {
  caffe2::serialize::PyTorchStreamReader reader(&rewound());
  const auto [data, size] = reader.getRecord(name);
  return {static_cast<const char*>(data.get()), std::min(size, count)};
}

std::string ModelFile::read_start(size_t count) {
  std::string start(count, '\0');
  rewound().read(start.data(), static_cast<std::streamsize>(count));
  start.resize(static_cast<size_t>(stream_->gcount()));
  return start;
}

std::istream& ModelFile::rewound() {
  stream_->clear();
  stream_->seekg(0);
  return *stream_;
}

}  // namespace gradcam
