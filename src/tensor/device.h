// A device with memory of its own that serves models: what model/llama_device.cc is made of, one class for each kind.
//
// A Kernels table (kernels.h) works on the caller's memory and returns when it is done. A device does neither: its
// memory is another one, and work is queued, in order, until wait(). So it has ops of a whole step's rows instead.
// docs/decisions/0012-cuda.md says why.
//
// Numbers. Activations are bfloat16 where a product reads them, else float. Weights stay what they are: floats are two
// bfloat16 (16 bits of them count), quantised ones become their exact whole numbers, scaled in float after the product.
// A product's sum runs over slices of 256 inputs, in order, each slice in tiles of 32, in order; attention's over parts
// of 256 positions, in order. Neither depends on the number of rows or on the other rows: a row's result is the same
// bits in every batch, however a prompt is cut.
//
// Activations lie in the order of the tensor cores' operand: activation_index().
// One thread at a time. Pointers named *_on are the device's. An error sticks: ops after it do nothing, status() tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "tensor/dtype.h"

namespace hf::tensor {

constexpr int64_t kDeviceSlice = 256;     // inputs that are summed before they join the sum
constexpr int64_t kDeviceTile = 32;       // inputs of one tile
constexpr int64_t kDevicePart = 256;      // positions that attention sums before they join the sum
constexpr int64_t kDeviceRowPad = 128;    // rows of activations have room for a multiple of it
constexpr int64_t kDevicePositions = 16;  // of a page of keys and values

constexpr int64_t device_tiles(int64_t k) { return (k + kDeviceTile - 1) / kDeviceTile; }
// Where element (row, i) of activations of width k lies: 8 rows x 32 inputs together, in the order in which a warp's
// lanes hold them; the inputs up to a multiple of 32 are zeros.
constexpr int64_t activation_index(int64_t row, int64_t i, int64_t k) {
  const int64_t in = i % 32;
  const int64_t lane = row % 8 * 4 + in % 16 / 4;
  return ((row / 8 * device_tiles(k) + i / 32) * 32 + lane) * 8 + in / 16 * 4 + in % 4;
}
constexpr int64_t activation_elements(int64_t rows, int64_t k) {
  return (rows + kDeviceRowPad - 1) / kDeviceRowPad * kDeviceRowPad * device_tiles(k) * kDeviceTile;
}

// A right operand on the device. Plain: DeviceMemory owns what it points to.
struct DeviceMatrix {
  DType type = DType::bf16;  // f32: as two bfloat16
  int64_t k = 0, n = 0;
  const void* quants_on = nullptr;  // [n / 16][k / 32] tiles in the order of the tensor cores' operand
  const void* high_on = nullptr;    // q6_k: the upper bits, [n / 16][k / 32][2][8] uint2
  const void* scales_on = nullptr;  // quantised: [n / 16][k / 32][8] words, of outputs r and r + 8
  const void* supers_on = nullptr;  // q4_k, q6_k: [n / 16][k / 256][8] uint2
};

// A right operand in the host's panels (kernels.h: f32, bf16; quant.h).
struct HostMatrix {
  DType type = DType::bf16;
  int64_t k = 0, n = 0;
  const void* panels = nullptr;
};

struct DeviceRow {
  int32_t token = 0, position = 0;
  int32_t pages = 0;  // index of its sequence's first page in the list of pages
};
// Rows of one sequence, consecutive, whose attention is computed together: at most kDeviceSpanRows.
struct DeviceSpan {
  int32_t row = 0, count = 0;
};
constexpr int64_t kDeviceSpanRows = 8;

// What a call of forward computes, on the device.
struct DeviceBatch {
  int64_t rows = 0, spans = 0;
  int64_t widest = 1;     // rows of a span at most
  int64_t positions = 1;  // each row's position is below it
  const DeviceRow* rows_on = nullptr;
  const DeviceSpan* spans_on = nullptr;
  float* const* pages_on = nullptr;  // page (model/llama.h) pointers
};

// Of one layer's attention.
struct DeviceHeads {
  int64_t heads = 0, kv_heads = 0, dim = 0, layer = 0;
  float epsilon = 0;
  const float* q_gain_on = nullptr;  // (dim), null: queries and keys are not normed
  const float* k_gain_on = nullptr;
  const float* cosine_on = nullptr;  // (context, dim / 2)
  const float* sine_on = nullptr;
};

class Device;

class DeviceMemory {  // owned; the device must outlive it
 public:
  DeviceMemory() = default;
  DeviceMemory(Device* device, void* on, size_t bytes) : device_(device), on_(on), bytes_(bytes) {}
  DeviceMemory(DeviceMemory&& o) noexcept
      : device_(o.device_), on_(std::exchange(o.on_, nullptr)), bytes_(std::exchange(o.bytes_, size_t{0})) {}
  DeviceMemory& operator=(DeviceMemory&& o) noexcept {
    std::swap(device_, o.device_);
    std::swap(on_, o.on_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~DeviceMemory();
  template <class T>
  T* as() const {
    return static_cast<T*>(on_);
  }
  size_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  void* on_ = nullptr;
  size_t bytes_ = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string words() const = 0;  // "NVIDIA H100 80GB HBM3, 132 multiprocessors, ..."
  virtual const Status& status() const = 0;

  virtual Result<DeviceMemory> allocate(size_t bytes) = 0;  // zeros; exhausted: there is no room
  virtual void free(void* on) = 0;
  virtual void upload(void* to_on, const void* from, size_t bytes) = 0;    // `from` may go when it returns
  virtual void download(void* to, const void* from_on, size_t bytes) = 0;  // waits for all that was queued
  virtual void wait() = 0;
  // Runs `ops`, or what they queued when they ran under this key before: the same calls with the same arguments.
  virtual void again(const void* who, uint64_t key, const std::function<void()>& ops) = 0;
  virtual void forget(const void* who) = 0;  // its keys: arguments change

  // The matrix in the device's order, its memory added to `out`.
  virtual Result<DeviceMatrix> matrix(const HostMatrix& m, DeviceMemory* out) = 0;

  // x (rows, m.k) floats: row r is the weights of output `token`.
  virtual void embed(const DeviceBatch& b, const DeviceMatrix& m, float* x_on) = 0;
  // y, activations: x / sqrt(mean(x^2) + epsilon) * gain. Row r of y is row which_on[r] of x (null: r).
  virtual void norm(int64_t rows, int64_t width, const float* x_on, const int32_t* which_on, const float* gain_on,
                    float epsilon, uint16_t* y_on) = 0;
  // y (rows, y_row) = x . w, or added to it; x: activations of width w.k.
  virtual void multiply(int64_t rows, const DeviceMatrix& w, const uint16_t* x_on, float* y_on, int64_t y_row,
                        bool accumulate) = 0;
  // y, activations (rows, w.n / 2): swiglu() of x . w, whose first half are gates. w.n is a multiple of 32.
  virtual void multiply_gated(int64_t rows, const DeviceMatrix& w, const uint16_t* x_on, uint16_t* y_on) = 0;
  // qkv (rows, (heads + 2 kv_heads) dim): queries are normed and turned where they are, keys too and then written into
  // the pages, values written.
  virtual void turn_and_store(const DeviceBatch& b, const DeviceHeads& h, float* qkv_on) = 0;
  // y, activations (rows, heads dim): attention of qkv's queries over the pages up to each row's position. `parts_on`:
  // attention_floats() of room.
  virtual void attend(const DeviceBatch& b, const DeviceHeads& h, const float* qkv_on, float* parts_on,
                      uint16_t* y_on) = 0;
  virtual int64_t attention_floats(const DeviceBatch& b, const DeviceHeads& h) const = 0;
  // y, activations (rows, ffn): silu(gate) * up; gate_up (rows, 2 ffn): gates, then ups.
  virtual void swiglu(int64_t rows, int64_t ffn, const float* gate_up_on, uint16_t* y_on) = 0;
};

inline DeviceMemory::~DeviceMemory() {
  if (on_ != nullptr) device_->free(on_);
}

// The first CUDA device. unavailable: this build has no CUDA, or the machine has no device that it runs on.
Result<std::unique_ptr<Device>> open_cuda();

}  // namespace hf::tensor
