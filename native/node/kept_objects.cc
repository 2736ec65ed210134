#include "kept_objects.h"

namespace gradcam::node {

uint32_t KeptObjects::keep(const Napi::Object& object) {
  drop_released();
  const auto id = next_++;
  objects_[id] = Napi::Persistent(object);
  return id;
}

void KeptObjects::release(uint32_t id) {
  std::lock_guard lock(released_mutex_);
  released_.push_back(id);
}

void KeptObjects::drop_released() {
  std::lock_guard lock(released_mutex_);
  for (const auto id : released_) objects_.erase(id);
  released_.clear();
}

}  // namespace gradcam::node
