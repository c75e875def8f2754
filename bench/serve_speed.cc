// Speed of the decoder on a model file, loaded as the worker loads it. bench/serve runs it beside the peer.
//   serve_speed FILE.gguf [--threads N] [--cache FILE] [--steps N] [--only load,prefill,decode,deep,batch]
// --cache keeps the kernels' form of the weights, as a site does: the first run writes it, later ones map it.
// --steps: tokens that one stream decodes (64); at a depth of 2,048, and of many streams, a quarter of it.
// HOLDFAST_ISA forces a kernel set, or a device: cuda. Prints one JSON object: tokens/s, seconds, bytes. What is timed
// is forward_tokens() alone, without sampling, as llama-bench and llama-batched-bench time llama_decode().
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "engine/loaded_model.h"
#include "os/fs.h"
#include "os/thread.h"
#include "tensor/device.h"

namespace {

using namespace hf;

constexpr int64_t kPrompt = 512, kDeep = 2048;
constexpr int64_t kBatchDepth = 128;  // of each stream before a batch is timed: a prompt that was copied to all

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Options {
  std::string file, cache, only;
  int threads = os::cpu_info().cores;
  int64_t steps = 64;

  bool wants(const char* name) const { return only.empty() || only.find(name) != only.npos; }
};

// Bytes, by a name in the kernel's account of this process; 0 where it has none.
Result<int64_t> memory_of(const std::string& name) {
  auto file = TRY(os::real_fs().open("/proc/self/status", os::Open::read));
  std::string text(16384, '\0');
  text.resize(TRY(file->read_at(0, {text.data(), text.size()})));
  const size_t at = text.find(name + ":");
  return at == text.npos ? 0 : std::strtoll(text.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
}

// The digest that a registry would know the file by; reading it also warms the page cache.
Result<std::string> digest_of(os::File& file) {
  crypto::Hasher hasher(crypto::Hash::sha256);
  std::string piece(1 << 20, '\0');
  for (uint64_t at = 0;;) {
    const size_t n = TRY(file.read_at(at, {piece.data(), piece.size()}));
    if (n == 0) return hex(hasher.finish());
    hasher.update(std::string_view(piece).substr(0, n));
    at += n;
  }
}

class Bench {
 public:
  Bench(const model::LlamaModel& m, tensor::Pool& pool) : m_(m), pool_(pool) {}

  // Once before the clock runs, as the peer does it.
  double prefill() {
    open(1, kPrompt);
    run(0, kPrompt);
    const double start = now();
    run(0, kPrompt);
    return static_cast<double>(kPrompt) / (now() - start);
  }
  double decode(int64_t depth, int64_t steps) {
    open(1, depth + steps);
    fill(depth);
    if (depth == 0) run(0, 1);
    return timed(depth, steps);
  }
  double batch(size_t streams, int64_t steps) {
    open(1, kBatchDepth);
    fill(kBatchDepth);
    const auto prompt = std::move(pages_);
    open(streams, kBatchDepth + steps);
    const size_t bytes = static_cast<size_t>(model::page_floats(m_.config)) * sizeof(float);
    for (const auto& of : pointers_)
      for (size_t p = 0; m_.device == nullptr && p < prompt.size() - 1; ++p) std::memcpy(of[p], prompt[p].get(), bytes);
    if (m_.device != nullptr) fill(kBatchDepth);  // its pages are not ours to copy
    run(kBatchDepth, 1);
    return timed(kBatchDepth, steps);
  }
  double first_token() {
    const double start = now();
    open(1, 1);
    run(0, 1);
    return now() - start;
  }
  // Of the last logits: figures of a run whose sum is not a number, or another one, are not worth a look.
  double sum() const {
    double s = 0;
    for (const float x : logits_) s += static_cast<double>(x);
    return s;
  }

 private:
  // Pages for `positions` of each of `streams` sequences.
  void open(size_t streams, int64_t positions) {
    pages_.clear();
    pointers_.assign(streams, {});
    for (auto& of : pointers_) {
      for (int64_t p = 0; p <= positions / model::kPagePositions; ++p) {
        auto page = m_.new_page();
        check(page.ok(), "room for the pages");
        of.push_back(pages_.emplace_back(std::move(*page)).get());
      }
    }
  }
  // `count` rows of each sequence from position `first` on, in one call; logits of the last of each.
  void run(int64_t first, int64_t count) {
    std::vector<model::TokenRow> rows;
    std::vector<model::Sequence> sequences;
    for (size_t s = 0; s < pointers_.size(); ++s) {
      sequences.push_back({pointers_[s]});
      for (int64_t i = 0; i < count; ++i) {
        const int64_t token = (first + i) * 7919 + static_cast<int64_t>(s) * 104729 + 5;
        rows.push_back({static_cast<int32_t>(token % m_.config.vocabulary), static_cast<int32_t>(first + i),
                        static_cast<int32_t>(s), i + 1 == count});
      }
    }
    logits_.resize(pointers_.size() * static_cast<size_t>(m_.config.vocabulary));
    const Status done = forward(m_, pool_, rows, sequences, workspace_, logits_);
    check(done.ok(), done.ok() ? "" : done.error().message.c_str());
  }
  void fill(int64_t depth) {
    for (int64_t p = 0; p < depth; p += kPrompt) run(p, std::min(kPrompt, depth - p));
  }
  double timed(int64_t depth, int64_t steps) {
    const double start = now();
    for (int64_t i = 0; i < steps; ++i) run(depth + i, 1);
    return static_cast<double>(steps) * static_cast<double>(pointers_.size()) / (now() - start);
  }

  const model::LlamaModel& m_;
  tensor::Pool& pool_;
  std::vector<model::Page> pages_;
  std::vector<std::vector<float*>> pointers_;
  model::Workspace workspace_;
  std::vector<float> logits_;
};

Status check_context(const model::LlamaConfig& config, const Options& o) {
  const int64_t steps = o.steps / 4;
  int64_t needed = o.steps;
  if (o.wants("prefill")) needed = std::max(needed, kPrompt);
  if (o.wants("deep")) needed = std::max(needed, kDeep + steps);
  if (o.wants("batch")) needed = std::max(needed, kBatchDepth + steps);
  if (config.context >= needed) return {};
  return fail(Code::invalid, o.file + ": expected a context of at least " + std::to_string(needed) + " tokens, found " +
                                 std::to_string(config.context) + "; --only leaves measurements out");
}

Result<int> bench(const Options& o) {
  const char* isa = std::getenv("HOLDFAST_ISA");
  const bool on_device = isa && std::string(isa) == "cuda";
  std::unique_ptr<tensor::Device> device;
  if (on_device) device = TRY(tensor::open_cuda());
  tensor::Kernels set = *TRY(tensor::choose_kernels(isa && !on_device ? isa : "", os::cpu_info()));
  if (device) set = tensor::with_device(set, *device);
  const tensor::Kernels* kernels = &set;
  auto file = TRY(os::real_fs().open(o.file, os::Open::read));
  std::string digest(64, '0');
  std::unique_ptr<os::File> kept;
  if (!o.cache.empty()) {
    digest = TRY(digest_of(*file));
    kept = TRY(os::real_fs().open(o.cache, os::Open::create));
  }
  tensor::Pool pool(o.threads);
  const double start = now();
  std::vector<engine::ModelFile> files;
  files.push_back({"model.gguf", TRY(os::Mapping::of_fd(file->fd(), engine::kMaxModelFile, o.file))});
  engine::WeightCache cache(std::move(kept), digest);
  const auto loaded = TRY(engine::load_model(digest, std::move(files), *kernels, &cache));
  const double load = now() - start;
  TRY(check_context(loaded->weights->config, o));
  Bench b(*loaded->weights, pool);
  const double first = b.first_token();
  std::printf("{\"type\": \"%s\", \"architecture\": \"%s\", \"isa\": \"%s\", \"threads\": %d, \"file_bytes\": %lld",
              loaded->card.dtype.c_str(), loaded->card.architecture.c_str(), kernels->isa, o.threads,
              static_cast<long long>(TRY(file->size())));
  std::printf(", \"weights_mapped\": %s, \"load_seconds\": %.3f, \"first_token_seconds\": %.3f",
              loaded->weights->memory.filled ? "true" : "false", load, load + first);
  std::printf(", \"resident_bytes\": %lld", static_cast<long long>(TRY(memory_of("VmRSS"))));
  if (o.wants("prefill")) std::printf(", \"prefill\": %.2f", b.prefill());
  if (o.wants("decode")) std::printf(", \"decode\": %.3f", b.decode(0, o.steps));
  if (o.wants("deep")) std::printf(", \"deep\": %.3f", b.decode(kDeep, o.steps / 4));
  if (o.wants("batch")) std::printf(", \"batch16\": %.3f", b.batch(16, o.steps / 4));
  if (o.wants("batch")) std::printf(", \"batch32\": %.3f", b.batch(32, o.steps / 4));
  std::printf(", \"peak_resident_bytes\": %lld, \"check\": %.9g}\n", static_cast<long long>(TRY(memory_of("VmHWM"))),
              b.sum());
  return 0;
}

Result<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (!name.starts_with("--")) {
      if (!o.file.empty()) return fail(Code::invalid, "expected one FILE.gguf, found " + o.file + " and " + name);
      o.file = name;
      continue;
    }
    if (i + 1 == argc) return fail(Code::invalid, name + ": expected a value");
    const std::string value = argv[++i];
    if (name == "--cache") {
      o.cache = value;
    } else if (name == "--only") {
      o.only = value;
    } else if (name == "--threads" || name == "--steps") {
      const int64_t number = TRY(parse_int(value, name));
      const int64_t least = name == "--steps" ? 4 : 1, most = name == "--steps" ? 1024 : 256;
      if (number < least || number > most)
        return fail(Code::invalid,
                    name + ": expected " + std::to_string(least) + " to " + std::to_string(most) + ", found " + value);
      if (name == "--steps") o.steps = number;
      if (name == "--threads") o.threads = static_cast<int>(number);
    } else {
      return fail(Code::invalid, "unknown option " + name);
    }
  }
  if (o.file.empty()) return fail(Code::invalid, "expected FILE.gguf");
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options.ok()) {
    std::fprintf(stderr,
                 "serve_speed: %s\nusage: serve_speed FILE.gguf [--threads N] [--cache FILE] [--steps N] "
                 "[--only load,prefill,decode,deep,batch]\n",
                 options.error().message.c_str());
    return 2;
  }
  const auto status = bench(*options);
  if (!status.ok()) std::fprintf(stderr, "serve_speed: %s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
