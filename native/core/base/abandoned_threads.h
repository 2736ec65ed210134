#pragma once

namespace gradcam {

// Threads that did not end when the JavaScript environment that owned them did: an operator cannot be interrupted. They
// go on, holding what they use. While there are any, the process must not destroy LibTorch's static objects, which they
// use: once exit() is called it ends at once, with the same exit code, as soon as it comes to its exit handlers.

// To be called when a thread is left to itself, and on that thread when it has ended after all.
void abandon_thread();
void abandoned_thread_ended();

}  // namespace gradcam
