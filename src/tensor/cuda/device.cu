#include <cstring>
#include <map>
#include <string>

#include "tensor/cuda/launch.h"
#include "tensor/device.h"
#include "tensor/kernels.h"
#include "tensor/quant.h"

namespace hf::tensor {
namespace {

using cuda::Queue;

std::string text_of(cudaError_t error) { return cudaGetErrorString(error); }

class CudaDevice final : public Device {
 public:
  static constexpr size_t kStaging = 8 << 20;  // bytes of pinned memory that copies pass through
  static constexpr size_t kRecordings = 256;   // kept at a time

  static Result<std::unique_ptr<Device>> open() {
    int count = 0;
    if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess || count == 0)
      return fail(Code::unavailable, "no CUDA device: " + text_of(error == cudaSuccess ? cudaErrorNoDevice : error));
    auto device = std::make_unique<CudaDevice>();
    Queue& q = device->queue_;
    q.note(cudaSetDevice(0));
    q.note(cudaGetDeviceProperties(&device->properties_, 0));
    q.note(cudaStreamCreateWithFlags(&q.stream, cudaStreamNonBlocking));
    q.note(cudaMallocHost(&device->staging_, kStaging));
    q.note(cudaMallocHost(&device->landing_, kStaging));
    q.overlaps = device->properties_.major >= 9;
    q.processors = device->properties_.multiProcessorCount;
    if (device->properties_.major < 8)
      return fail(Code::unavailable, std::string("expected a CUDA device of compute capability 8.0 or later, found ") +
                                         device->properties_.name);
    if (!q.ok()) return fail(Code::unavailable, "CUDA device 0: " + text_of(q.error));
    return std::unique_ptr<Device>(std::move(device));
  }
  ~CudaDevice() override {
    (void)cudaStreamSynchronize(queue_.stream);
    for (const auto& [key, graph] : recorded_) cudaGraphExecDestroy(graph);
    if (queue_.stream) cudaStreamDestroy(queue_.stream);
    if (staging_) cudaFreeHost(staging_);
    if (landing_) cudaFreeHost(landing_);
  }

  std::string words() const override {
    return std::string(properties_.name) + ", " + std::to_string(properties_.multiProcessorCount) +
           " multiprocessors, " + std::to_string(properties_.totalGlobalMem >> 20) + " MiB, compute capability " +
           std::to_string(properties_.major) + "." + std::to_string(properties_.minor);
  }
  const Status& status() const override {
    if (status_.ok() && !queue_.ok())
      (void)(status_ = fail(Code::unavailable, "the CUDA device failed: " + text_of(queue_.error)));
    return status_;
  }

  Result<DeviceMemory> allocate(size_t bytes) override {
    TRY(status());
    void* on = nullptr;
    const cudaError_t error = cudaMalloc(&on, bytes > 0 ? bytes : 1);
    if (error == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();  // it does not stick
      return fail(Code::exhausted, "the CUDA device has no room for " + std::to_string(bytes) + " bytes more");
    }
    queue_.note(error);
    queue_.note(cudaMemsetAsync(on, 0, bytes, queue_.stream));
    TRY(status());
    return DeviceMemory(this, on, bytes);
  }
  void free(void* on) override { queue_.note(cudaFree(on)); }  // waits for what may use it
  void upload(void* to_on, const void* from, size_t bytes) override {
    const char* at = static_cast<const char*>(from);
    char* to = static_cast<char*>(to_on);
    while (bytes > 0 && queue_.ok()) {
      const size_t piece = bytes < kStaging ? bytes : kStaging;
      if (staged_ + piece > kStaging) {  // what lies there may still be on its way
        queue_.note(cudaStreamSynchronize(queue_.stream));
        staged_ = 0;
      }
      char* staged = static_cast<char*>(staging_) + staged_;
      std::memcpy(staged, at, piece);
      queue_.note(cudaMemcpyAsync(to, staged, piece, cudaMemcpyHostToDevice, queue_.stream));
      staged_ += (piece + 255) / 256 * 256;
      at += piece, to += piece, bytes -= piece;
    }
  }
  void download(void* to, const void* from_on, size_t bytes) override {
    // By way of pinned memory while it is small: that is filled several times as fast.
    const bool small = bytes <= kStaging;
    queue_.note(cudaMemcpyAsync(small ? landing_ : to, from_on, bytes, cudaMemcpyDeviceToHost, queue_.stream));
    wait();
    if (small && queue_.ok()) std::memcpy(to, landing_, bytes);
  }
  void wait() override {
    queue_.note(cudaStreamSynchronize(queue_.stream));
    staged_ = 0;
  }

