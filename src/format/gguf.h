// GGUF, version 3: a file is a header, metadata (names to values), the list of tensors, and their data.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Everything is little-endian.
// Reading holds: every count and size against the bytes that are there before anything is allocated (one reader,
// checked arithmetic), names once, tensors of the types that we compute with, aligned, inside the file and not
// overlapping.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "os/fs.h"
#include "os/mapping.h"
#include "tensor/dtype.h"

namespace hf::format {

inline constexpr uint64_t kMaxGgufKeys = 65536, kMaxGgufTensors = 65536;

// Integers of all widths are widened; an array holds scalars or strings of one kind.
struct GgufArray;
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string_view, GgufArray>;
struct GgufArray {
  std::vector<std::string_view> texts;  // of an array of strings
  std::vector<int64_t> integers;        // of integers and booleans
  std::vector<double> numbers;          // of floats
  size_t size() const { return texts.size() + integers.size() + numbers.size(); }
};

struct GgufTensor {
  tensor::DType type = tensor::DType::f32;
  std::vector<int64_t> shape;     // outermost first, row major (the file has them the other way round); 1 to 4
  uint64_t begin = 0, bytes = 0;  // from the start of the file
};

// A whole file in memory, read only. Views live as long as this object.
class Gguf {
 public:
  // corrupt: what was expected, what was found, and at which byte. invalid: a version or a tensor type that is not
  // read.
  static Result<Gguf> open(os::Mapping mapping);

  const GgufValue* find(std::string_view key) const;  // null: not there
  // invalid: not there (without `other`), or of another kind or range; names the key.
  Result<int64_t> integer(std::string_view key) const;
  Result<int64_t> integer(std::string_view key, int64_t other) const;
  Result<double> number(std::string_view key, double other) const;
  Result<bool> boolean(std::string_view key, bool other) const;
  Result<std::string_view> text(std::string_view key) const;
  Result<const GgufArray*> array(std::string_view key) const;

  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  tensor::View view(const GgufTensor& tensor) const;
  void release_pages() const { mapping_.release_pages(); }
  uint64_t size() const { return mapping_.bytes().size(); }

 private:
  os::Mapping mapping_;
  std::map<std::string, GgufValue, std::less<>> values_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

// For writing: metadata and tensors in the given order.
using GgufNew = std::variant<uint32_t, float, bool, std::string, std::vector<std::string>, std::vector<int32_t>,
                             std::vector<float>>;
struct GgufTensorToWrite {
  std::string name;
  tensor::DType type = tensor::DType::f32;
  std::vector<int64_t> shape;  // outermost first
  std::string_view bytes;      // exactly what type and shape take
};
// The first bytes of a file, up to where the first tensor's data begins; each tensor's data is then padded to a
// multiple of 32. For writing piece by piece: the tensors' bytes are not read.
std::string gguf_start(std::span<const std::pair<std::string, GgufNew>> metadata,
                       std::span<const GgufTensorToWrite> tensors);
// The whole file from offset 0. Does not sync.
Status write_gguf(os::File& file, std::span<const std::pair<std::string, GgufNew>> metadata,
                  std::span<const GgufTensorToWrite> tensors);

}  // namespace hf::format
