#include "format/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"

namespace hf::format {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kVersion = 3;
constexpr uint64_t kMaxKey = 65535;
constexpr uint64_t kMaxTensorName = 64;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kDefaultAlignment = 32;

enum Kind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, list_of, u64, i64, f64 };

struct TypeRow {
  uint32_t id;  // ggml's
  tensor::DType type;
};
constexpr TypeRow kTypes[] = {{0, tensor::DType::f32},  {1, tensor::DType::f16},  {30, tensor::DType::bf16},
                              {2, tensor::DType::q4_0}, {8, tensor::DType::q8_0}, {12, tensor::DType::q4_k},
                              {14, tensor::DType::q6_k}};

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return "'" + out + "'";
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  Error broken(const std::string& what) const {
    return fail(Code::corrupt, "GGUF: at byte " + std::to_string(at_) + ": " + what);
  }
  template <class T>
  Result<T> take(const char* what) {
    if (left() < sizeof(T)) return broken(std::string("the file ends within ") + what);
    T out;
    std::memcpy(&out, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return out;
  }
  Result<std::string_view> text(const char* what, uint64_t most) {
    const auto size = TRY(take<uint64_t>(what));
    if (size > most || size > left())
      return broken(std::string(what) + " of " + std::to_string(size) + " bytes; expected at most " +
                    std::to_string(std::min(most, left())));
    const std::string_view out = bytes_.substr(at_, size);
    at_ += size;
    return out;
  }
  // So many things of at least `each` bytes are to follow.
  Result<uint64_t> count(const char* what, uint64_t each, uint64_t most) {
    const auto n = TRY(take<uint64_t>(what));
    if (n > most || n > left() / each)
      return broken(std::to_string(n) + " " + what + "; expected at most " +
                    std::to_string(std::min(most, left() / each)));
    return n;
  }

 private:
  std::string_view bytes_;
  uint64_t at_ = 0;
};

uint64_t least_bytes(uint32_t kind) {
  switch (kind) {
    case u16:
    case i16:
      return 2;
    case u32:
    case i32:
    case f32:
      return 4;
    case u64:
    case i64:
    case f64:
    case string:
      return 8;
    default:
      return 1;
  }
}

Result<GgufValue> read_scalar(Reader& in, uint32_t kind) {
  switch (kind) {
    case u8:
      return GgufValue(static_cast<int64_t>(TRY(in.take<uint8_t>("a value"))));
    case i8:
      return GgufValue(static_cast<int64_t>(TRY(in.take<int8_t>("a value"))));
    case u16:
      return GgufValue(static_cast<int64_t>(TRY(in.take<uint16_t>("a value"))));
    case i16:
      return GgufValue(static_cast<int64_t>(TRY(in.take<int16_t>("a value"))));
    case u32:
      return GgufValue(static_cast<int64_t>(TRY(in.take<uint32_t>("a value"))));
    case i32:
      return GgufValue(static_cast<int64_t>(TRY(in.take<int32_t>("a value"))));
    case i64:
      return GgufValue(TRY(in.take<int64_t>("a value")));
    case u64: {
      const auto value = TRY(in.take<uint64_t>("a value"));
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return GgufValue(value);
      return GgufValue(static_cast<int64_t>(value));
    }
    case f32:
      return GgufValue(static_cast<double>(TRY(in.take<float>("a value"))));
    case f64:
      return GgufValue(TRY(in.take<double>("a value")));
    case boolean: {
      const auto value = TRY(in.take<uint8_t>("a value"));
      if (value > 1) return in.broken("a boolean must be 0 or 1, found " + std::to_string(value));
      return GgufValue(value == 1);
    }
    case string:
      return GgufValue(TRY(in.text("a text", in.left())));
    default:
      return in.broken("no such kind of value: " + std::to_string(kind));
  }
}

Result<GgufValue> read_array(Reader& in) {
  const auto kind = TRY(in.take<uint32_t>("an array's kind"));
  if (kind > f64 || kind == list_of) return in.broken("an array of kind " + std::to_string(kind) + " is not read");
  const uint64_t n = TRY(in.count("entries of an array", least_bytes(kind), uint64_t{1} << 32));
  GgufArray out;
  if (kind == string) {
    out.texts.reserve(n);
  } else if (kind == f32 || kind == f64) {
    out.numbers.reserve(n);
  } else {
    out.integers.reserve(n);
  }
  for (uint64_t i = 0; i < n; ++i) {
    const GgufValue value = TRY(read_scalar(in, kind));
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      out.texts.push_back(*text);
    } else if (const auto* number = std::get_if<double>(&value)) {
      out.numbers.push_back(*number);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      out.integers.push_back(*flag ? 1 : 0);
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      out.integers.push_back(*integer);
    } else {
      return in.broken("an integer above 2^63");
    }
  }
  return GgufValue(std::move(out));
}

