#include "format/safetensors.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "format/json.h"

namespace hf::format {
namespace {

namespace json = boost::json;

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  size_t bytes;
};
constexpr DtypeRow kDtypes[] = {
    {Dtype::f64, "F64", 8},      {Dtype::f32, "F32", 4},         {Dtype::f16, "F16", 2},
    {Dtype::bf16, "BF16", 2},    {Dtype::i64, "I64", 8},         {Dtype::i32, "I32", 4},
    {Dtype::i16, "I16", 2},      {Dtype::i8, "I8", 1},           {Dtype::u64, "U64", 8},
    {Dtype::u32, "U32", 4},      {Dtype::u16, "U16", 2},         {Dtype::u8, "U8", 1},
    {Dtype::boolean, "BOOL", 1}, {Dtype::f8_e4m3, "F8_E4M3", 1}, {Dtype::f8_e5m2, "F8_E5M2", 1},
};

const DtypeRow& row_of(Dtype dtype) {
  const auto* row = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](auto& r) { return r.dtype == dtype; });
  check(row != std::end(kDtypes), "a dtype without a row");
  return *row;
}

Error wrong(std::string_view name, const std::string& reason) {
  // The name is foreign: what is printed of it is short and plain.
  std::string shown;
  for (const char c : name.substr(0, 80)) shown.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return fail(Code::corrupt, "safetensors: tensor '" + shown + "': " + reason);
}

// Bytes of a tensor, or nothing where that is over 2^62.
std::optional<uint64_t> bytes_of(const std::vector<int64_t>& shape, Dtype dtype) {
  uint64_t n = dtype_bytes(dtype);
  for (const int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(n, static_cast<uint64_t>(d), &n) || n > uint64_t{1} << 62) return {};
  return n;
}

Result<uint64_t> offset(const json::value& value, std::string_view name) {
  if (!value.is_int64() || value.get_int64() < 0) return wrong(name, "data_offsets: expected two whole numbers");
  return static_cast<uint64_t>(value.get_int64());
}

Result<TensorInfo> parse_tensor(std::string_view name, const json::value& value, uint64_t data_bytes) {
  const auto object = JsonObject::of(value, "");
  if (!object.ok()) return wrong(name, "expected an object");
  TensorInfo out;
  const auto* dtype = object->get("dtype");
  if (!dtype || !dtype->is_string()) return wrong(name, "dtype: expected a string");
  auto parsed = parse_dtype(dtype->get_string());
  if (!parsed.ok()) return wrong(name, parsed.error().message);
  out.dtype = *parsed;
  const auto shape = object->array("shape");
  if (!shape.ok() || (*shape)->size() > kMaxRank)
    return wrong(name, "shape: expected at most " + std::to_string(kMaxRank) + " whole numbers");
  for (const auto& d : **shape) {
    if (!d.is_int64() || d.get_int64() < 0) return wrong(name, "shape: expected whole numbers that are not negative");
    out.shape.push_back(d.get_int64());
  }
  const auto offsets = object->array("data_offsets");
  if (!offsets.ok() || (*offsets)->size() != 2) return wrong(name, "data_offsets: expected two whole numbers");
  out.begin = TRY(offset((**offsets)[0], name));
  out.end = TRY(offset((**offsets)[1], name));
  if (out.begin > out.end || out.end > data_bytes)
    return wrong(name, "bytes " + std::to_string(out.begin) + " to " + std::to_string(out.end) + " of " +
                           std::to_string(data_bytes) + " bytes of data");
  const auto bytes = bytes_of(out.shape, out.dtype);
  if (!bytes || *bytes != out.end - out.begin)
    return wrong(name, "its shape and dtype do not take the " + std::to_string(out.end - out.begin) +
                           " bytes between its offsets");
  return out;
}

Status parse_metadata(const json::value& value, SafetensorsHeader& out) {
  if (!value.is_object()) return fail(Code::corrupt, "safetensors: __metadata__: expected an object");
  for (const auto& [name, text] : value.get_object()) {
    if (!text.is_string()) return fail(Code::corrupt, "safetensors: __metadata__: expected strings");
    out.metadata.emplace(name, text.get_string());
  }
  return {};
}

// End to end over all of the data: no overlap, no hole, nothing after the last.
Status check_cover(const SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<std::pair<std::pair<uint64_t, uint64_t>, std::string_view>> ranges;
  for (const auto& [name, tensor] : header.tensors) ranges.push_back({{tensor.begin, tensor.end}, name});
  std::sort(ranges.begin(), ranges.end());
  uint64_t at = 0;
  for (const auto& [range, name] : ranges) {
    if (range.first != at)
      return wrong(name, std::string(range.first < at ? "overlaps another one" : "leaves a gap before it") +
                             " at byte " + std::to_string(range.first));
    at = range.second;
  }
  if (at != data_bytes)
    return fail(Code::corrupt, "safetensors: tensors end at byte " + std::to_string(at) + " of " +
                                   std::to_string(data_bytes) + " bytes of data");
  return {};
}

