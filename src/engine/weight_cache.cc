#include "engine/weight_cache.h"

#include <cstring>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "os/mapping.h"
#include "tensor/buffer.h"

namespace hf::engine {
namespace {

constexpr size_t kHeader = 4096;
constexpr size_t kPiece = 16 << 20;

std::string header_of(const std::string& digest, uint64_t bytes, uint32_t crc) {
  std::string out = "HFWEIGHT";
  put_u32be(out, model::kWeightLayoutVersion);
  put_u32be(out, crc);
  put_u64be(out, bytes);
  std::string name = digest.substr(0, 64);
  name.resize(64);
  out += name;
  put_u32be(out, crypto::crc32c(0, out));
  out.resize(kHeader);
  return out;
}

}  // namespace

// Null: not sound.
Result<std::shared_ptr<os::Mapping>> WeightCache::sound(size_t bytes) {
  const std::shared_ptr<os::Mapping> none;
  if (TRY(file_->size()) != kHeader + bytes) return none;
  auto mapping = std::make_shared<os::Mapping>(TRY(os::Mapping::of_file(*file_, kHeader + bytes, "the weights' file")));
  const std::string_view all = mapping->bytes();
  const uint32_t crc = crypto::crc32c(0, all.substr(kHeader));
  if (all.substr(0, kHeader) != header_of(digest_, bytes, crc)) return none;
  return mapping;
}

// The header last: a file that was cut short has none.
Status WeightCache::write(const uint8_t* data, size_t bytes) {
  TRY(file_->truncate(0));
  const std::string_view all(reinterpret_cast<const char*>(data), bytes);
  for (size_t at = 0; at < bytes; at += kPiece) TRY(file_->write_at(kHeader + at, all.substr(at, kPiece)));
  TRY(file_->sync());
  TRY(file_->write_at(0, header_of(digest_, bytes, crypto::crc32c(0, all))));
  return file_->sync();
}

Result<model::WeightMemory> WeightCache::memory(size_t bytes) {
  if (file_) {
    auto mapping = sound(bytes);
    if (mapping.ok() && *mapping) {
      auto* data = reinterpret_cast<const uint8_t*>((*mapping)->bytes().data()) + kHeader;
      return model::WeightMemory{const_cast<uint8_t*>(data), true, *mapping, {}};  // filled: only read
    }
  }
  auto owned = std::make_shared<tensor::Buffer<uint8_t>>(bytes);
  model::WeightMemory out{owned->data(), false, owned, {}};
  if (file_) {
    out.seal = [this, owned, bytes]() -> Status {
      written_ = write(owned->data(), bytes).ok();
      if (!written_) (void)file_->truncate(0);  // its room is wanted
      return {};
    };
  }
  return out;
}

}  // namespace hf::engine
