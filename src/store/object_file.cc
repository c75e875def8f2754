#include "store/object_file.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "store/objects.h"

namespace hf::store {
namespace {

constexpr std::string_view kMagic("hfobj\0\0\1", 8);
constexpr uint64_t kTailBytes = 8 + 4 + kMagic.size();  // size, sum of the footer, magic

uint64_t blocks_of(uint64_t size) { return (size + kObjectBlockBytes - 1) / kObjectBlockBytes; }

uint32_t footer_sum(std::string_view id, std::string_view sums, std::string_view size) {
  return crypto::crc32c(crypto::crc32c(crypto::crc32c(0, id), sums), size);
}

}  // namespace

Status ObjectWriter::write(std::string_view data) {
  check(!sealed_, "an upload is written after its seal");
  TRY(file_->write_at(size_, data));
  hasher_.update(data);
  while (!data.empty()) {
    const uint64_t room = kObjectBlockBytes - size_ % kObjectBlockBytes;
    const std::string_view part = data.substr(0, room);
    block_sum_ = crypto::crc32c(block_sum_, part);
    size_ += part.size();
    data.remove_prefix(part.size());
    if (size_ % kObjectBlockBytes == 0) {
      put_u32be(sums_, block_sum_);
      block_sum_ = 0;
    }
  }
  return {};
}

Status ObjectWriter::seal() {
  check(!sealed_, "an upload is sealed twice");
  sealed_ = true;
  if (size_ % kObjectBlockBytes != 0) put_u32be(sums_, block_sum_);
  md5_ = hasher_.finish();
  std::string size, footer = sums_;
  put_u64be(size, size_);
  footer += size;
  put_u32be(footer, footer_sum(id_, sums_, size));
  footer += kMagic;
  return file_->write_at(size_, footer);
}

Status ObjectWriter::sync() { return file_->sync(); }

Result<std::unique_ptr<ObjectFile>> ObjectFile::open(os::Fs& fs, const std::string& path, const std::string& id,
                                                     uint64_t size) {
  auto broken = [&](const std::string& what) { return fail(Code::corrupt, "object file " + path + ": " + what); };
  auto out = std::make_unique<ObjectFile>();
  auto file = fs.open(path, os::Open::read);
  if (!file.ok() && file.error().code == Code::not_found) return fail(Code::not_found, file.error().message);
  out->file_ = TRY(std::move(file));
  out->path_ = path;
  out->size_ = size;
  const uint64_t sums = blocks_of(size) * 4, expected = size + sums + kTailBytes;
  const uint64_t found = TRY(out->file_->size());
  if (found != expected) {
    return broken("expected " + std::to_string(expected) + " bytes, found " + std::to_string(found));
  }
  std::string footer(sums + kTailBytes, '\0');
  if (TRY(out->file_->read_at(size, {footer.data(), footer.size()})) != footer.size()) return broken("footer is cut");
  const std::string_view all = footer;
  const std::string_view said = all.substr(sums, 8);
  if (all.substr(sums + 12) != kMagic) return broken("footer has not its mark");
  if (get_u32be(footer.data() + sums + 8) != footer_sum(id, all.substr(0, sums), said)) {
    return broken("footer is not what was written");
  }
  if (get_u64be(said.data()) != size) return broken("footer tells another size than the metadata");
  out->sums_ = footer.substr(0, sums);
  return out;
}

Status ObjectFile::check_block(uint64_t block, std::string_view bytes) const {
  if (crypto::crc32c(0, bytes) == get_u32be(sums_.data() + block * 4)) return {};
  return fail(Code::corrupt, "object file " + path_ + ": block " + std::to_string(block) + " is not what was written");
}

Result<size_t> ObjectFile::read_at(uint64_t offset, std::span<char> out) {
  if (offset >= size_ || out.empty()) return size_t{0};
  const uint64_t end = std::min<uint64_t>(size_, offset + out.size());
  std::string buffer;
  for (uint64_t at = offset; at < end;) {
    const uint64_t block = at / kObjectBlockBytes, begin = block * kObjectBlockBytes;
    const uint64_t block_end = std::min(size_, begin + kObjectBlockBytes), to = std::min(end, block_end);
    // A block that is wanted whole goes straight to its place; else through a buffer, so that it is checked whole.
    const bool whole = at == begin && to == block_end;
    if (!whole) buffer.resize(block_end - begin);
    std::span<char> place = whole ? out.subspan(at - offset, to - at) : std::span<char>(buffer);
    if (TRY(file_->read_at(begin, place)) != place.size()) {
      return fail(Code::corrupt, "object file " + path_ + " became shorter");
    }
    TRY(check_block(block, {place.data(), place.size()}));
    if (!whole) std::memcpy(out.data() + (at - offset), buffer.data() + (at - begin), to - at);
    at = to;
  }
  return end - offset;
}

}  // namespace hf::store
