#pragma once
#include <string>

namespace gradcam {

// Loads an empty library under a name, so that others which are linked to one of that name, and use nothing of it, can
// be loaded. False where that is not possible.
bool load_stand_in(const std::string& name);

}  // namespace gradcam
