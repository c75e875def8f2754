#include "engine/checkpoint.h"

#include <bit>
#include <cstring>
#include <map>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "format/safetensors.h"
#include "tensor/buffer.h"

namespace hf::engine {
namespace {

constexpr const char* kFormat = "holdfast-checkpoint-1";
constexpr const char* kNames[] = {"weights", "first", "second"};

std::string_view bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::string state_text(const RunState& s) {
  std::string out;
  for (const int64_t n : {s.steps, s.tokens, s.losses_seen}) out += std::to_string(n) + " ";
  for (const double d : {s.loss, s.validation_loss, s.seconds, s.mean_loss, s.lowest_loss})
    out += std::to_string(std::bit_cast<int64_t>(d)) + " ";  // its bits: text would round
  out.pop_back();
  return out;
}

Result<RunState> state_of(std::string_view text) {
  const auto parts = split(text, ' ');
  if (parts.size() != 8) return fail(Code::corrupt, "expected 8 numbers in 'state'");
  RunState s;
  int64_t* const counts[] = {&s.steps, &s.tokens, &s.losses_seen};
  double* const numbers[] = {&s.loss, &s.validation_loss, &s.seconds, &s.mean_loss, &s.lowest_loss};
  for (size_t i = 0; i < 3; ++i) *counts[i] = TRY(parse_int(parts[i], "a checkpoint's state"));
  for (size_t i = 0; i < 5; ++i)
    *numbers[i] = std::bit_cast<double>(TRY(parse_int(parts[3 + i], "a checkpoint's state")));
  if (s.steps <= 0 || s.tokens <= 0) return fail(Code::corrupt, "expected a step above 0");
  return s;
}

std::string digest_of(const std::string& identity, const std::string& state, const std::string_view (&data)[3]) {
  crypto::Hasher hasher(crypto::Hash::sha256);
  hasher.update(identity + "\n" + state + "\n");
  for (const std::string_view bytes : data) hasher.update(bytes);
  return hex(hasher.finish());
}

Status read_exactly(os::File& file, uint64_t at, std::span<char> out) {
  if (TRY(file.read_at(at, out)) != out.size()) return fail(Code::corrupt, "the file ends early");
  return {};
}

Result<format::SafetensorsHeader> read_header(os::File& file) {
  const uint64_t size = TRY(file.size());
  uint64_t length = 0;
  TRY(read_exactly(file, 0, {reinterpret_cast<char*>(&length), sizeof length}));
  if (length > format::kMaxSafetensorsHeader || length + 8 > size) return fail(Code::corrupt, "no header");
  std::string start(8 + length, '\0');
  TRY(read_exactly(file, 0, start));
  return format::parse_safetensors_header(start, size);
}

Result<std::string> word(const format::SafetensorsHeader& header, const char* name) {
  const auto at = header.metadata.find(name);
  if (at == header.metadata.end()) return fail(Code::corrupt, std::string("its metadata has no '") + name + "'");
  return at->second;
}

}  // namespace

std::string run_identity(const std::string& build, const TrainSettings& settings, uint64_t seed,
                         const std::string& data_digest) {
  std::string text = build + "\n" + data_digest + "\n" + std::to_string(seed) + "\n";
  for (const auto& [name, value] : describe_settings(settings)) text += name + "=" + value + "\n";
  return crypto::sha256_hex(text);
}

struct Checkpoints::Found {
  bool ours = false;  // of this run
  RunState state;
  tensor::Floats arrays[3];
};

// corrupt: in what way. A file of another run is not read to its end.
Result<Checkpoints::Found> Checkpoints::read(os::File& file, size_t numbers) const {
  const auto header = TRY(read_header(file));
  Found found;
  if (TRY(word(header, "format")) != kFormat) return fail(Code::corrupt, "not a checkpoint");
  found.ours = TRY(word(header, "run")) == identity_;
  if (!found.ours) return found;
  const std::string state = TRY(word(header, "state"));
  found.state = TRY(state_of(state));
  std::string_view data[3];
  for (size_t i = 0; i < 3; ++i) {
    const auto at = header.tensors.find(kNames[i]);
    if (at == header.tensors.end() || at->second.dtype != format::Dtype::f32 ||
        at->second.shape != std::vector<int64_t>{static_cast<int64_t>(numbers)})
      return fail(Code::corrupt, std::string("expected '") + kNames[i] + "' of " + std::to_string(numbers) + " floats");
    found.arrays[i].reset(numbers);
    const std::span<char> into(reinterpret_cast<char*>(found.arrays[i].data()), numbers * sizeof(float));
    TRY(read_exactly(file, header.data_offset + at->second.begin, into));
    data[i] = {into.data(), into.size()};
  }
  if (digest_of(identity_, state, data) != TRY(word(header, "sha256")))
    return fail(Code::corrupt, "its SHA-256 is another");
  return found;
}

Result<RunState> Checkpoints::restore(model::LlamaTrainer& trainer, std::string& note) {
  Found best;
  for (size_t i = 0; i < files_.size(); ++i) {
    if (TRY(files_[i]->size()) == 0) continue;
    auto found = read(*files_[i], trainer.snapshot().weights.size());
    if (!found.ok() && found.error().code != Code::corrupt) return found.error();
    if (!found.ok()) {
      note += "passed over a broken checkpoint (" + found.error().message + "); ";
    } else if (!found->ours) {
      note += "passed over a checkpoint of another program or run; ";
    } else if (found->state.steps > best.state.steps) {
      best = std::move(*found);
      next_ = 1 - i;  // that one stays whole until the next is
    }
  }
  if (best.state.steps == 0) {
    if (!note.empty()) note += "training begins anew";
    return RunState{};
  }
  const auto all = [](const tensor::Floats& f) { return std::span<const float>(f.data(), f.size()); };
  TRY(trainer.restore({best.state.steps, all(best.arrays[0]), all(best.arrays[1]), all(best.arrays[2])}));
  note += "goes on from the checkpoint of step " + std::to_string(best.state.steps);
  return best.state;
}

Status Checkpoints::write(const model::LlamaTrainer& trainer, const RunState& state) {
  if (files_.empty()) return {};
  const auto snapshot = trainer.snapshot();
  const std::string_view data[3] = {bytes_of(snapshot.weights), bytes_of(snapshot.first), bytes_of(snapshot.second)};
  const std::string text = state_text(state);
  std::vector<format::TensorToWrite> tensors;
  for (size_t i = 0; i < 3; ++i)
    tensors.push_back({kNames[i], format::Dtype::f32, {static_cast<int64_t>(snapshot.weights.size())}, data[i]});
  os::File& file = *files_[next_];
  const auto put = [&]() -> Status {
    TRY(file.truncate(0));
    TRY(format::write_safetensors(
        file, tensors,
        {{"format", kFormat}, {"run", identity_}, {"state", text}, {"sha256", digest_of(identity_, text, data)}}));
    return file.sync();
  };
  Status done = put();
  if (!done.ok()) {
    (void)file.truncate(0);  // its room is wanted
    return done;
  }
  next_ = 1 - next_;
  return {};
}

}  // namespace hf::engine
