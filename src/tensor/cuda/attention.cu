// Attention over paged keys and values, in parts of 256 positions: of each part the largest score, the sum of the
// weights and the weighted sum of the values; parts join in order. Where there are many rows, a block goes through all
// parts; where there are few, each part is a block of its own and a second kernel joins them: the same arithmetic.
//
// The heads that share keys, of up to 8 rows of a sequence, are the block's Q queries.
#include <cfloat>

#include "tensor/cuda/launch.h"

namespace hf::tensor::cuda {
namespace {

constexpr int kPart = static_cast<int>(kDevicePart), kSlots = static_cast<int>(kDevicePositions);
constexpr int kQuarters = 4;  // of a part's values, summed apart, then in order
static_assert(kPart == kThreads, "a thread for each position of a part");

struct Attention {
  DeviceBatch b;
  DeviceHeads h;
  const float* qkv;
  float* parts;        // split: [row][head][part] of dim sums, then the largest score, then the sum of weights
  int64_t part_count;  // of the grid
  uint16_t* y;
  float scale;
};
constexpr int kPartFloats = 4;  // behind the dim sums: two are used, the rest keeps vectors aligned

// Joins a part to what came before it; `first`: nothing did.
struct Joint {
  float largest, old_by, new_by;
};
__device__ inline Joint join(float before, float part) {
  const float largest = fmaxf(before, part);
  return {largest, __expf(before - largest), __expf(part - largest)};
}

template <int Q>
struct Shared {
  static constexpr int kStride = Q + 4;  // of a position's weights: vectors of neighbours lie in different banks
  float *queries, *weights, *sums, *all, *stats;
  const float** pages;  // of the part: its keys of this layer and head
  __device__ Shared(float* at, int dim)
      : queries(at),                      // [dim][Q]
        weights(queries + dim * Q),       // [256][kStride]
        sums(weights + kPart * kStride),  // [4][Q][dim]
        all(sums + kQuarters * Q * dim),  // [Q][dim], of all parts so far
        stats(all + Q * dim),             // largest and sum: of the part, of all
        pages(reinterpret_cast<const float**>(stats + 4 * Q)) {}
  static size_t bytes(int64_t dim) {
    return static_cast<size_t>(dim * Q + kPart * kStride + kQuarters * Q * dim + Q * dim + 4 * Q) * sizeof(float) +
           kPart / kSlots * sizeof(float*);
  }
};

template <int Q>
struct Block {
  const Attention& a;
  DeviceSpan span;
  DeviceRow first;
  int dim, group, kv_head, query;  // query: the block's first, of the span's count * group
  int64_t length;                  // positions that the span's last row sees

  __device__ int valid(int q) const {  // positions that it sees; 0: there is no such query
    const int i = query + q;
    return i < span.count * group ? first.position + i / group + 1 : 0;
  }
  __device__ int64_t row(int q) const { return span.row + (query + q) / group; }
  __device__ int head(int q) const { return kv_head * group + (query + q) % group; }
  __device__ const float* keys(int64_t page) const {
    return a.b.pages_on[first.pages + page] + (a.h.layer * a.h.kv_heads + kv_head) * 2 * dim * kSlots;
  }
};

template <int Q>
__device__ void load_queries(const Block<Q>& k, const Shared<Q>& s) {
  const int64_t width = (k.a.h.heads + 2 * k.a.h.kv_heads) * k.dim;
  for (int i = static_cast<int>(threadIdx.x); i < Q * k.dim; i += kThreads) {
    const int q = i / k.dim, d = i % k.dim;
    s.queries[d * Q + q] = k.valid(q) > 0 ? k.a.qkv[k.row(q) * width + k.head(q) * k.dim + d] : 0.0f;
  }
}

// The part's pages, of those that the block's rows see.
template <int Q>
__device__ void find_pages(const Block<Q>& k, const Shared<Q>& s, int64_t begin) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < kPart / kSlots && begin + i * kSlots < k.length) s.pages[i] = k.keys(begin / kSlots + i);
}