  void again(const void* who, uint64_t key, const std::function<void()>& ops) override {
    if (!queue_.ok()) return;
    const auto known = recorded_.find({who, key});
    if (known != recorded_.end()) return queue_.note(cudaGraphLaunch(known->second, queue_.stream));
    if (recorded_.size() >= kRecordings) forget(recorded_.begin()->first.first);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    queue_.note(cudaStreamBeginCapture(queue_.stream, cudaStreamCaptureModeThreadLocal));
    if (!queue_.ok()) return;
    ops();
    queue_.note(cudaStreamEndCapture(queue_.stream, &graph));
    if (!queue_.ok()) return;
    queue_.note(cudaGraphInstantiate(&ready, graph, 0));
    queue_.note(cudaGraphDestroy(graph));
    if (!queue_.ok()) return;
    recorded_[{who, key}] = ready;
    queue_.note(cudaGraphLaunch(ready, queue_.stream));
  }
  void forget(const void* who) override {
    wait();
    std::erase_if(recorded_, [&](const auto& row) {
      if (row.first.first != who) return false;
      queue_.note(cudaGraphExecDestroy(row.second));
      return true;
    });
  }

  Result<DeviceMatrix> matrix(const HostMatrix& m, DeviceMemory* out) override {
    const size_t bytes = quantised(m.type)
                             ? static_cast<size_t>(packed_bytes(m.type, m.k, m.n))
                             : static_cast<size_t>(panel_floats(m.k, m.n)) * (m.type == DType::bf16 ? 2 : 4);
    const DeviceMemory panels = TRY(allocate(bytes));
    *out = TRY(allocate(cuda::matrix_bytes(m)));
    upload(panels.as<void>(), m.panels, bytes);
    const DeviceMatrix made = cuda::place_matrix(queue_, m, panels.as<void>(), out->as<void>());
    wait();
    TRY(status());
    return made;
  }

  void embed(const DeviceBatch& b, const DeviceMatrix& m, float* x) override { cuda::embed(queue_, b, m, x); }
  void norm(int64_t rows, int64_t width, const float* x, const int32_t* which, const float* gain, float epsilon,
            uint16_t* y) override {
    cuda::norm(queue_, rows, width, x, which, gain, epsilon, y);
  }
  void multiply(int64_t rows, const DeviceMatrix& w, const uint16_t* x, float* y, int64_t y_row,
                bool accumulate) override {
    cuda::multiply(queue_, rows, w, x, y, y_row, accumulate);
  }
  void multiply_gated(int64_t rows, const DeviceMatrix& w, const uint16_t* x, uint16_t* y) override {
    cuda::multiply_gated(queue_, rows, w, x, y);
  }
  void turn_and_store(const DeviceBatch& b, const DeviceHeads& h, float* qkv) override {
    cuda::turn_and_store(queue_, b, h, qkv);
  }
  void attend(const DeviceBatch& b, const DeviceHeads& h, const float* qkv, float* parts, uint16_t* y) override {
    cuda::attend(queue_, b, h, qkv, parts, y);
  }
  int64_t attention_floats(const DeviceBatch& b, const DeviceHeads& h) const override {
    return cuda::attention_floats(b, h);
  }
  void swiglu(int64_t rows, int64_t ffn, const float* gate_up, uint16_t* y) override {
    cuda::swiglu(queue_, rows, ffn, gate_up, y);
  }

 private:
  Queue queue_;
  cudaDeviceProp properties_{};
  mutable Status status_;
  void *staging_ = nullptr, *landing_ = nullptr;  // pinned: of uploads, of downloads
  size_t staged_ = 0;
  std::map<std::pair<const void*, uint64_t>, cudaGraphExec_t> recorded_;
};

}  // namespace

Result<std::unique_ptr<Device>> open_cuda() { return CudaDevice::open(); }

}  // namespace hf::tensor
