#include "os/mapping.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace hf::os {
namespace {

Error over_limit(const std::string& what, uint64_t size, uint64_t limit) {
  return fail(Code::too_large, what + ": " + std::to_string(size) + " bytes; at most " + std::to_string(limit));
}

}  // namespace

Result<Mapping> Mapping::of_fd(int fd, uint64_t limit, const std::string& what) {
  struct stat s {};
  if (fstat(fd, &s) != 0) return fail(Code::unavailable, what + ": " + std::strerror(errno));
  if (!S_ISREG(s.st_mode)) return fail(Code::invalid, what + ": expected a regular file");
  const auto size = static_cast<uint64_t>(s.st_size);
  if (size > limit) return over_limit(what, size, limit);
  Mapping out;
  if (size == 0) return out;
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) return fail(Code::exhausted, "map " + what + ": " + std::strerror(errno));
  out.address_ = static_cast<const char*>(address);
  out.size_ = size;
  return out;
}

Result<Mapping> Mapping::of_file(File& file, uint64_t limit, const std::string& what) {
  if (file.fd() >= 0) return of_fd(file.fd(), limit, what);
  const uint64_t size = TRY(file.size());
  if (size > limit) return over_limit(what, size, limit);
  std::string bytes(size, '\0');
  if (TRY(file.read_at(0, {bytes.data(), bytes.size()})) != size)
    return fail(Code::corrupt, what + ": shorter than its size says");
  return of_bytes(std::move(bytes));
}

Mapping Mapping::of_bytes(std::string bytes) {
  Mapping out;
  out.owned_ = std::move(bytes);
  return out;
}

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owned_(std::move(other.owned_)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  std::swap(owned_, other.owned_);
  return *this;
}

void Mapping::release_pages() const {
  if (address_)
    (void)madvise(const_cast<char*>(address_), size_, MADV_DONTNEED);  // private and read only: nothing is lost
}

Mapping::~Mapping() {
  if (address_) munmap(const_cast<char*>(address_), size_);
}

}  // namespace hf::os