// Each thread one position's scores. Loads go ahead of their use by kAhead.
template <int Q>
__device__ void score(const Block<Q>& k, const Shared<Q>& s, int64_t begin) {
  constexpr int kAhead = Q > 8 ? 16 : 32;
  const int i = static_cast<int>(threadIdx.x);
  const int64_t position = begin + i;
  float sum[Q] = {};
  if (position < k.length) {
    const float* key = s.pages[i / kSlots] + i % kSlots;
    for (int from = 0; from < k.dim; from += kAhead) {
      float x[kAhead];
#pragma unroll
      for (int d = 0; d < kAhead; ++d) x[d] = from + d < k.dim ? key[(from + d) * kSlots] : 0.0f;
#pragma unroll
      for (int d = 0; d < kAhead; ++d) {
        if (from + d >= k.dim) break;
        const float4* four = reinterpret_cast<const float4*>(s.queries + (from + d) * Q);
#pragma unroll
        for (int q = 0; q < Q; q += 4) {
          const float4 y = four[q / 4];
          sum[q] = fmaf(y.x, x[d], sum[q]);
          sum[q + 1] = fmaf(y.y, x[d], sum[q + 1]);
          sum[q + 2] = fmaf(y.z, x[d], sum[q + 2]);
          sum[q + 3] = fmaf(y.w, x[d], sum[q + 3]);
        }
      }
    }
  }
#pragma unroll
  for (int q = 0; q < Q; ++q)
    s.weights[i * Shared<Q>::kStride + q] = position < k.valid(q) ? sum[q] * k.a.scale : -FLT_MAX;
}

// Scores to weights, a warp for each query in turn.
template <int Q>
__device__ void weigh(const Block<Q>& k, const Shared<Q>& s, int64_t begin) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int q = static_cast<int>(threadIdx.x) / 32; q < Q; q += kThreads / 32) {
    float x[kPart / 32], largest = -FLT_MAX, sum = 0;
#pragma unroll
    for (int i = 0; i < kPart / 32; ++i) {
      x[i] = s.weights[(i * 32 + lane) * Shared<Q>::kStride + q];
      largest = fmaxf(largest, x[i]);
    }
    largest = max_of_warp(largest);
#pragma unroll
    for (int i = 0; i < kPart / 32; ++i) {
      const float w = begin + i * 32 + lane < k.valid(q) ? __expf(x[i] - largest) : 0.0f;
      sum += w;
      s.weights[(i * 32 + lane) * Shared<Q>::kStride + q] = w;
    }
    sum = sum_of_warp(sum);
    if (lane == 0) {
      s.stats[q] = largest;
      s.stats[Q + q] = sum;
    }
  }
}

template <int Q>
__device__ void sum_values(const Block<Q>& k, const Shared<Q>& s, int64_t begin) {
  constexpr int kEach = kPart / kQuarters;
  for (int i = static_cast<int>(threadIdx.x); i < kQuarters * k.dim; i += kThreads) {
    const int d = i % k.dim, from = i / k.dim * kEach;
    float sum[Q] = {};
    const int end = static_cast<int>(min(static_cast<int64_t>(from + kEach), k.length - begin));
    float ahead[kSlots];
    const auto fetch = [&](int page) {
      const float* values = s.pages[page / kSlots] + kSlots * k.dim + d;
#pragma unroll
      for (int j = 0; j < kSlots; ++j) ahead[j] = page + j < end ? values[j * k.dim] : 0.0f;
    };
    if (from < end) fetch(from);
    for (int page = from; page < end; page += kSlots) {
      float x[kSlots];
#pragma unroll
      for (int j = 0; j < kSlots; ++j) x[j] = ahead[j];
      if (page + kSlots < end) fetch(page + kSlots);
#pragma unroll
      for (int j = 0; j < kSlots; ++j) {
        if (page + j >= end) break;
        const float4* w = reinterpret_cast<const float4*>(s.weights + (page + j) * Shared<Q>::kStride);
#pragma unroll
        for (int q = 0; q < Q; q += 4) {
          const float4 four = w[q / 4];
          sum[q] = fmaf(four.x, x[j], sum[q]);
          sum[q + 1] = fmaf(four.y, x[j], sum[q + 1]);
          sum[q + 2] = fmaf(four.z, x[j], sum[q + 2]);
          sum[q + 3] = fmaf(four.w, x[j], sum[q + 3]);
        }
      }
    }
#pragma unroll
    for (int q = 0; q < Q; ++q) s.sums[(i / k.dim * Q + q) * k.dim + d] = sum[q];
  }
}