uint64_t get_u64le(std::string_view bytes) {
  uint64_t v = 0;
  for (size_t i = 0; i < 8; ++i) v |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return v;
}

}  // namespace

size_t dtype_bytes(Dtype dtype) { return row_of(dtype).bytes; }
std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }
Result<Dtype> parse_dtype(std::string_view name) {
  for (const DtypeRow& row : kDtypes)
    if (row.name == name) return row.dtype;
  return fail(Code::corrupt, "dtype: expected F32, BF16, F16 or another of safetensors' names");
}

int64_t TensorInfo::elements() const { return static_cast<int64_t>((end - begin) / dtype_bytes(dtype)); }

Result<SafetensorsHeader> parse_safetensors_header(std::string_view start, uint64_t file_size) {
  if (file_size < 8 || start.size() < 8)
    return fail(Code::corrupt, "safetensors: " + std::to_string(file_size) + " bytes are too few for a header");
  const uint64_t n = get_u64le(start);
  if (n > kMaxSafetensorsHeader || n > file_size - 8 || n > start.size() - 8)
    return fail(Code::corrupt, "safetensors: a header of " + std::to_string(n) + " bytes in a file of " +
                                   std::to_string(file_size) + "; at most " + std::to_string(kMaxSafetensorsHeader));
  SafetensorsHeader out;
  out.data_offset = 8 + n;
  const uint64_t data_bytes = file_size - out.data_offset;
  const json::value value = TRY(parse_json(start.substr(8, n), kMaxSafetensorsHeader, "safetensors: header"));
  const JsonObject object = TRY(JsonObject::of(value, "safetensors: header"));
  if (object.raw().size() > kMaxTensors + 1)
    return fail(Code::corrupt, "safetensors: over " + std::to_string(kMaxTensors) + " tensors");
  for (const auto& [name, member] : object.raw()) {
    if (name == "__metadata__") {
      TRY(parse_metadata(member, out));
    } else {
      out.tensors.emplace(name, TRY(parse_tensor(name, member, data_bytes)));
    }
  }
  TRY(check_cover(out, data_bytes));
  return out;
}

Result<Safetensors> Safetensors::open(os::Mapping mapping) {
  Safetensors out;
  out.header_ = TRY(parse_safetensors_header(mapping.bytes(), mapping.bytes().size()));
  out.mapping_ = std::move(mapping);
  return out;
}

Result<const TensorInfo*> Safetensors::find(std::string_view name) const {
  const auto it = header_.tensors.find(name);
  if (it == header_.tensors.end())
    return fail(Code::not_found, "safetensors: no tensor '" + std::string(name) + "' in the file");
  return &it->second;
}

std::string_view Safetensors::data(const TensorInfo& tensor) const {
  check(tensor.end <= mapping_.bytes().size() - header_.data_offset, "a tensor of another file");
  return mapping_.bytes().substr(header_.data_offset + tensor.begin, tensor.end - tensor.begin);
}

Result<std::string> safetensors_start(std::span<const TensorToWrite> tensors,
                                      const std::map<std::string, std::string>& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object entries;
    for (const auto& [name, text] : metadata) entries[name] = text;
    header["__metadata__"] = std::move(entries);
  }
  uint64_t at = 0;
  for (const TensorToWrite& tensor : tensors) {
    const auto bytes = bytes_of(tensor.shape, tensor.dtype);
    check(bytes && *bytes == tensor.bytes.size(), "safetensors: bytes to write do not fit the shape");
    if (header.contains(tensor.name)) return wrong(tensor.name, "written twice");
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", json::value_from(tensor.shape)},
                           {"data_offsets", {at, at + *bytes}}};
    at += *bytes;
  }
  std::string text = json::serialize(header);
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  if (text.size() > kMaxSafetensorsHeader) return fail(Code::too_large, "safetensors: too many tensors for a header");
  std::string out;
  for (size_t i = 0; i < 8; ++i) out.push_back(static_cast<char>(uint64_t{text.size()} >> (8 * i)));
  return out + text;
}

Status write_safetensors(os::File& file, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata) {
  const std::string start = TRY(safetensors_start(tensors, metadata));
  TRY(file.write_at(0, start));
  uint64_t at = start.size();
  for (const TensorToWrite& tensor : tensors) {
    TRY(file.write_at(at, tensor.bytes));
    at += tensor.bytes.size();
  }
  return {};
}

}  // namespace hf::format
