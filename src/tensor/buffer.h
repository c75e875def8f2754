// Owned memory for kernels: 64-byte aligned (a cache line, an AVX-512 register), zeroed, never moves while it lives.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"

namespace hf::tensor {

template <class T>
class Buffer {
 public:
  static constexpr std::align_val_t kAlign{64};

  Buffer() = default;
  explicit Buffer(size_t count) { reset(count); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, size_t{0})) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free(); }

  // Drops the content; `count` zeros. 64 bytes beyond the end may be read (never written) by kernels.
  void reset(size_t count) {
    free();
    data_ = static_cast<T*>(::operator new(count * sizeof(T) + 64, kAlign));
    size_ = count;
    std::memset(static_cast<void*>(data_), 0, count * sizeof(T) + 64);
  }
  // As reset() where it is too small; otherwise the content stays.
  void need(size_t count) {
    if (count > size_) reset(count);
  }
  void zero() {
    if (size_ > 0) std::memset(static_cast<void*>(data_), 0, size_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  void free() {
    if (data_ != nullptr) ::operator delete(data_, kAlign);
    data_ = nullptr;
    size_ = 0;
  }
  T* data_ = nullptr;
  size_t size_ = 0;
};

using Floats = Buffer<float>;

}  // namespace hf::tensor