template <int Q>
__device__ inline float of_part(const Shared<Q>& s, int at, int dim) {
  float sum = s.sums[at];
#pragma unroll
  for (int quarter = 1; quarter < kQuarters; ++quarter) sum += s.sums[quarter * Q * dim + at];
  return sum;
}

// The part joins what the block has.
template <int Q>
__device__ void keep(const Block<Q>& k, const Shared<Q>& s, int64_t begin) {
  float *part = s.stats, *all = s.stats + 2 * Q;
  for (int i = static_cast<int>(threadIdx.x); i < Q * k.dim; i += kThreads) {
    const int q = i / k.dim;
    if (begin >= k.valid(q)) continue;
    const float sum = of_part(s, i, k.dim);
    if (begin == 0) {
      s.all[i] = sum;
    } else {
      const Joint j = join(all[q], part[q]);
      s.all[i] = s.all[i] * j.old_by + sum * j.new_by;
    }
  }
  __syncthreads();
  for (int q = static_cast<int>(threadIdx.x); q < Q; q += kThreads) {
    if (begin >= k.valid(q)) continue;
    const Joint j = join(begin == 0 ? part[q] : all[q], part[q]);
    all[Q + q] = begin == 0 ? part[Q + q] : all[Q + q] * j.old_by + part[Q + q] * j.new_by;
    all[q] = j.largest;
  }
}

template <int Q>
__device__ void give(const Block<Q>& k, const Shared<Q>& s) {
  for (int i = static_cast<int>(threadIdx.x) * 4; i < Q * k.dim; i += kThreads * 4) {
    const int q = i / k.dim, d = i % k.dim;
    if (k.valid(q) == 0) continue;
    const float sum = s.stats[3 * Q + q];
    put_activations(k.a.y, k.row(q), static_cast<int64_t>(k.head(q)) * k.dim + d, k.a.h.heads * k.dim,
                    {s.all[i] / sum, s.all[i + 1] / sum, s.all[i + 2] / sum, s.all[i + 3] / sum});
  }
}

template <int Q>
__device__ void give_part(const Block<Q>& k, const Shared<Q>& s, int64_t part) {
  for (int i = static_cast<int>(threadIdx.x); i < Q * k.dim; i += kThreads) {
    const int q = i / k.dim, d = i % k.dim;
    if (part * kPart >= k.valid(q)) continue;
    float* to = k.a.parts + ((k.row(q) * k.a.h.heads + k.head(q)) * k.a.part_count + part) * (k.dim + kPartFloats);
    to[d] = of_part(s, i, k.dim);
    if (d == 0) {
      to[k.dim] = s.stats[q];
      to[k.dim + 1] = s.stats[Q + q];
    }
  }
}

template <int Q, bool kSplit>
__global__ void __launch_bounds__(kThreads) attend_spans(const Attention a, int blocks_of_span) {
  extern __shared__ float memory[];
  let_next_start();
  wait_for_previous();
  const DeviceSpan span = a.b.spans_on[blockIdx.x / static_cast<unsigned>(blocks_of_span)];
  const DeviceRow first = a.b.rows_on[span.row];
  const Block<Q> k{a,
                   span,
                   first,
                   static_cast<int>(a.h.dim),
                   static_cast<int>(a.h.heads / a.h.kv_heads),
                   static_cast<int>(blockIdx.y),
                   static_cast<int>(blockIdx.x % static_cast<unsigned>(blocks_of_span)) * Q,
                   first.position + span.count};
  if (k.valid(0) == 0) return;
  const Shared<Q> s(memory, k.dim);
  load_queries(k, s);
  for (int64_t part = kSplit ? blockIdx.z : 0; part * kPart < k.length; ++part) {
    const int64_t begin = part * kPart;
    find_pages(k, s, begin);
    __syncthreads();
    score(k, s, begin);
    __syncthreads();
    weigh(k, s, begin);
    __syncthreads();
    sum_values(k, s, begin);
    __syncthreads();
    if (kSplit) return give_part(k, s, part);
    keep(k, s, begin);
    __syncthreads();
  }
  if (!kSplit) give(k, s);
}

