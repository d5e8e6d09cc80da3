// Trust is in the type: what came from outside is Unverified<T>; only trust/verify makes a Verified<T> of it.
#pragma once

#include <utility>

namespace ccgpu::verify {
class Passkey;  // can be made by trust/verify's own sources only (trust/verify/internal.h)
}

namespace ccgpu::evidence {

// Something that an attester claims. Reading it is allowed, but says so: .unverified().
template <class T>
class Unverified {
 public:
  explicit Unverified(T value) : value_(std::move(value)) {}
  const T& unverified() const { return value_; }

 private:
  T value_;
};

// Something that every named check passed for.
template <class T>
class Verified {
 public:
  Verified(const verify::Passkey&, T value) : value_(std::move(value)) {}
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }

 private:
  T value_;
};

}  // namespace ccgpu::evidence
