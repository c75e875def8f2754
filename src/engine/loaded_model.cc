#include "engine/loaded_model.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "format/safetensors.h"
#include "format/tokenizer.h"
#include "model/arch/arch.h"
#include "model/arch/gguf.h"

namespace hf::engine {
namespace {

const ModelFile* find_file(const std::vector<ModelFile>& files, std::string_view name) {
  const auto it = std::find_if(files.begin(), files.end(), [&](const ModelFile& f) { return f.name == name; });
  return it == files.end() ? nullptr : &*it;
}

Result<std::string_view> file_bytes(const std::vector<ModelFile>& files, std::string_view name) {
  const ModelFile* file = find_file(files, name);
  if (!file) return fail(Code::not_found, "the model folder has no " + std::string(name));
  return file->bytes.bytes();
}

// All tensors of all safetensors files of the folder, by name.
class Tensors {
 public:
  static Result<Tensors> open(std::vector<ModelFile>& files) {
    Tensors out;
    for (ModelFile& file : files) {
      // Whole or in shards; a folder may hold other safetensors.
      if (file.name != "model.safetensors" && !(file.name.starts_with("model-") && file.name.ends_with(".safetensors")))
        continue;
      out.bytes_ += file.bytes.bytes().size();
      auto opened = format::Safetensors::open(std::move(file.bytes));
      if (!opened.ok()) return fail(opened.error().code, file.name + ": " + opened.error().message);
      out.files_.push_back(std::make_unique<format::Safetensors>(std::move(*opened)));
      for (const auto& [name, tensor] : out.files_.back()->header().tensors)
        if (!out.where_.emplace(name, Place{out.files_.back().get(), &tensor}).second)
          return fail(Code::corrupt, file.name + ": tensor " + name + " is in another file too");
    }
    if (out.files_.empty()) return fail(Code::not_found, "the model folder has no model.safetensors");
    return out;
  }

  Result<tensor::View> view(const std::string& name) {
    const auto it = where_.find(name);
    if (it == where_.end()) return fail(Code::not_found, "the model folder has no tensor " + name);
    used_.insert(name);
    auto type = tensor::dtype_of(format::dtype_name(it->second.tensor->dtype));
    if (!type.ok()) return fail(Code::invalid, "tensor " + name + ": " + type.error().message);
    tensor::View view;
    view.type = *type;
    view.shape = it->second.tensor->shape;
    view.data = it->second.file->data(*it->second.tensor).data();
    return view;
  }

