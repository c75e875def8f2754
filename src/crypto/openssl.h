// OpenSSL's objects in unique_ptrs, and its way to see bytes. Internal to crypto/.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace hf::crypto {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

using PkeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;

inline const unsigned char* raw(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
inline unsigned char* raw(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

// OpenSSL keeps a queue of errors for each thread, and TLS looks at it: what failed here must not be seen there.
struct ClearErrors {
  ~ClearErrors() { ERR_clear_error(); }
};

}  // namespace hf::crypto