Result<tensor::DType> type_of(Reader& in, std::string_view name) {
  const auto id = TRY(in.take<uint32_t>("a tensor's type"));
  for (const TypeRow& row : kTypes)
    if (row.id == id) return row.type;
  return fail(Code::invalid, "GGUF: tensor " + shown(name) + " is of type " + std::to_string(id) +
                                 "; read are F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K");
}

// Without the place of its data's start in the file, which is known when all of the list has been read.
Result<GgufTensor> read_tensor(Reader& in, std::string_view name) {
  const auto rank = TRY(in.take<uint32_t>("a tensor's rank"));
  if (rank < 1 || rank > 4)
    return in.broken("tensor " + shown(name) + " has " + std::to_string(rank) + " dimensions; expected 1 to 4");
  GgufTensor out;
  uint64_t elements = 1;
  for (uint32_t d = 0; d < rank; ++d) {
    const auto n = TRY(in.take<uint64_t>("a tensor's shape"));
    if (n == 0 || n > uint64_t{1} << 40 || elements > (uint64_t{1} << 40) / n)
      return in.broken("tensor " + shown(name) + " is of 0 or over 2^40 numbers");
    elements *= n;
    out.shape.insert(out.shape.begin(), static_cast<int64_t>(n));
  }
  out.type = TRY(type_of(in, name));
  const int64_t block = tensor::block_elements(out.type);
  if (out.shape.back() % block != 0)
    return in.broken("tensor " + shown(name) + ": rows of " + std::to_string(out.shape.back()) + " numbers; " +
                     std::string(tensor::name_of(out.type)) + " needs a multiple of " + std::to_string(block));
  out.bytes = static_cast<uint64_t>(tensor::row_bytes(out.type, static_cast<int64_t>(elements)));
  out.begin = TRY(in.take<uint64_t>("a tensor's place"));
  return out;
}

Status place_tensors(std::map<std::string, GgufTensor, std::less<>>& tensors, uint64_t data, uint64_t size,
                     uint64_t alignment) {
  const auto broken = [](const std::string& name, const std::string& what) {
    return fail(Code::corrupt, "GGUF: tensor " + shown(name) + " " + what);
  };
  std::vector<std::pair<const std::string*, GgufTensor*>> order;
  for (auto& [name, tensor] : tensors) {
    if (tensor.begin % alignment != 0)
      return broken(name,
                    "begins at " + std::to_string(tensor.begin) + ", not a multiple of " + std::to_string(alignment));
    if (data > size || tensor.begin > size - data || tensor.bytes > size - data - tensor.begin)
      return broken(name, "lies outside the file of " + std::to_string(size) + " bytes");
    tensor.begin += data;
    order.emplace_back(&name, &tensor);
  }
  std::sort(order.begin(), order.end(), [](auto& a, auto& b) { return a.second->begin < b.second->begin; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i].second->begin < order[i - 1].second->begin + order[i - 1].second->bytes)
      return broken(*order[i].first, "overlaps " + shown(*order[i - 1].first));
  return {};
}

Error wrong(std::string_view key, const std::string& expected) {
  return fail(Code::invalid, "GGUF: '" + std::string(key.substr(0, 96)) + "' must be " + expected);
}

}  // namespace

Result<Gguf> Gguf::open(os::Mapping mapping) {
  Gguf out;
  out.mapping_ = std::move(mapping);
  Reader in(out.mapping_.bytes());
  if (TRY(in.take<uint32_t>("the header")) != kMagic) return in.broken("expected the letters GGUF");
  const auto version = TRY(in.take<uint32_t>("the header"));
  if (version != kVersion)
    return fail(Code::invalid, "GGUF: version " + std::to_string(version) + "; only version 3 is read");
  const uint64_t tensors = TRY(in.count("tensors", 24, kMaxGgufTensors));
  const uint64_t keys = TRY(in.count("metadata entries", 13, kMaxGgufKeys));
  for (uint64_t i = 0; i < keys; ++i) {
    const std::string_view key = TRY(in.text("a key", kMaxKey));
    const auto kind = TRY(in.take<uint32_t>("a value's kind"));
    GgufValue value = TRY(kind == list_of ? read_array(in) : read_scalar(in, kind));
    if (!out.values_.emplace(std::string(key), std::move(value)).second)
      return in.broken("key " + shown(key) + " twice");
  }
  for (uint64_t i = 0; i < tensors; ++i) {
    const std::string_view name = TRY(in.text("a tensor's name", kMaxTensorName));
    GgufTensor tensor = TRY(read_tensor(in, name));
    if (!out.tensors_.emplace(std::string(name), std::move(tensor)).second)
      return in.broken("tensor " + shown(name) + " twice");
  }
  const auto alignment =
      static_cast<uint64_t>(TRY(out.integer("general.alignment", static_cast<int64_t>(kDefaultAlignment))));
  if (alignment < 8 || alignment > kMaxAlignment || !std::has_single_bit(alignment))
    return wrong("general.alignment", "a power of two from 8 to " + std::to_string(kMaxAlignment));
  const uint64_t data = (in.at() + alignment - 1) / alignment * alignment;
  TRY(place_tensors(out.tensors_, data, out.size(), alignment));
  return out;
}

