#include "model/llama_device.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace hf::model {
namespace {

using tensor::DeviceBatch;
using tensor::DeviceMemory;
using tensor::DeviceRow;
using tensor::DeviceSpan;
using tensor::HostMatrix;

// Calls of up to so many rows are recorded: a decode step's many short kernels start faster so.
constexpr int64_t kRecordedRows = 32;
constexpr int64_t kRowsAtOnce = 1024;  // of one call; more are cut, which no result shows

constexpr size_t up256(size_t n) { return (n + 255) / 256 * 256; }

Status check_shape(const LlamaConfig& c) {
  const auto check_multiple = [](const char* what, int64_t value) -> Status {
    if (value % 4 == 0) return {};
    return fail(Code::invalid, std::string("to serve from a device, model setting ") + what +
                                   " must be a multiple of 4, found " + std::to_string(value));
  };
  TRY(check_multiple("hidden_size", c.width));
  TRY(check_multiple("head_dim", c.head_dim));
  return check_multiple("intermediate_size", c.ffn);
}

}  // namespace

// ---- Pages. Shared with the pages that are out, which may outlive the model.
struct DeviceLlama::FreePages {
  std::vector<DeviceMemory> all;
  std::vector<float*> free;
};

Result<Page> DeviceLlama::new_page() {
  FreePages& pages = *free_pages_;
  if (pages.free.empty()) {
    pages.all.push_back(TRY(device_.allocate(static_cast<size_t>(page_floats(host_.config)) * sizeof(float))));
    pages.free.push_back(pages.all.back().as<float>());
  }
  float* page = pages.free.back();
  pages.free.pop_back();
  return Page(page, [keep = free_pages_](float* p) { keep->free.push_back(p); });
}

// ---- Weights
Result<std::unique_ptr<DeviceLlama>> DeviceLlama::make(tensor::Device& device, const LlamaModel& host) {
  TRY(check_shape(host.config));
  std::unique_ptr<DeviceLlama> out(new DeviceLlama(device, host));
  out->free_pages_ = std::make_shared<FreePages>();
  TRY(out->load());
  return out;
}

DeviceLlama::~DeviceLlama() { device_.forget(this); }

Result<DeviceLlama::Parts> DeviceLlama::matrix(const Matrix& m) {
  Parts out;
  const auto add = [&](const HostMatrix& host, int64_t column) -> Status {
    DeviceMemory memory;
    out.push_back({TRY(device_.matrix(host, &memory)), column});
    weights_.push_back(std::move(memory));
    return {};
  };
  for (const Matrix::Quantised& part : m.quantised)
    TRY(add({part.m.type, part.m.k, part.m.n, part.m.data}, part.column));
  if (m.bf16 != nullptr) TRY(add({tensor::DType::bf16, m.k, m.n, m.bf16}, 0));
  if (m.f32 != nullptr) TRY(add({tensor::DType::f32, m.k, m.n, m.f32}, 0));
  return out;
}

Result<const float*> DeviceLlama::vector(const float* data, size_t count) {
  if (count == 0) return static_cast<const float*>(nullptr);
  weights_.push_back(TRY(device_.allocate(count * sizeof(float))));
  device_.upload(weights_.back().as<float>(), data, count * sizeof(float));
  return static_cast<const float*>(weights_.back().as<float>());
}

Status DeviceLlama::load() {
  const auto gain = [&](const tensor::Floats& g) { return vector(g.data(), g.size()); };
  for (const LlamaLayer& from : host_.layers) {
    Layer layer{};
    layer.attention_gain = TRY(gain(from.attention_gain));
    layer.ffn_gain = TRY(gain(from.ffn_gain));
    layer.q_gain = TRY(gain(from.q_gain));
    layer.k_gain = TRY(gain(from.k_gain));
    layer.qkv = TRY(matrix(from.qkv));
    layer.out = TRY(matrix(from.out));
    layer.gate_up = TRY(matrix(from.gate_up));
    layer.down = TRY(matrix(from.down));
    layers_.push_back(std::move(layer));
  }
  head_ = TRY(matrix(host_.head));
  final_gain_ = TRY(gain(host_.final_gain));
  const auto angles = static_cast<size_t>(host_.config.context * (host_.config.head_dim / 2));
  cosine_ = TRY(vector(host_.cosine, angles));
  sine_ = TRY(vector(host_.sine, angles));
  device_.wait();
  return device_.status();
}

// ---- A call
struct DeviceLlama::Inputs {
  std::vector<DeviceRow> rows;
  std::vector<DeviceSpan> spans;
  std::vector<int32_t> wanted;
  std::vector<float*> pages;
  int64_t widest = 1, positions = 1;

