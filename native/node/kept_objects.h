#pragma once
#include <napi.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace gradcam::node {

// JavaScript objects that native code on other threads needs. References must be dropped on the JavaScript thread, so
// they live here, and other threads hold their numbers.
class KeptObjects {
 public:
  // On the JavaScript thread.
  uint32_t keep(const Napi::Object& object);
  Napi::Object get(uint32_t id) const { return objects_.at(id).Value(); }
  void drop_released();
  void clear() { objects_.clear(); }

  // On any thread: the next drop_released() drops it.
  void release(uint32_t id);

 private:
  std::unordered_map<uint32_t, Napi::ObjectReference> objects_;
  uint32_t next_ = 1;
  std::mutex released_mutex_;
  std::vector<uint32_t> released_;
};

}  // namespace gradcam::node
