#include "ivalue_equal.h"

#include <vector>

namespace gradcam {

namespace {

bool tensors_equal(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  if (a.is_same(b)) return true;
  if (a.layout() != at::kStrided || b.layout() != at::kStrided) return true;  // not a value that a model computes
  // A weight: the same memory in both runs.
  if (a.data_ptr() == b.data_ptr() && a.strides() == b.strides()) return true;
  return at::equal(a, b);
}

}  // namespace

bool ivalue_equal(const IValue& a, const IValue& b) {
  if (a.tagKind() != b.tagKind()) return false;
  if (a.isInt()) return a.toInt() == b.toInt();
  if (a.isDouble()) return a.toDouble() == b.toDouble();
  if (a.isBool()) return a.toBool() == b.toBool();
  if (a.isIntList()) return a.toIntVector() == b.toIntVector();
  if (a.isDoubleList()) return a.toDoubleVector() == b.toDoubleVector();
  std::vector<Tensor> of_a, of_b;
  for_each_tensor(a, [&](const Tensor& tensor) { of_a.push_back(tensor); });
  for_each_tensor(b, [&](const Tensor& tensor) { of_b.push_back(tensor); });
  if (of_a.size() != of_b.size()) return false;
  for (size_t i = 0; i < of_a.size(); ++i)
    if (!tensors_equal(of_a[i], of_b[i])) return false;
  return true;
}

}  // namespace gradcam
