#include "engine/train_settings.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/text.h"
#include "tensor/kernels.h"

namespace hf::engine {
namespace {

struct Field {
  SettingRow row;
  std::function<Status(TrainSettings&, std::string_view)> set;
  std::function<std::string(const TrainSettings&)> get;
};

Error out_of_range(const SettingRow& row, std::string_view value) {
  return fail(Code::invalid, std::string("hyperparameter '") + row.name + "' must be " + row.range + ", found '" +
                                 std::string(value.substr(0, 64)) + "'");
}

Field integer(SettingRow row, int64_t TrainSettings::*member, int64_t low, int64_t high) {
  return {row,
          [=](TrainSettings& s, std::string_view text) -> Status {
            auto value = parse_int(text, row.name);
            if (!value.ok() || *value < low || *value > high) return out_of_range(row, text);
            s.*member = *value;
            return {};
          },
          [=](const TrainSettings& s) { return std::to_string(s.*member); }};
}

Field number(SettingRow row, double TrainSettings::*member, double low, double high) {
  return {row,
          [=](TrainSettings& s, std::string_view text) -> Status {
            auto value = parse_double(text, row.name);
            if (!value.ok() || !(*value >= low && *value <= high)) return out_of_range(row, text);
            s.*member = *value;
            return {};
          },
          [=](const TrainSettings& s) {
            char out[40];
            std::snprintf(out, sizeof out, "%.10g", s.*member);
            return std::string(out);
          }};
}

Field choice(SettingRow row, bool TrainSettings::*member, std::string no, std::string yes) {
  return {row,
          [=](TrainSettings& s, std::string_view text) -> Status {
            if (text != no && text != yes) return out_of_range(row, text);
            s.*member = text == yes;
            return {};
          },
          [=](const TrainSettings& s) { return s.*member ? yes : no; }};
}

Field word(SettingRow row, std::string TrainSettings::*member, std::vector<std::string> words) {
  return {row,
          [=](TrainSettings& s, std::string_view text) -> Status {
            if (std::find(words.begin(), words.end(), text) == words.end()) return out_of_range(row, text);
            s.*member = std::string(text);
            return {};
          },
          [=](const TrainSettings& s) { return s.*member; }};
}

const std::vector<Field>& fields() {
  using S = TrainSettings;
  static const std::vector<Field> all{
      integer({"layers", "4", "1 to 64", "decoder layers"}, &S::layers, 1, 64),
      integer({"width", "128", "16 to 4096", "numbers in a position's state; a multiple of heads"}, &S::width, 16,
              4096),
      integer({"heads", "4", "1 to 64", "attention heads; width / heads must be even"}, &S::heads, 1, 64),
      integer({"kv_heads", "0", "0 to 64", "heads of keys and values; divides heads; 0: as many as heads"},
              &S::kv_heads, 0, 64),
      integer({"ffn", "0", "0 to 16384", "inner width of the feed-forward; 0: 8/3 of width, rounded up to 16"}, &S::ffn,
              0, 16384),
      integer({"vocabulary", "2048", "300 to 65536", "tokens at most, learnt from the data"}, &S::vocabulary, 300,
              65536),
      integer({"context", "512", "16 to 8192", "tokens of the longest example"}, &S::context, 16, 8192),
      number({"rope_theta", "10000", "1 to 1e9", "base of the rotary positions"}, &S::rope_theta, 1, 1e9),
      integer({"digits", "1", "1 to 9", "digits of a number in one token at most; 1 copies numbers best"}, &S::digits,
              1, 9),
      choice({"head", "tied", "'tied' or 'own'", "whether the output head is the embedding"}, &S::tied, "own", "tied"),
      integer({"batch_tokens", "2048", "64 to 1048576", "tokens of a step, about; whole examples"}, &S::batch_tokens,
              64, 1 << 20),
      number({"prompt_weight", "0", "0 to 1", "weight of the loss on the prompt's tokens; the completion's is 1"},
             &S::prompt_weight, 0, 1),
      number({"prompt_drop", "0", "0 to 0.9",
              "probability that a token of the prompt is left out while training, so that no single word decides; "
              "tokens that the completion has too always stay"},
             &S::prompt_drop, 0, 0.9),
      integer({"steps", "0", "0 to 10000000", "optimiser steps; 0: by epochs"}, &S::steps, 0, 10'000'000),
      number({"epochs", "1", "0.01 to 10000", "times through the data, where steps is 0"}, &S::epochs, 0.01, 10000),
      integer({"max_seconds", "0", "0 to 10000000",
               "end after so long, the schedule shortened to fit; 0: no such end. The result then depends on the "
               "machine's speed"},
              &S::max_seconds, 0, 10'000'000),
      number({"learning_rate", "0.002", "1e-7 to 1", "the highest, after the warm-up"}, &S::learning_rate, 1e-7, 1),
      number({"min_learning_rate", "0", "0 to 1", "the last; at most learning_rate"}, &S::min_learning_rate, 0, 1),
      number({"warmup", "0.05", "0 to 1", "share of the whole in which the rate rises"}, &S::warmup, 0, 1),
      number({"beta1", "0.9", "0 to 0.999", "AdamW: memory of the gradient"}, &S::beta1, 0, 0.999),
      number({"beta2", "0.98", "0 to 0.99999", "AdamW: memory of its square"}, &S::beta2, 0, 0.99999),
      number({"weight_decay", "0.1", "0 to 10", "AdamW: decay of matrices"}, &S::weight_decay, 0, 10),
      number({"clip", "1", "0 to 1e6", "largest norm of a step's gradient; 0: none"}, &S::clip, 0, 1e6),
      number({"init_deviation", "0.05", "0.0001 to 1", "deviation of the first weights"}, &S::init_deviation, 0.0001,
             1),
      integer({"validation_every", "0", "0 to 10000000", "steps between two validations; 0: only at the end"},
              &S::validation_every, 0, 10'000'000),
      integer({"checkpoint_every", "0", "0 to 10000000", "steps between two checkpoints; 0: none"},
              &S::checkpoint_every, 0, 10'000'000),
      choice({"precision", "f32", "'f32' or 'bf16'", "numbers of the stored weights"}, &S::bf16, "f32", "bf16"),
      word({"compute", "f32", "'f32', 'bf16' or 'auto'",
            "numbers that the products of weights and activations are computed with; sums, weights and the optimiser "
            "are in f32. bf16 is about 1.6 times as fast where the machine multiplies it quickly (AMD with "
            "AVX512-BF16), slower elsewhere; auto takes it there. Each gives the same bits on every machine"},
           &S::compute, {"f32", "bf16", "auto"}),
  };
  return all;
}

Status check_together(const TrainSettings& s) {
  if (s.width % s.heads != 0 || (s.width / s.heads) % 2 != 0) {
    return fail(Code::invalid, "hyperparameter 'width' (" + std::to_string(s.width) +
                                   ") must be an even multiple of 'heads' (" + std::to_string(s.heads) + ")");
  }
  if (s.heads % s.kv_heads != 0) {
    return fail(Code::invalid, "hyperparameter 'kv_heads' (" + std::to_string(s.kv_heads) + ") must divide 'heads' (" +
                                   std::to_string(s.heads) + ")");
  }
  if (s.min_learning_rate > s.learning_rate) {
    return fail(Code::invalid, "hyperparameter 'min_learning_rate' must be at most 'learning_rate'");
  }
  return {};
}

}  // namespace

std::span<const SettingRow> setting_rows() {
  static const std::vector<SettingRow> rows = [] {
    std::vector<SettingRow> out;
    for (const Field& f : fields()) out.push_back(f.row);
    return out;
  }();
  return rows;
}

Result<TrainSettings> parse_settings(const std::map<std::string, std::string>& hyperparameters) {
  TrainSettings s;
  for (const auto& given : hyperparameters) {
    const std::string& name = given.first;
    const auto& all = fields();
    const auto at = std::find_if(all.begin(), all.end(), [&](const Field& f) { return name == f.row.name; });
    if (at == all.end()) {
      std::string known;
      for (const Field& f : all) known += (known.empty() ? "" : ", ") + std::string(f.row.name);
      return fail(Code::invalid, "unknown hyperparameter '" + name.substr(0, 64) + "'; known are " + known);
    }
    TRY(at->set(s, given.second));
  }
  if (s.kv_heads == 0) s.kv_heads = s.heads;
  if (s.ffn == 0) s.ffn = (s.width * 8 / 3 + 15) / 16 * 16;
  TRY(check_together(s));
  return s;
}

std::map<std::string, std::string> describe_settings(const TrainSettings& settings) {
  std::map<std::string, std::string> out;
  for (const Field& f : fields()) out[f.row.name] = f.get(settings);
  return out;
}

model::LlamaConfig llama_config(const TrainSettings& s, int64_t vocabulary) {
  model::LlamaConfig c;
  c.layers = s.layers;
  c.width = s.width;
  c.heads = s.heads;
  c.kv_heads = s.kv_heads;
  c.head_dim = s.head_dim();
  c.ffn = s.ffn;
  c.vocabulary = vocabulary;
  c.context = s.context;
  c.rope_theta = s.rope_theta;
  c.tied = s.tied;
  return c;
}

model::AdamWSettings adamw_settings(const TrainSettings& s) {
  model::AdamWSettings out;
  out.beta1 = static_cast<float>(s.beta1);
  out.beta2 = static_cast<float>(s.beta2);
  out.weight_decay = static_cast<float>(s.weight_decay);
  out.clip = static_cast<float>(s.clip);
  return out;
}

double learning_rate_at(const TrainSettings& s, double done) {
  if (done < s.warmup) return s.learning_rate * done / s.warmup;
  const double rest = s.warmup < 1 ? std::min(1.0, (done - s.warmup) / (1 - s.warmup)) : 1;
  const double fall = 0.5 * (1 + tensor::exact_cos(3.14159265358979323846 * rest));
  return s.min_learning_rate + (s.learning_rate - s.min_learning_rate) * fall;
}

}  // namespace hf::engine
