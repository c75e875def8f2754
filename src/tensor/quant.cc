#include "tensor/quant.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "tensor/kernels.h"

namespace hf::tensor {
namespace {

constexpr int64_t up64(int64_t n) { return (n + 63) / 64 * 64; }

uint16_t half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

// One output's blocks, taken apart: q is unsigned as the layout keeps it.
struct Row {
  uint8_t q[256];
  uint16_t d = 0, m = 0;           // of the 256 (or 32) inputs
  uint8_t s[16] = {}, t[16] = {};  // q4_k: each 32; q6_k: s each 16, as its bits
};

void read_q4_k(const uint8_t* p, Row* row) {
  row->d = half_at(p);
  row->m = half_at(p + 2);
  const uint8_t* packed = p + 4;  // 12 bytes: eight 6-bit s and eight 6-bit t
  for (int j = 0; j < 4; ++j) {
    row->s[j] = packed[j] & 63;
    row->t[j] = packed[j + 4] & 63;
    row->s[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4);
    row->t[j + 4] = static_cast<uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4);
  }
  const uint8_t* q = p + 16;
  for (int c = 0; c < 4; ++c) {
    for (int l = 0; l < 32; ++l) {
      row->q[c * 64 + l] = q[c * 32 + l] & 15;
      row->q[c * 64 + 32 + l] = q[c * 32 + l] >> 4;
    }
  }
}

void read_q6_k(const uint8_t* p, Row* row) {
  const uint8_t* low = p;
  const uint8_t* high = p + 128;
  for (int half = 0; half < 2; ++half, low += 64, high += 32) {
    for (int l = 0; l < 32; ++l) {
      uint8_t* q = row->q + half * 128 + l;
      q[0] = static_cast<uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
      q[32] = static_cast<uint8_t>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
      q[64] = static_cast<uint8_t>((low[l] >> 4) | (high[l] >> 4 & 3) << 4);
      q[96] = static_cast<uint8_t>((low[l + 32] >> 4) | (high[l] >> 6) << 4);
    }
  }
  std::memcpy(row->s, p + 192, 16);
  row->d = half_at(p + 208);
}

// The type's block at p.
void read_block(DType type, const uint8_t* p, Row* row) {
  switch (type) {
    case DType::q8_0:
      row->d = half_at(p);
      for (int i = 0; i < 32; ++i) row->q[i] = static_cast<uint8_t>(p[2 + i] ^ 0x80);
      return;
    case DType::q4_0:
      row->d = half_at(p);
      for (int i = 0; i < 16; ++i) {
        row->q[i] = p[2 + i] & 15;
        row->q[16 + i] = p[2 + i] >> 4;
      }
      return;
    case DType::q4_k:
      return read_q4_k(p, row);
    case DType::q6_k:
      return read_q6_k(p, row);
    default:
      check(false, "a quantised type");
  }
}

void put_half(uint8_t* p, uint16_t bits) { std::memcpy(p, &bits, 2); }

// 32 inputs of one output (lane) into the vectors of a block.
void put_quants(DType type, const uint8_t* q, int64_t lane, uint8_t* block) {
  for (int64_t i = 0; i < 32; ++i) {
    const int64_t g = i / 4, at = lane * 4 + i % 4;
    const auto value = static_cast<unsigned>(q[i]);
    if (type == DType::q8_0) {
      block[g * 64 + at] = q[i];
      continue;
    }
    uint8_t& low = block[(g & 3) * 64 + at];
    low = static_cast<uint8_t>(low | (value & 15) << (g >> 2) * 4);
    if (type != DType::q6_k) continue;
    uint8_t& high = block[256 + (g & 1) * 64 + at];
    high = static_cast<uint8_t>(high | (value >> 4) << 2 * (g >> 1));
  }
}

void put_row(DType type, const QuantLayout& layout, const uint8_t* from, int64_t k, int64_t lane, uint8_t* panel) {
  const int64_t width = block_elements(type);
  const int64_t bytes = row_bytes(type, width);
  Row row;
  for (int64_t first = 0; first < k; first += width, from += bytes) {
    read_block(type, from, &row);
    for (int64_t i = 0; i < width; i += 32) {
      const int64_t b = (first + i) / 32, sub = i / 32;
      uint8_t* scales = panel + layout.scales + b * layout.scale_block;
      if (type == DType::q8_0 || type == DType::q4_0) put_half(scales + lane * 2, row.d);
      if (type == DType::q4_k) {
        scales[lane] = row.s[sub];
        scales[16 + lane] = row.t[sub];
      }
      if (type == DType::q6_k) {
        scales[lane] = row.s[2 * sub];
        scales[16 + lane] = row.s[2 * sub + 1];
      }
      put_quants(type, row.q + i, lane, panel + layout.quants + b * layout.quant_block);
    }
    const int64_t super = first / 256;
    if (type == DType::q4_k) {
      put_half(panel + super * 64 + lane * 2, row.d);
      put_half(panel + super * 64 + 32 + lane * 2, row.m);
    }
    if (type == DType::q6_k) put_half(panel + super * 32 + lane * 2, row.d);
  }
}

uint8_t get_quant(DType type, const uint8_t* block, int64_t lane, int64_t i) {
  const int64_t g = i / 4, at = lane * 4 + i % 4;
  if (type == DType::q8_0) return block[g * 64 + at];
  const unsigned low = (static_cast<unsigned>(block[(g & 3) * 64 + at]) >> (g >> 2) * 4) & 15u;
  if (type != DType::q6_k) return static_cast<uint8_t>(low);
  return static_cast<uint8_t>(low | ((static_cast<unsigned>(block[256 + (g & 1) * 64 + at]) >> 2 * (g >> 1)) & 3u)
                                        << 4);
}

}  // namespace

