// Safetensors: a file is u64le n | n bytes of JSON | data. The JSON maps a tensor's name to {"dtype", "shape",
// "data_offsets": [begin, end)}, offsets counted from the start of the data; "__metadata__" maps strings to strings.
// Format: https://huggingface.co/docs/safetensors (version 0.x). Reading holds: the header within its limits, each
// tensor's bytes exactly what its dtype and shape take (checked arithmetic), and the tensors laid end to end over the
// data from its first byte to its last, so that nothing overlaps, nothing is hidden and nothing lies outside the file.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/fs.h"
#include "os/mapping.h"

namespace hf::format {

enum class Dtype : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean, f8_e4m3, f8_e5m2 };
size_t dtype_bytes(Dtype dtype);
std::string_view dtype_name(Dtype dtype);  // "F32", "BF16", ...
Result<Dtype> parse_dtype(std::string_view name);

inline constexpr uint64_t kMaxSafetensorsHeader = 8 << 20;  // a 405 B model's takes about 150 KiB
inline constexpr size_t kMaxTensors = 65536;
inline constexpr size_t kMaxRank = 8;

struct TensorInfo {
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;   // outermost first, row major; empty: a scalar
  uint64_t begin = 0, end = 0;  // bytes from the start of the data
  int64_t elements() const;     // product of the shape
};

struct SafetensorsHeader {
  std::map<std::string, TensorInfo, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  uint64_t data_offset = 0;  // of the data in the file
};

// `start` holds at least the file's first 8 + n bytes; file_size is the whole file's. corrupt: what is wrong and where.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view start, uint64_t file_size);

// A whole file in memory, read only. Spans that data() gives live as long as this object.
class Safetensors {
 public:
  static Result<Safetensors> open(os::Mapping mapping);
  const SafetensorsHeader& header() const { return header_; }
  // not_found: no tensor of that name.
  Result<const TensorInfo*> find(std::string_view name) const;
  std::string_view data(const TensorInfo& tensor) const;  // of one of header().tensors; not aligned in general

 private:
  os::Mapping mapping_;
  SafetensorsHeader header_;
};

struct TensorToWrite {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  std::string_view bytes;  // exactly what dtype and shape take, little-endian
};

// The first bytes of a file (length, JSON, blanks up to a multiple of 64 so that tensors are aligned for mapping) for
// tensors laid end to end in the given order; for writing piece by piece.
Result<std::string> safetensors_start(std::span<const TensorToWrite> tensors,
                                      const std::map<std::string, std::string>& metadata);
// Writes the whole file from offset 0. Does not sync.
Status write_safetensors(os::File& file, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace hf::format
