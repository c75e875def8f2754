// The decoder of llama.h on a device (tensor/device.h): weights, activations, keys and values stay there; tokens and
// positions go in, logits come out. The same promises as forward_tokens(): a row's result is the same bits whatever
// other rows are in the call and however a prompt is cut. They are not the processor's bits: docs/decisions/
// 0012-cuda.md.
//
// Pages lie on the device, as the processor has them: page_floats() floats each. Those that are given back are kept for
// the next sequence. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/llama.h"
#include "tensor/device.h"

namespace hf::model {

class DeviceLlama {
 public:
  // Copies what `host` has loaded; of it only the configuration, gains and an untied embedding are read afterwards.
  // invalid: a shape that the device's kernels do not take. exhausted: no room.
  static Result<std::unique_ptr<DeviceLlama>> make(tensor::Device& device, const LlamaModel& host);

  ~DeviceLlama();
  DeviceLlama(const DeviceLlama&) = delete;
  DeviceLlama& operator=(const DeviceLlama&) = delete;

  Result<Page> new_page();
  Status forward(std::span<const TokenRow> rows, std::span<const Sequence> sequences, std::span<float> logits);

 private:
  struct Part {
    tensor::DeviceMatrix m;
    int64_t column = 0;
  };
  using Parts = std::vector<Part>;
  struct Layer {
    const float *attention_gain, *ffn_gain, *q_gain, *k_gain;
    Parts qkv, out, gate_up, down;
  };
  // What a call needs beside the weights; addresses that recorded work has.
  struct Rooms {
    int64_t rows = 0;  // room for
    tensor::DeviceMemory inputs, x, normed, qkv, attended, gate_up, hidden, parts, logits;
  };
  struct Inputs;  // of one call, on their way to the device

  DeviceLlama(tensor::Device& device, const LlamaModel& host) : device_(device), host_(host) {}
  Status load();
  Result<Parts> matrix(const Matrix& m);
  Result<const float*> vector(const float* data, size_t count);
  Status make_room(const Inputs& in);
  void layer(const Layer& layer, int64_t index, const tensor::DeviceBatch& b);
  void multiply(int64_t rows, const Parts& w, int64_t outputs, const uint16_t* x, float* y, bool accumulate);
  tensor::DeviceHeads heads(const Layer& layer, int64_t index) const;

  tensor::Device& device_;
  const LlamaModel& host_;
  std::vector<tensor::DeviceMemory> weights_;
  std::vector<Layer> layers_;
  Parts head_;
  const float *final_gain_ = nullptr, *cosine_ = nullptr, *sine_ = nullptr;
  Rooms rooms_;
  struct FreePages;
  std::shared_ptr<FreePages> free_pages_;
};

}  // namespace hf::model
