// One object's file: writing with block sums and a footer, reading with every block checked. Internal to store/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crypto/crypto.h"
#include "os/fs.h"

namespace hf::store {

class ObjectWriter {
 public:
  ObjectWriter(std::unique_ptr<os::File> file, std::string id) : file_(std::move(file)), id_(std::move(id)) {}
  Status write(std::string_view data);
  Status seal();  // the footer; once
  Status sync();  // then the bytes are on stable storage
  uint64_t size() const { return size_; }
  const std::string& md5() const { return md5_; }

 private:
  std::unique_ptr<os::File> file_;
  std::string id_;
  uint64_t size_ = 0;
  uint32_t block_sum_ = 0;  // of the block being filled
  std::string sums_;
  crypto::Hasher hasher_{crypto::Hash::md5};
  std::string md5_;
  bool sealed_ = false;
};

class ObjectFile {
 public:
  // corrupt if the footer is not the one of an object `id` of `size` bytes.
  static Result<std::unique_ptr<ObjectFile>> open(os::Fs& fs, const std::string& path, const std::string& id,
                                                  uint64_t size);
  // Short only at the end. corrupt if a block that it touches is not what was written.
  Result<size_t> read_at(uint64_t offset, std::span<char> out);

 private:
  Status check_block(uint64_t block, std::string_view bytes) const;
  std::unique_ptr<os::File> file_;
  std::string path_;
  uint64_t size_ = 0;
  std::string sums_;
};

}  // namespace hf::store