// A block for each row and head, a thread for four of its outputs.
__global__ void join_parts(const Attention a) {
  let_next_start();
  wait_for_previous();
  const int dim = static_cast<int>(a.h.dim), d = static_cast<int>(threadIdx.x) * 4;
  if (d >= dim) return;
  const int64_t row = blockIdx.x, head = blockIdx.y;
  const int64_t count = (a.b.rows_on[row].position + kPart) / kPart;
  const float* part = a.parts + (row * a.h.heads + head) * a.part_count * (dim + kPartFloats);
  float4 all = *reinterpret_cast<const float4*>(part + d);
  float largest = part[dim], sum = part[dim + 1];
  for (int64_t p = 1; p < count; ++p) {
    part += dim + kPartFloats;
    const float4 v = *reinterpret_cast<const float4*>(part + d);
    const Joint j = join(largest, part[dim]);
    all.x = all.x * j.old_by + v.x * j.new_by;
    all.y = all.y * j.old_by + v.y * j.new_by;
    all.z = all.z * j.old_by + v.z * j.new_by;
    all.w = all.w * j.old_by + v.w * j.new_by;
    sum = sum * j.old_by + part[dim + 1] * j.new_by;
    largest = j.largest;
  }
  put_activations(a.y, row, head * dim + d, a.h.heads * dim, {all.x / sum, all.y / sum, all.z / sum, all.w / sum});
}

template <int Q>
void attend_by(Queue& q, const Attention& a) {
  const int64_t queries = a.b.widest * (a.h.heads / a.h.kv_heads);
  const int64_t blocks_of_span = (queries + Q - 1) / Q;
  dim3 grid(static_cast<unsigned>(a.b.spans * blocks_of_span), static_cast<unsigned>(a.h.kv_heads));
  const size_t shared = Shared<Q>::bytes(a.h.dim);
  if (a.part_count == 1) {
    launch(q, attend_spans<Q, false>, grid, kThreads, shared, a, static_cast<int>(blocks_of_span));
    return;
  }
  grid.z = static_cast<unsigned>(a.part_count);
  launch(q, attend_spans<Q, true>, grid, kThreads, shared, a, static_cast<int>(blocks_of_span));
  const dim3 heads(static_cast<unsigned>(a.b.rows), static_cast<unsigned>(a.h.heads));
  launch(q, join_parts, heads, static_cast<int>((a.h.dim / 4 + 31) / 32 * 32), 0, a);
}

// 1: a block goes through all parts. Few rows are split, to fill the processors.
int64_t parts_apart(const DeviceBatch& b) {
  const int64_t parts = (b.positions + kPart - 1) / kPart;
  return b.rows <= 32 ? parts : 1;
}

}  // namespace

int64_t attention_floats(const DeviceBatch& b, const DeviceHeads& h) {
  const int64_t parts = parts_apart(b);
  return parts == 1 ? 0 : b.rows * h.heads * parts * (h.dim + kPartFloats);
}

void attend(Queue& q, const DeviceBatch& b, const DeviceHeads& h, const float* qkv, float* parts, uint16_t* y) {
  const Attention a{b, h, qkv, parts, parts_apart(b), y, 1.0f / sqrtf(static_cast<float>(h.dim))};
  const int64_t queries = b.widest * (h.heads / h.kv_heads);
  if (queries <= 4) return attend_by<4>(q, a);
  if (queries <= 8 || h.dim > 128) return attend_by<8>(q, a);
  attend_by<32>(q, a);
}

}  // namespace hf::tensor::cuda