  Inputs(std::span<const TokenRow> from, std::span<const Sequence> sequences, int64_t span_rows);
  // One piece of memory, its parts at fixed places for as many rows: recorded work has their addresses.
  static size_t spans_at(int64_t rows) { return up256(static_cast<size_t>(rows) * sizeof(DeviceRow)); }
  static size_t wanted_at(int64_t rows) {
    return spans_at(rows) + up256(static_cast<size_t>(rows) * sizeof(DeviceSpan));
  }
  static size_t pages_at(int64_t rows) { return wanted_at(rows) + up256(static_cast<size_t>(rows) * 4); }
  size_t bytes(int64_t room) const { return pages_at(room) + pages.size() * sizeof(float*); }
  std::vector<char> packed(int64_t room) const;
};

DeviceLlama::Inputs::Inputs(std::span<const TokenRow> from, std::span<const Sequence> sequences, int64_t span_rows) {
  for (size_t r = 0; r < from.size(); ++r) {
    const TokenRow& row = from[r];
    const auto index = static_cast<int32_t>(r);
    const bool joins = r > 0 && row.sequence == from[r - 1].sequence;
    if (joins) {
      check(row.position == from[r - 1].position + 1, "rows of a sequence have consecutive positions");
      rows.push_back({row.token, row.position, rows.back().pages});
    } else {
      rows.push_back({row.token, row.position, static_cast<int32_t>(pages.size())});
      // As many as its rows here reach.
      size_t last = r;
      while (last + 1 < from.size() && from[last + 1].sequence == row.sequence) ++last;
      const auto count = static_cast<size_t>(from[last].position / kPagePositions + 1);
      const auto& all = sequences[static_cast<size_t>(row.sequence)].pages;
      pages.insert(pages.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
    }
    if (joins && spans.back().count < span_rows) {
      ++spans.back().count;
    } else {
      spans.push_back({index, 1});
    }
    if (row.logits) wanted.push_back(index);
    widest = std::max<int64_t>(widest, spans.back().count);
    positions = std::max<int64_t>(positions, row.position + 1);
  }
}

std::vector<char> DeviceLlama::Inputs::packed(int64_t room) const {
  std::vector<char> out(bytes(room));
  std::memcpy(out.data(), rows.data(), rows.size() * sizeof(DeviceRow));
  std::memcpy(out.data() + spans_at(room), spans.data(), spans.size() * sizeof(DeviceSpan));
  if (!wanted.empty()) std::memcpy(out.data() + wanted_at(room), wanted.data(), wanted.size() * 4);
  std::memcpy(out.data() + pages_at(room), pages.data(), pages.size() * sizeof(float*));
  return out;
}

// Where something grows, what was recorded is forgotten.
Status DeviceLlama::make_room(const Inputs& in) {
  const LlamaConfig& c = host_.config;
  const auto rows = std::max<int64_t>(static_cast<int64_t>(in.rows.size()), rooms_.rows);
  const auto grow = [&](DeviceMemory& memory, size_t bytes) -> Status {
    if (bytes <= memory.bytes()) return {};
    device_.forget(this);
    device_.wait();
    memory = DeviceMemory();  // first: there may not be room for both
    memory = TRY(device_.allocate(bytes));
    return {};
  };
  const auto floats = [](int64_t n) { return static_cast<size_t>(n) * sizeof(float); };
  const auto activations = [&](int64_t k) {  // and what a product fetches behind the last
    return static_cast<size_t>(tensor::activation_elements(rows, k)) * 2 + 8192;
  };
  int64_t room = std::max<int64_t>(rooms_.rows, kRecordedRows);
  while (room < rows) room *= 2;
  if (room != rooms_.rows) device_.forget(this);
  rooms_.rows = room;
  TRY(grow(rooms_.inputs, std::bit_ceil(in.bytes(room))));
  TRY(grow(rooms_.x, floats(rows * c.width)));
  TRY(grow(rooms_.normed, activations(c.width)));
  TRY(grow(rooms_.qkv, floats(rows * c.qkv_width())));
  TRY(grow(rooms_.attended, activations(c.q_width())));
  TRY(grow(rooms_.gate_up, floats(rows * 2 * c.ffn)));
  TRY(grow(rooms_.hidden, activations(c.ffn)));
  return grow(rooms_.logits, floats(std::max<int64_t>(1, static_cast<int64_t>(in.wanted.size())) * c.vocabulary));
}

tensor::DeviceHeads DeviceLlama::heads(const Layer& layer, int64_t index) const {
  const LlamaConfig& c = host_.config;
  return {c.heads, c.kv_heads, c.head_dim, index, c.norm_epsilon, layer.q_gain, layer.k_gain, cosine_, sine_};
}

void DeviceLlama::multiply(int64_t rows, const Parts& w, int64_t outputs, const uint16_t* x, float* y,
                           bool accumulate) {
  for (const Part& part : w) device_.multiply(rows, part.m, x, y + part.column, outputs, accumulate);
}

void DeviceLlama::layer(const Layer& l, int64_t index, const DeviceBatch& b) {
  const LlamaConfig& c = host_.config;
  float* x = rooms_.x.as<float>();
  float* qkv = rooms_.qkv.as<float>();
  auto* normed = rooms_.normed.as<uint16_t>();
  auto* attended = rooms_.attended.as<uint16_t>();
  auto* hidden = rooms_.hidden.as<uint16_t>();
  const tensor::DeviceHeads h = heads(l, index);
  device_.norm(b.rows, c.width, x, nullptr, l.attention_gain, c.norm_epsilon, normed);
  multiply(b.rows, l.qkv, c.qkv_width(), normed, qkv, false);
  device_.turn_and_store(b, h, qkv);
  device_.attend(b, h, qkv, rooms_.parts.as<float>(), attended);
  multiply(b.rows, l.out, c.width, attended, x, true);
  device_.norm(b.rows, c.width, x, nullptr, l.ffn_gain, c.norm_epsilon, normed);
  if (l.gate_up.size() == 1 && c.ffn % 16 == 0) {
    device_.multiply_gated(b.rows, l.gate_up[0].m, normed, hidden);
  } else {
    multiply(b.rows, l.gate_up, 2 * c.ffn, normed, rooms_.gate_up.as<float>(), false);
    device_.swiglu(b.rows, c.ffn, rooms_.gate_up.as<float>(), hidden);
  }
  multiply(b.rows, l.down, c.width, hidden, x, true);
}

Status DeviceLlama::forward(std::span<const TokenRow> rows, std::span<const Sequence> sequences,
                            std::span<float> logits) {
  const LlamaConfig& c = host_.config;
  while (rows.size() > kRowsAtOnce) {
    const auto first = rows.first(kRowsAtOnce);
    const auto wanted =
        static_cast<size_t>(std::count_if(first.begin(), first.end(), [](auto& r) { return r.logits; }));
    TRY(forward(first, sequences, logits.first(wanted * static_cast<size_t>(c.vocabulary))));
    logits = logits.subspan(wanted * static_cast<size_t>(c.vocabulary));
    rows = rows.subspan(kRowsAtOnce);
  }
  // Rows that share keys' reading: as many as make 32 queries of a key's head.
  const int64_t span_rows = std::clamp<int64_t>(32 / (c.heads / c.kv_heads), 1, tensor::kDeviceSpanRows);
  const Inputs in(rows, sequences, span_rows);
  TRY(make_room(in));
  const int64_t room = rooms_.rows;
  char* inputs = rooms_.inputs.as<char>();
  DeviceBatch b{.rows = static_cast<int64_t>(in.rows.size()),
                .spans = static_cast<int64_t>(in.spans.size()),
                .widest = in.widest,
                // Of recorded work a power of two: one recording serves many steps.
                .positions = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(in.positions))),
                .rows_on = reinterpret_cast<const DeviceRow*>(inputs),
                .spans_on = reinterpret_cast<const DeviceSpan*>(inputs + Inputs::spans_at(room)),
                .pages_on = reinterpret_cast<float* const*>(inputs + Inputs::pages_at(room))};
  const auto* wanted_on = reinterpret_cast<const int32_t*>(inputs + Inputs::wanted_at(room));
  const int64_t parts = device_.attention_floats(b, heads(layers_[0], 0));
  if (static_cast<size_t>(parts) * sizeof(float) > rooms_.parts.bytes()) {
    device_.forget(this);
    rooms_.parts = DeviceMemory();
    rooms_.parts = TRY(device_.allocate(static_cast<size_t>(parts) * sizeof(float)));
  }
  const std::vector<char> packed = in.packed(room);
  device_.upload(inputs, packed.data(), packed.size());
  float* x = rooms_.x.as<float>();
  if (!c.tied) {
    std::vector<float> embedded(in.rows.size() * static_cast<size_t>(c.width));
    for (size_t r = 0; r < rows.size(); ++r)
      host_.embed(rows[r].token, embedded.data() + r * static_cast<size_t>(c.width));
    device_.upload(x, embedded.data(), embedded.size() * sizeof(float));
  }
  const auto wanted = static_cast<int64_t>(in.wanted.size());
  const auto ops = [&] {
    if (c.tied) device_.embed(b, head_[0].m, x);
    for (size_t l = 0; l < layers_.size(); ++l) layer(layers_[l], static_cast<int64_t>(l), b);
    if (wanted == 0) return;
    device_.norm(wanted, c.width, x, wanted_on, final_gain_, c.norm_epsilon, rooms_.normed.as<uint16_t>());
    multiply(wanted, head_, c.vocabulary, rooms_.normed.as<uint16_t>(), rooms_.logits.as<float>(), false);
  };
  const bool single = b.rows <= kRecordedRows && in.spans.size() == in.rows.size();
  if (single) {
    const auto positions = static_cast<uint64_t>(b.positions);
    device_.again(this, positions << 20 | static_cast<uint64_t>(b.rows) << 10 | static_cast<uint64_t>(wanted), ops);
  } else {
    ops();
  }
  device_.download(logits.data(), rooms_.logits.as<float>(),
                   static_cast<size_t>(wanted * c.vocabulary) * sizeof(float));
  return device_.status();
}

}  // namespace hf::model