  // Tensors that the architecture does not know would change what it computes. Two kinds do not: a rotary table that
  // old exporters stored, and the head of a model whose head is its embedding.
  Status check_all_used(bool tied) const {
    for (const auto& [name, place] : where_) {
      if (used_.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
      if (tied && name == "lm_head.weight") continue;
      return fail(Code::invalid, "tensor " + name + " is not one of the architecture's");
    }
    return {};
  }

  bool matrices_are_bf16() const {
    return std::all_of(where_.begin(), where_.end(), [](const auto& row) {
      const format::TensorInfo& tensor = *row.second.tensor;
      return tensor.shape.size() != 2 || tensor.dtype == format::Dtype::bf16;
    });
  }
  std::string dtype_of(const std::string& name) const {
    const auto it = where_.find(name);
    return it == where_.end() ? "" : std::string(format::dtype_name(it->second.tensor->dtype));
  }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Place {
    const format::Safetensors* file;
    const format::TensorInfo* tensor;
  };
  std::vector<std::unique_ptr<format::Safetensors>> files_;  // whose tensors have fixed addresses
  std::map<std::string, Place> where_;
  std::set<std::string> used_;
  uint64_t bytes_ = 0;
};

std::vector<int32_t> ends_of(const model::ModelConfig& config, const model::Tokenizer& tokenizer,
                             model::ChatFormat chat) {
  std::vector<int32_t> out = model::end_tokens(tokenizer, chat);
  for (const int64_t id : config.eos_tokens)
    if (id >= 0 && id < tokenizer.size()) out.push_back(static_cast<int32_t>(id));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

rpc::ModelCard card_of(const std::string& digest, const model::ModelConfig& config, const LoadedModel& model,
                       uint64_t bytes, const std::string& dtype) {
  rpc::ModelCard card;
  card.digest = digest;
  card.architecture = config.architecture;
  card.chat_format = model::chat_format_name(model.chat);
  card.parameters = config.llama.parameters();
  card.vocabulary = config.llama.vocabulary;
  card.context = config.llama.context;
  card.layers = config.llama.layers;
  card.width = config.llama.width;
  card.heads = config.llama.heads;
  card.kv_heads = config.llama.kv_heads;
  card.bytes = bytes;
  card.dtype = dtype;
  return card;
}

// What does not depend on where the model came from.
void complete(LoadedModel& model, const model::ModelConfig& config) {
  model.chat = model::chat_format_of(model.tokenizer);
  model.ends = ends_of(config, model.tokenizer, model.chat);
  model.page_bytes = model::page_floats(config.llama) * static_cast<int64_t>(sizeof(float));
  for (int32_t id = 0; id < model.tokenizer.size(); ++id)
    model.longest_token = std::max(model.longest_token, model.tokenizer.bytes(id).size());
}

Status check_vocabulary(const model::Tokenizer& tokenizer, const model::ModelConfig& config) {
  if (tokenizer.size() <= config.llama.vocabulary) return {};
  return fail(Code::invalid, "the tokenizer has " + std::to_string(tokenizer.size()) +
                                 " tokens, the model's vocab_size is " + std::to_string(config.llama.vocabulary));
}

model::LoadOptions options_of(bool bf16, bool source_stays, WeightCache* cache) {
  model::LoadOptions out;
  out.bf16 = bf16;
  out.source_stays = source_stays;
  if (cache) out.memory = [cache](size_t bytes) { return cache->memory(bytes); };
  return out;
}

using Loaded = Result<std::shared_ptr<LoadedModel>>;

Loaded load_folder(const std::string& digest, std::vector<ModelFile>& files, const tensor::Kernels& kernels,
                   WeightCache* cache) {
  const model::ModelConfig config = TRY(model::read_config(TRY(file_bytes(files, "config.json"))));
  auto tokenizer = TRY(model::Tokenizer::make(TRY(format::parse_tokenizer(TRY(file_bytes(files, "tokenizer.json"))))));
  TRY(check_vocabulary(tokenizer, config));
  Tensors tensors = TRY(Tensors::open(files));
  const auto source = [&](const std::string& name) { return tensors.view(name); };
  auto model = std::make_shared<LoadedModel>(std::move(tokenizer));
  model->weights = TRY(
      model::LlamaModel::load(config.llama, source, options_of(tensors.matrices_are_bf16(), false, cache), kernels));
  TRY(tensors.check_all_used(config.llama.tied));
  complete(*model, config);
  model->card = card_of(digest, config, *model, tensors.bytes(), tensors.dtype_of("model.embed_tokens.weight"));
  return model;
}

// Of the file's matrices, all are bfloat16: then they are kept so.
bool matrices_are_bf16(const format::Gguf& file) {
  for (const auto& [name, tensor] : file.tensors())
    if (tensor.shape.size() > 1 && tensor.type != tensor::DType::bf16) return false;
  return true;
}

Loaded load_gguf(const std::string& digest, ModelFile& file, const tensor::Kernels& kernels, WeightCache* cache) {
  auto gguf = std::make_unique<format::Gguf>(TRY(format::Gguf::open(std::move(file.bytes))));
  const model::ModelConfig config = TRY(model::read_gguf_config(*gguf));
  auto tokenizer = TRY(model::Tokenizer::make(TRY(model::read_gguf_tokenizer(*gguf))));
  TRY(check_vocabulary(tokenizer, config));
  std::set<std::string> used{"rope_freqs.weight"};
  const auto source = [&](const std::string& name) {
    used.insert(model::gguf_tensor_name(name));
    return model::gguf_view(*gguf, config, name);
  };
  auto model = std::make_shared<LoadedModel>(std::move(tokenizer));
  model->weights =
      TRY(model::LlamaModel::load(config.llama, source, options_of(matrices_are_bf16(*gguf), true, cache), kernels));
  for (const auto& [name, tensor] : gguf->tensors())
    if (!used.contains(name)) return fail(Code::invalid, "tensor " + name + " is not one of the architecture's");
  complete(*model, config);
  const auto gate = gguf->tensors().find("blk.0.ffn_gate.weight");
  model->card = card_of(digest, config, *model, gguf->size(),
                        gate == gguf->tensors().end() ? "" : std::string(tensor::name_of(gate->second.type)));
  gguf->release_pages();
  if (!config.llama.tied) model->source = std::move(gguf);
  return model;
}

Loaded load_any(const std::string& digest, std::vector<ModelFile>& files, const tensor::Kernels& kernels,
                WeightCache* cache) {
  ModelFile* gguf = nullptr;
  for (ModelFile& file : files) {
    if (!file.name.ends_with(".gguf")) continue;
    if (gguf) return fail(Code::invalid, "the model folder has two GGUF files: " + gguf->name + " and " + file.name);
    gguf = &file;
  }
  return gguf ? load_gguf(digest, *gguf, kernels, cache) : load_folder(digest, files, kernels, cache);
}

}  // namespace

Result<std::shared_ptr<const LoadedModel>> load_model(const std::string& digest, std::vector<ModelFile> files,
                                                      const tensor::Kernels& kernels, WeightCache* cache) {
  return std::shared_ptr<const LoadedModel>(TRY(load_any(digest, files, kernels, cache)));
}

bool LoadedModel::is_end(int32_t id) const { return std::binary_search(ends.begin(), ends.end(), id); }

Result<std::vector<int32_t>> LoadedModel::render(const rpc::Prompt& prompt) const {
  const auto context = static_cast<size_t>(weights->config.context);
  size_t bytes = prompt.raw.size() + prompt.prefill.size();
  std::vector<model::ChatTurn> turns;
  for (const rpc::Turn& turn : prompt.turns) {
    turns.push_back({turn.role, turn.text});
    bytes += turn.text.size();
    if (!valid_utf8(turn.text)) return fail(Code::invalid, "a turn's text is not UTF-8");
  }
  if (!valid_utf8(prompt.raw) || !valid_utf8(prompt.prefill)) return fail(Code::invalid, "the prompt is not UTF-8");
  const auto too_long = [&](const std::string& found) {
    return fail(Code::invalid, "the prompt has " + found + " tokens; the model takes at most " +
                                   std::to_string(context - 1) + " and gives one at least");
  };
  // Text that cannot fit is not worth encoding.
  if (bytes / longest_token >= context) return too_long("over " + std::to_string(bytes / longest_token));
  std::vector<int32_t> ids;
  if (turns.empty()) {
    ids = TRY(model::render_raw(tokenizer, prompt.raw));
    if (!prompt.prefill.empty()) {
      const auto more = TRY(tokenizer.encode(prompt.prefill));
      ids.insert(ids.end(), more.begin(), more.end());
    }
  } else {
    ids = TRY(model::render_prompt(tokenizer, chat, turns, prompt.prefill));
  }
  if (ids.empty()) return fail(Code::invalid, "the prompt is empty");
  if (ids.size() >= context) return too_long(std::to_string(ids.size()));
  return ids;
}

Status write_gguf_of(const std::string& name, std::vector<ModelFile> files, std::optional<tensor::DType> matrices,
                     os::File& out) {
  const model::ModelConfig config = TRY(model::read_config(TRY(file_bytes(files, "config.json"))));
  const auto tokenizer = TRY(format::parse_tokenizer(TRY(file_bytes(files, "tokenizer.json"))));
  Tensors tensors = TRY(Tensors::open(files));
  const auto source = [&](const std::string& tensor) { return tensors.view(tensor); };
  return model::write_model_gguf(name, config, tokenizer, source, matrices, out);
}

}  // namespace hf::engine
