#include "engine/train_outputs.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <map>

#include "base/bytes.h"
#include "format/safetensors.h"
#include "model/arch/arch.h"
#include "model/chat.h"

namespace hf::engine {
namespace {

namespace json = boost::json;

Status put_text(os::File& file, const std::string& name, const std::string& text) {
  const auto named = [&](Status status) -> Status {
    if (status.ok()) return {};
    return fail(status.error().code, "writing " + name + ": " + status.error().message);
  };
  TRY(named(file.truncate(0)));
  TRY(named(file.write_at(0, text)));
  return named(file.sync());
}

Status put_weights(os::File& file, const std::string& name, const model::LlamaTrainer& trainer, bool bf16,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> bytes;
  std::vector<format::TensorToWrite> tensors;
  TRY(trainer.save([&](const model::TensorSpec& spec, std::span<const float> values) -> Status {
    std::string& out = bytes.emplace_back();
    if (bf16) {
      out.resize(values.size() * 2);
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t half = tensor::bf16_of(values[i]);
        std::memcpy(out.data() + i * 2, &half, 2);
      }
    } else {
      out.assign(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    }
    tensors.push_back({spec.name, bf16 ? format::Dtype::bf16 : format::Dtype::f32, spec.shape, {}});
    return {};
  }));
  for (size_t i = 0; i < bytes.size(); ++i) tensors[i].bytes = bytes[i];
  const auto named = [&](Status status) -> Status {
    if (status.ok()) return {};
    return fail(status.error().code, "writing " + name + ": " + status.error().message);
  };
  TRY(named(file.truncate(0)));
  TRY(named(format::write_safetensors(file, tensors, metadata)));
  return named(file.sync());
}

std::vector<int32_t> ends(const model::Tokenizer& tokenizer) {
  return model::end_tokens(tokenizer, model::ChatFormat::holdfast);
}

std::string config_text(const model::LlamaTrainer& trainer, const model::Tokenizer& tokenizer, bool bf16) {
  model::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.llama = trainer.config();
  for (int32_t id : ends(tokenizer)) config.eos_tokens.push_back(id);
  return write_config(config, bf16 ? tensor::DType::bf16 : tensor::DType::f32);
}

// The holdfast chat format in the template language of other tools.
constexpr const char* kChatTemplate =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

std::string tokenizer_config_text(const model::LlamaTrainer& trainer) {
  const json::object out{
      {"tokenizer_class", "PreTrainedTokenizerFast"},
      {"eos_token", "<|end|>"},
      {"model_max_length", trainer.config().context},
      {"clean_up_tokenization_spaces", false},
      {"chat_template", kChatTemplate},
  };
  return json::serialize(out) + "\n";
}

std::string generation_text(const model::Tokenizer& tokenizer) {
  json::array ids;
  for (int32_t id : ends(tokenizer)) ids.push_back(id);
  return json::serialize(json::object{{"do_sample", false}, {"eos_token_id", ids}}) + "\n";
}

std::string lineage_text(const Lineage& l, const model::LlamaTrainer& trainer) {
  json::object settings;
  for (const auto& [name, value] : describe_settings(l.settings)) settings[name] = value;
  const json::object out{
      {"format", 1},
      {"made_by", "holdfast training"},
      {"build", l.build},
      {"instruction_set", l.isa},
      {"data_sha256", l.done.data_digest},
      {"examples", l.done.examples},
      {"hyperparameters", settings},
      {"seed", std::to_string(l.task.seed)},
      {"parameters", l.done.parameters},
      {"context", trainer.config().context},
      {"chat_format", "holdfast"},
      {"metrics",
       {{"steps", l.done.steps},
        {"tokens", l.done.tokens},
        {"loss", l.done.loss},
        {"validation_loss", l.done.validation_loss < 0 ? json::value() : json::value(l.done.validation_loss)},
        {"stopped", l.done.stopped}}},
  };
  return json::serialize(out) + "\n";
}

}  // namespace

const std::vector<std::string>& training_outputs() {
  static const std::vector<std::string> names{"config.json",           "model.safetensors",      "tokenizer.json",
                                              "tokenizer_config.json", "generation_config.json", "holdfast.json"};
  return names;
}

Status check_outputs(const TrainFiles& files) {
  const auto& known = training_outputs();
  for (const auto& [name, file] : files.outputs) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return fail(Code::invalid, "a training job writes no file '" + name.substr(0, 64) + "'");
    }
  }
  return {};
}

Result<std::vector<std::string>> write_outputs(TrainFiles& files, const model::LlamaTrainer& trainer,
                                               const model::Tokenizer& tokenizer, const Lineage& lineage) {
  const bool bf16 = lineage.settings.bf16;
  std::vector<std::string> written;
  for (auto& [name, file] : files.outputs) {
    if (name == "config.json") TRY(put_text(*file, name, config_text(trainer, tokenizer, bf16)));
    if (name == "model.safetensors") TRY(put_weights(*file, name, trainer, bf16, {{"format", "pt"}}));
    if (name == "tokenizer.json") TRY(put_text(*file, name, format::write_tokenizer(tokenizer.file())));
    if (name == "tokenizer_config.json") TRY(put_text(*file, name, tokenizer_config_text(trainer)));
    if (name == "generation_config.json") TRY(put_text(*file, name, generation_text(tokenizer)));
    if (name == "holdfast.json") TRY(put_text(*file, name, lineage_text(lineage, trainer)));
    written.push_back(name);
  }
  return written;
}

}  // namespace hf::engine