const GgufValue* Gguf::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

Result<int64_t> Gguf::integer(std::string_view key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return wrong(key, "present");
  if (const auto* i = std::get_if<int64_t>(v)) return *i;
  return wrong(key, "an integer below 2^63");
}
Result<int64_t> Gguf::integer(std::string_view key, int64_t other) const {
  return find(key) == nullptr ? Result<int64_t>(other) : integer(key);
}
Result<double> Gguf::number(std::string_view key, double other) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return other;
  if (const auto* d = std::get_if<double>(v)) return *d;
  if (const auto* i = std::get_if<int64_t>(v)) return static_cast<double>(*i);
  return wrong(key, "a number");
}
Result<bool> Gguf::boolean(std::string_view key, bool other) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return other;
  if (const auto* b = std::get_if<bool>(v)) return *b;
  return wrong(key, "true or false");
}
Result<std::string_view> Gguf::text(std::string_view key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return wrong(key, "present");
  if (const auto* s = std::get_if<std::string_view>(v)) return *s;
  return wrong(key, "a text");
}
Result<const GgufArray*> Gguf::array(std::string_view key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return wrong(key, "present");
  if (const auto* a = std::get_if<GgufArray>(v)) return a;
  return wrong(key, "an array");
}

tensor::View Gguf::view(const GgufTensor& t) const { return {t.type, t.shape, mapping_.bytes().data() + t.begin}; }

// ---- writing
namespace {

class Writer {
 public:
  template <class T>
  void put(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view s) {
    put<uint64_t>(s.size());
    out.append(s);
  }
  void value(const GgufNew& v) {
    std::visit([this](const auto& x) { one(x); }, v);
  }
  std::string out;

 private:
  void one(uint32_t x) { put<uint32_t>(u32), put(x); }
  void one(float x) { put<uint32_t>(f32), put(x); }
  void one(bool x) { put<uint32_t>(boolean), put<uint8_t>(x ? 1 : 0); }
  void one(const std::string& x) { put<uint32_t>(string), text(x); }
  template <class T>
  void list(uint32_t kind, const std::vector<T>& x) {
    put<uint32_t>(list_of), put(kind), put<uint64_t>(x.size());
  }
  void one(const std::vector<std::string>& x) {
    list(string, x);
    for (const auto& s : x) text(s);
  }
  void one(const std::vector<int32_t>& x) {
    list(i32, x);
    for (int32_t n : x) put(n);
  }
  void one(const std::vector<float>& x) {
    list(f32, x);
    for (float n : x) put(n);
  }
};

uint64_t padded(uint64_t n) { return (n + kDefaultAlignment - 1) / kDefaultAlignment * kDefaultAlignment; }

uint64_t bytes_of(const GgufTensorToWrite& t) {
  int64_t n = 1;
  for (int64_t d : t.shape) n *= d;
  return static_cast<uint64_t>(tensor::row_bytes(t.type, n));
}

}  // namespace

std::string gguf_start(std::span<const std::pair<std::string, GgufNew>> metadata,
                       std::span<const GgufTensorToWrite> tensors) {
  Writer w;
  w.put(kMagic);
  w.put(kVersion);
  w.put<uint64_t>(tensors.size());
  w.put<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    w.text(key);
    w.value(value);
  }
  uint64_t at = 0;
  for (const GgufTensorToWrite& t : tensors) {
    w.text(t.name);
    w.put(static_cast<uint32_t>(t.shape.size()));
    for (size_t d = t.shape.size(); d-- > 0;) w.put(static_cast<uint64_t>(t.shape[d]));
    for (const TypeRow& row : kTypes)
      if (row.type == t.type) w.put(row.id);
    w.put(at);
    at += padded(bytes_of(t));
  }
  w.out.resize(padded(w.out.size()));
  return std::move(w.out);
}

Status write_gguf(os::File& file, std::span<const std::pair<std::string, GgufNew>> metadata,
                  std::span<const GgufTensorToWrite> tensors) {
  const std::string start = gguf_start(metadata, tensors);
  TRY(file.write_at(0, start));
  uint64_t at = start.size();
  for (const GgufTensorToWrite& t : tensors) {
    check(t.bytes.size() == bytes_of(t), "a tensor's bytes are what its type and shape take");
    TRY(file.write_at(at, t.bytes));
    const uint64_t end = at + t.bytes.size();
    at += padded(t.bytes.size());
    if (at > end) TRY(file.write_at(end, std::string(at - end, '\0')));
  }
  return {};
}

}  // namespace hf::format
