#include "fleet/artifact.h"

#include <zlib.h>

#include <array>
#include <cstring>
#include <vector>

namespace hf::fleet {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kStep = size_t{1} << 20;

// Weights hardly compress, so the fastest level.
class Gzip {
 public:
  explicit Gzip(const std::function<Status(std::string_view)>& out) : out_(out), buffer_(kStep) {
    // 15 + 16: largest window, gzip wrapping; zlib's default header has no time and no name.
    check(deflateInit2(&z_, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflateInit2");
  }
  ~Gzip() { deflateEnd(&z_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Status write(std::string_view data, bool last = false) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    z_.avail_in = static_cast<uInt>(data.size());  // at most kStep
    int rc = Z_OK;
    do {
      z_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      z_.avail_out = static_cast<uInt>(buffer_.size());
      rc = deflate(&z_, last ? Z_FINISH : Z_NO_FLUSH);
      check(rc != Z_STREAM_ERROR, "deflate");
      const size_t n = buffer_.size() - z_.avail_out;
      if (n > 0) TRY(out_({buffer_.data(), n}));
    } while (z_.avail_out == 0 || (last && rc != Z_STREAM_END));
    return {};
  }

 private:
  const std::function<Status(std::string_view)>& out_;
  std::vector<char> buffer_;
  z_stream z_{};
};

void octal(char* field, size_t digits, uint64_t v) {
  for (size_t i = digits; i-- > 0; v >>= 3) field[i] = static_cast<char>('0' + (v & 7));
}

// POSIX.1-1988 ustar. A size of 8 GiB and more does not fit 11 octal digits: then big-endian with the top bit set, as
// GNU tar, bsdtar and Python read it.
std::array<char, kBlock> header(const std::string& name, uint64_t size) {
  std::array<char, kBlock> h{};
  check(name.size() <= 100, "the caller refuses longer names");
  std::memcpy(h.data(), name.data(), name.size());
  octal(&h[100], 7, 0644);
  octal(&h[108], 7, 0);
  octal(&h[116], 7, 0);
  if (size < (uint64_t{1} << 33)) {
    octal(&h[124], 11, size);
  } else {
    h[124] = static_cast<char>(0x80);
    for (int i = 0; i < 8; ++i) h[static_cast<size_t>(135 - i)] = static_cast<char>(size >> (8 * i));
  }
  octal(&h[136], 11, 0);
  std::memset(&h[148], ' ', 8);
  h[156] = '0';
  std::memcpy(&h[257],
              "ustar\0"
              "00",
              8);
  uint64_t sum = 0;
  for (char c : h) sum += static_cast<unsigned char>(c);
  octal(&h[148], 6, sum);
  h[154] = '\0';
  return h;
}

}  // namespace

Status write_tar_gz(Models& models, const std::string& digest, const std::function<Status(std::string_view)>& out) {
  Gzip gzip(out);
  std::vector<char> buffer(kStep);
  const std::string zeros(2 * kBlock, '\0');
  for (const std::string& name : TRY(models.files(digest))) {
    if (name.size() > 100)
      return fail(Code::too_large, "file " + name + " of model " + digest + ": a tar archive takes names of 100 bytes");
    auto file = TRY(models.open_file(digest, name));
    const uint64_t size = TRY(file->size());
    const auto head = header(name, size);
    TRY(gzip.write({head.data(), head.size()}));
    for (uint64_t at = 0; at < size;) {
      const size_t n = TRY(file->read_at(at, buffer));
      if (n == 0) return fail(Code::corrupt, "file " + name + " of model " + digest + " became shorter");
      TRY(gzip.write({buffer.data(), n}));
      at += n;
    }
    if (size % kBlock != 0) TRY(gzip.write(std::string_view(zeros).substr(0, kBlock - size % kBlock)));
  }
  return gzip.write(zeros, true);
}

}  // namespace hf::fleet
