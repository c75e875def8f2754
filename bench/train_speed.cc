// Training speed: a fixed config, data order and starting weights, for a comparison with another program
// (train_torch.py).
//   train_speed CONFIG DIR STEPS [THREADS [COMPUTE]]     CONFIG: nanogpt | quickstart; COMPUTE: f32 | bf16
// Writes what the other program needs into DIR (meta.json, init.f32, batches.i32), runs STEPS steps, and prints one
// JSON object: losses, wall and CPU seconds of the steps, where the time went, and the machine's peak in the same
// process.
#include <sys/resource.h>

#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "model/llama.h"
#include "model/trainer.h"
#include "os/clock.h"
#include "os/fs.h"

namespace hf {
namespace {

namespace json = boost::json;

struct Scenario {
  model::LlamaConfig config;
  int64_t sequences, length;
  int64_t targets;  // the last so many positions of each sequence have a loss
};

Result<Scenario> scenario(const std::string& name) {
  Scenario s{};
  model::LlamaConfig& c = s.config;
  c.tied = true;
  if (name == "nanogpt") {
    // nanoGPT's README for a CPU: 4 layers, 4 heads, width 128, 64 positions, batches of 12. SwiGLU with 344 has the
    // parameters of GELU with 4 * 128 = 512: 3 * 344 = 1032 against 2 * 512.
    c.layers = 4, c.heads = c.kv_heads = 4, c.head_dim = 32, c.width = 128, c.ffn = 344, c.vocabulary = 128;
    s.sequences = 12, s.length = 64, s.targets = 64;
  } else if (name == "quickstart") {
    // docs/decisions/0004: about 1,024 tokens a step, of tickets of some 80 tokens of which 18 are the completion.
    c.layers = 3, c.heads = c.kv_heads = 6, c.head_dim = 16, c.width = 96, c.ffn = 256, c.vocabulary = 4096;
    s.sequences = 13, s.length = 80, s.targets = 18;
  } else {
    return fail(Code::invalid, "expected nanogpt or quickstart, found " + name);
  }
  c.context = s.length;
  return s;
}

// English that every Debian machine has, as bytes; with a larger vocabulary, two bytes make a token.
Result<std::vector<int32_t>> tokens(int64_t vocabulary) {
  std::string text;
  for (const char* name : {"GPL-3", "GPL-2", "LGPL-2.1", "Apache-2.0", "MPL-1.1", "GFDL-1.3", "Artistic"}) {
    text += TRY(os::real_fs().read_file(std::string("/usr/share/common-licenses/") + name, 1 << 20));
  }
  std::vector<int32_t> out;
  const size_t step = vocabulary > 128 ? 2 : 1;
  for (size_t i = 0; i + step <= text.size(); i += step) {
    auto token = static_cast<uint32_t>(text[i] & 0x7f);
    if (step == 2) token = token * 31 + static_cast<uint32_t>(text[i + 1] & 0x7f);
    out.push_back(static_cast<int32_t>(token % static_cast<uint32_t>(vocabulary)));
  }
  return out;
}

std::vector<model::Batch> batches(const Scenario& s, const std::vector<int32_t>& text, int64_t steps) {
  std::vector<model::Batch> out;
  uint64_t state = 1;
  for (int64_t step = 0; step < steps; ++step) {
    model::Batch& b = out.emplace_back();
    for (int64_t q = 0; q < s.sequences; ++q) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto at = static_cast<size_t>((state >> 33) % (text.size() - static_cast<size_t>(s.length) - 1));
      for (int64_t i = 0; i < s.length; ++i) {
        b.tokens.push_back(text[at + static_cast<size_t>(i)]);
        b.targets.push_back(i < s.length - s.targets ? -1 : text[at + static_cast<size_t>(i) + 1]);
        b.weights.push_back(1);
      }
      b.ends.push_back(static_cast<int64_t>(b.tokens.size()));
    }
  }
  return out;
}

constexpr float kRate = 1e-3f;

Status dump(const std::string& folder, const Scenario& s, const model::LlamaTrainer& trainer,
            const std::vector<model::Batch>& all, int threads) {
  os::Fs& fs = os::real_fs();
  TRY(fs.make_dirs(folder));
  std::string weights, rows;
  json::array tensors;
  TRY(trainer.save([&](const model::TensorSpec& spec, std::span<const float> values) -> Status {
    tensors.push_back({{"name", spec.name}, {"shape", json::value_from(spec.shape)}, {"offset", weights.size() / 4}});
    weights.append(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    return {};
  }));
  for (const model::Batch& b : all) {
    rows.append(reinterpret_cast<const char*>(b.tokens.data()), b.tokens.size() * 4);
    rows.append(reinterpret_cast<const char*>(b.targets.data()), b.targets.size() * 4);
  }
  const model::LlamaConfig& c = s.config;
  const json::object meta{{"layers", c.layers},        {"width", c.width},   {"heads", c.heads},
                          {"head_dim", c.head_dim},    {"ffn", c.ffn},       {"vocabulary", c.vocabulary},
                          {"sequences", s.sequences},  {"length", s.length}, {"targets", s.targets},
                          {"steps", all.size()},       {"threads", threads}, {"learning_rate", kRate},
                          {"epsilon", c.norm_epsilon}, {"tensors", tensors}};
  TRY(fs.write_file_atomic(folder + "/meta.json", json::serialize(meta)));
  TRY(fs.write_file_atomic(folder + "/init.f32", weights));
  return fs.write_file_atomic(folder + "/batches.i32", rows);
}

double cpu_seconds() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

// Multiply-adds of one core at their best: a matrix product that stays in the first-level cache.
double peak_gflops(const tensor::Kernels& k) {
  const int64_t m = 48, n = 64, depth = 128;
  tensor::Floats a(static_cast<size_t>(m * depth)), b(static_cast<size_t>(n * depth)), c(static_cast<size_t>(m * n));
  double best = 0;
  for (int round = 0; round < 200; ++round) {
    const int64_t start = os::real_clock().monotonic_us();
    for (int i = 0; i < 100; ++i) {
      k.gemm({.m = m,
              .n = n,
              .k = depth,
              .a = a.data(),
              .a_row = depth,
              .b = b.data(),
              .b_panel = depth * 16,
              .c = c.data(),
              .c_row = n});
    }
    const auto us = static_cast<double>(os::real_clock().monotonic_us() - start);
    best = std::max(best, 100.0 * 2 * static_cast<double>(m * n * depth) / us * 1e-3);
  }
  return best;
}

// Of a token's forward and backward pass: 6 for each weight of a matrix, and the attention's products.
// What a full pass needs (the last layer's savings for rows without a loss are not subtracted).
double flops_per_token(const Scenario& s) {
  const model::LlamaConfig& c = s.config;
  const int64_t layer = c.width * (c.qkv_width() + c.q_width()) + 3 * c.width * c.ffn;
  const double weights = static_cast<double>(c.layers * layer) +
                         static_cast<double>(c.width * c.vocabulary * s.targets) / static_cast<double>(s.length);
  const double attention = 12.0 * static_cast<double>(c.layers * c.q_width()) * static_cast<double>(c.context) / 2;
  return 6 * weights + attention;
}

Status run(int argc, char** argv) {
  if (argc < 4) return fail(Code::invalid, "usage: train_speed CONFIG DIR STEPS [THREADS [f32|bf16]]");
  const Scenario s = TRY(scenario(argv[1]));
  const int64_t steps = std::atoll(argv[3]);
  const int threads = argc > 4 ? std::atoi(argv[4]) : 2;
  const bool bf16 = argc > 5 && std::string(argv[5]) == "bf16";
  const char* forced = std::getenv("HOLDFAST_ISA");
  const tensor::Kernels& kernels = *TRY(tensor::choose_kernels(forced != nullptr ? forced : "", os::cpu_info()));
  const auto text = TRY(tokens(s.config.vocabulary));
  const auto all = batches(s, text, steps);
  tensor::Pool pool(threads);
  model::AdamWSettings settings;
  settings.beta2 = 0.99f;
  model::LlamaTrainer trainer(s.config, settings, kernels, pool, &os::real_clock(),
                              bf16 ? model::Compute::bf16 : model::Compute::f32);
  trainer.init(1, 0.02f);
  TRY(dump(argv[2], s, trainer, all, threads));
  json::array losses;
  const int64_t start = os::real_clock().monotonic_us();
  const double cpu = cpu_seconds();
  for (const model::Batch& batch : all) losses.push_back(trainer.step(batch, kRate).loss);
  const double seconds = static_cast<double>(os::real_clock().monotonic_us() - start) * 1e-6;
  const double spent = cpu_seconds() - cpu;
  const model::TrainerTimes t = trainer.times();
  const double peak = peak_gflops(kernels);
  const auto count = static_cast<double>(steps * s.sequences * s.length);
  const json::object out{{"program", "holdfast"},
                         {"isa", kernels.isa},
                         {"compute", bf16 ? "bf16" : "f32"},
                         {"threads", threads},
                         {"cpu", os::cpu_info().model},
                         {"parameters", s.config.parameters()},
                         {"tokens", count},
                         {"seconds", seconds},
                         {"cpu_seconds", spent},
                         {"flops_per_token", flops_per_token(s)},
                         {"peak_gflops_one_core", peak},
                         {"forward_us", t.forward},
                         {"backward_us", t.backward},
                         {"gradients_us", t.gradients},
                         {"optimiser_us", t.optimiser},
                         {"losses", losses}};
  std::printf("%s\n", json::serialize(out).c_str());
  return {};
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  const hf::Status status = hf::run(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "train_speed: %s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
