// A file's bytes, read only: mapped where there is a descriptor, else read. Movable; the bytes stay where they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fs.h"

namespace hf::os {

class Mapping {
 public:
  Mapping() = default;
  // Maps the file behind a descriptor, which may be closed afterwards. too_large: over `limit` bytes. The file must
  // not be truncated while it is mapped (SIGBUS): hand it files that do not change, such as model folders.
  static Result<Mapping> of_fd(int fd, uint64_t limit, const std::string& what);
  static Result<Mapping> of_file(File& file, uint64_t limit, const std::string& what);  // reads it if it has no fd
  static Mapping of_bytes(std::string bytes);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // The pages that were read are not counted to us any more; they are read again where they are wanted.
  void release_pages() const;

  std::string_view bytes() const { return address_ ? std::string_view(address_, size_) : std::string_view(owned_); }

 private:
  const char* address_ = nullptr;
  size_t size_ = 0;
  std::string owned_;
};

}  // namespace hf::os