bool quantised(DType type) { return block_elements(type) > 1; }

QuantLayout quant_layout(DType type, int64_t k) {
  QuantLayout l{};
  const bool supers = type == DType::q4_k || type == DType::q6_k;
  l.scales = supers ? up64(k / 256 * (type == DType::q4_k ? 64 : 32)) : 0;
  l.scale_block = 32;
  l.quants = l.scales + up64(k / 32 * 32);
  l.quant_block = type == DType::q8_0 ? 512 : type == DType::q6_k ? 384 : 256;
  l.panel = l.quants + k / 32 * l.quant_block;
  return l;
}

int64_t packed_bytes(DType type, int64_t k, int64_t n) { return panels(n) * quant_layout(type, k).panel; }

Status check_quant(DType type, int64_t k) {
  if (!quantised(type)) return fail(Code::invalid, std::string(name_of(type)) + " is not a quantised type");
  if (k <= 0 || k % block_elements(type) != 0)
    return fail(Code::invalid, "rows of " + std::string(name_of(type)) + " must be a multiple of " +
                                   std::to_string(block_elements(type)) + " long, found " + std::to_string(k));
  return {};
}

void pack_quant(std::span<const View> rows, uint8_t* out) {
  check(!rows.empty(), "something to pack");
  const DType type = rows[0].type;
  const int64_t k = rows[0].shape.at(1);
  const QuantLayout layout = quant_layout(type, k);
  int64_t n = 0;
  for (const View& view : rows) {
    check(view.type == type && view.shape.at(1) == k, "parts of one type and width");
    n += view.shape[0];
  }
  std::memset(out, 0, static_cast<size_t>(packed_bytes(type, k, n)));
  int64_t output = 0;
  for (const View& view : rows) {
    for (int64_t r = 0; r < view.shape[0]; ++r, ++output) {
      put_row(type, layout, reinterpret_cast<const uint8_t*>(view.data) + stored_row(view, r) * row_bytes(type, k), k,
              output % kPanel, out + output / kPanel * layout.panel);
    }
  }
}

void unpack_row(const QuantMatrix& m, int64_t index, float* out) {
  const QuantLayout layout = quant_layout(m.type, m.k);
  const uint8_t* panel = m.data + index / kPanel * layout.panel;
  const int64_t lane = index % kPanel;
  for (int64_t i = 0; i < m.k; ++i) {
    const int64_t b = i / 32;
    const uint8_t* scales = panel + layout.scales + b * layout.scale_block;
    const auto q = static_cast<int>(get_quant(m.type, panel + layout.quants + b * layout.quant_block, lane, i % 32));
    switch (m.type) {
      case DType::q8_0:
        out[i] = float_of_f16(half_at(scales + lane * 2)) * static_cast<float>(q - 128);
        break;
      case DType::q4_0:
        out[i] = float_of_f16(half_at(scales + lane * 2)) * static_cast<float>(q - 8);
        break;
      case DType::q4_k: {
        const uint8_t* super = panel + i / 256 * 64 + lane * 2;
        out[i] = float_of_f16(half_at(super)) * static_cast<float>(scales[lane]) * static_cast<float>(q) -
                 float_of_f16(half_at(super + 32)) * static_cast<float>(scales[16 + lane]);
        break;
      }
      default: {
        const auto s = static_cast<int8_t>(scales[(i % 32) / 16 * 16 + lane]);
        out[i] =
            float_of_f16(half_at(panel + i / 256 * 32 + lane * 2)) * static_cast<float>(s) * static_cast<float>(q - 32);
      }
    }
  }
}

void QuantRows::need(int64_t want_rows, int64_t want_k) {
  rows = want_rows;
  k = want_k;
  q.need(static_cast<size_t>(rows * k));
  scale.need(static_cast<size_t>(rows * (k / 32)));
  sum.need(static_cast<size_t>(rows * (k / 16)));
  const int64_t whole = rows / 16 * 16;
  tiles.need(static_cast<size_t>(whole * k));
  tile_scale.need(static_cast<size_t>(whole * (k / 32)));
  tile_sum.need(static_cast<size_t>(whole * (k / 32)));
}

}  // namespace hf::tensor
