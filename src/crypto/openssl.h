// OpenSSL's objects in unique_ptrs. Internal to crypto/.
#pragma once

namespace hf::crypto {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

}  // namespace hf::crypto
