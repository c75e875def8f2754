#include "engine/train_data.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "base/text.h"

namespace hf::engine {
namespace {

namespace json = boost::json;

constexpr size_t kBlock = 1 << 20;

Result<std::string> text_member(const json::object& object, std::string_view name) {
  const json::value* v = object.if_contains(name);
  if (v == nullptr) return fail(Code::invalid, "expected a member \"" + std::string(name) + "\", found none");
  const json::string* text = v->if_string();
  if (text == nullptr) return fail(Code::invalid, "\"" + std::string(name) + "\" must be a string");
  return std::string(*text);
}

Error at_line(const Error& error, const std::string& what, int64_t line) {
  return fail(error.code, what + ", line " + std::to_string(line) + ": " + error.message);
}

class LineReader {
 public:
  LineReader(const std::string& what, const std::function<Status(TextExample)>& use) : what_(what), use_(use) {}

  Status push(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t stop = bytes.find('\n');
      line_.append(bytes.substr(0, stop));
      if (line_.size() > kMaxLineBytes) {
        return at_line(fail(Code::too_large, "longer than " + std::to_string(kMaxLineBytes) + " bytes"), what_,
                       number_);
      }
      if (stop == std::string_view::npos) return {};
      TRY(finish());
      bytes.remove_prefix(stop + 1);
    }
    return {};
  }
  Status finish() {
    const int64_t number = number_++;
    if (!trim(line_).empty()) {
      auto example = parse_line(line_);
      if (!example.ok()) return at_line(example.error(), what_, number);
      Status used = use_(std::move(*example));
      if (!used.ok()) return at_line(used.error(), what_, number);
    }
    line_.clear();
    return {};
  }

 private:
  const std::string& what_;
  const std::function<Status(TextExample)>& use_;
  std::string line_;
  int64_t number_ = 1;
};

}  // namespace

Result<TextExample> parse_line(std::string_view line) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  json::value value;
  try {
    value = json::parse(line, error, {}, options);
  } catch (const std::exception& e) {
    return fail(Code::invalid, std::string("not JSON: ") + e.what());
  }
  if (error) return fail(Code::invalid, "not JSON: " + error.message());
  const json::object* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid, "expected an object with \"prompt\" and \"completion\"");
  for (const auto& member : *object) {
    if (member.key() != "prompt" && member.key() != "completion") {
      return fail(Code::invalid, "unknown member \"" + std::string(std::string_view(member.key()).substr(0, 64)) +
                                     "\": expected \"prompt\" and \"completion\"");
    }
  }
  TextExample out;
  out.prompt = TRY(text_member(*object, "prompt"));
  out.completion = TRY(text_member(*object, "completion"));
  if (out.completion.empty()) return fail(Code::invalid, "\"completion\" is empty: there is nothing to learn");
  return out;
}

Status read_lines(os::File& file, const std::string& what, const std::function<Status(TextExample)>& use,
                  const std::function<void(std::string_view)>& bytes) {
  LineReader reader(what, use);
  std::string block(kBlock, '\0');
  uint64_t offset = 0;
  for (;;) {
    auto got = file.read_at(offset, block);
    if (!got.ok()) return fail(got.error().code, what + ": " + got.error().message);
    if (*got == 0) break;
    const std::string_view piece(block.data(), *got);
    if (bytes) bytes(piece);
    TRY(reader.push(piece));
    offset += *got;
  }
  return reader.finish();
}

Status TokenData::add(const model::Tokenizer& tokenizer, const TextExample& example, int64_t context) {
  const model::ChatTurn turns[] = {{"user", example.prompt}, {"assistant", example.completion}};
  const model::Example rendered = TRY(render_example(tokenizer, model::ChatFormat::holdfast, turns));
  const auto size = static_cast<int64_t>(rendered.ids.size());
  if (size > context + 1) {
    return fail(Code::invalid, "the example takes " + std::to_string(size) + " tokens, at most " +
                                   std::to_string(context + 1) + " fit (hyperparameter 'context')");
  }
  if (examples() >= kMaxExamples || static_cast<int64_t>(ids_.size()) + size > kMaxDataTokens) {
    return fail(Code::too_large, "more than " + std::to_string(kMaxExamples) + " examples or 2^31 tokens");
  }
  std::set<int32_t> answered;
  for (size_t i = 0; i < rendered.ids.size(); ++i) {
    if (rendered.learn[i]) answered.insert(rendered.ids[i]);
  }
  for (int32_t id : rendered.ids) droppable_.push_back(!tokenizer.special(id) && !answered.contains(id));
  ids_.insert(ids_.end(), rendered.ids.begin(), rendered.ids.end());
  learn_.insert(learn_.end(), rendered.learn.begin(), rendered.learn.end());
  ends_.push_back(static_cast<int64_t>(ids_.size()));
  return {};
}

void TokenData::append_to(model::Batch& batch, int64_t example, float prompt_weight, double drop, Dice& dice) const {
  int64_t last = -1;  // the input whose target is the next token that stays
  for (int64_t i = begin(example); i < end(example); ++i) {
    const auto at = static_cast<size_t>(i);
    if (drop > 0 && droppable_[at] && dice.uniform() < drop) continue;
    if (last >= 0) {
      const float weight = learn_[at] ? 1.0f : prompt_weight;
      batch.tokens.push_back(ids_[static_cast<size_t>(last)]);
      batch.targets.push_back(weight > 0 ? ids_[at] : -1);
      batch.weights.push_back(weight);
    }
    last = i;
  }
  batch.ends.push_back(static_cast<int64_t>(batch.tokens.size()));
}

uint64_t Dice::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Batcher::Batcher(const TokenData& data, int64_t batch_tokens, float prompt_weight, double drop, uint64_t seed)
    : data_(data), batch_tokens_(batch_tokens), prompt_weight_(prompt_weight), drop_(drop), dice_(seed) {
  check(data.examples() > 0, "data to train on");
  order_.resize(static_cast<size_t>(data.examples()));
  std::iota(order_.begin(), order_.end(), 0);
  shuffle();
}

void Batcher::shuffle() {  // Fisher-Yates
  for (size_t i = order_.size() - 1; i > 0; --i)
    std::swap(order_[i], order_[static_cast<size_t>(dice_.next() % (i + 1))]);
}

model::Batch Batcher::next() {
  model::Batch batch;
  for (;;) {
    if (at_ == order_.size()) {
      at_ = 0;
      shuffle();
    }
    const int64_t example = order_[at_];
    const auto rows = static_cast<int64_t>(batch.tokens.size());
    if (rows > 0 && rows + data_.rows_of(example) > batch_tokens_) return batch;
    data_.append_to(batch, example, prompt_weight_, drop_, dice_);
    ++at_;
    if (static_cast<int64_t>(batch.tokens.size()) >= batch_tokens_) return batch;
  }
}

int64_t Batcher::steps_for(double epochs) const {
  // A batch ends half an example before batch_tokens on average.
  const double mean = static_cast<double>(data_.rows()) / static_cast<double>(data_.examples());
  const double per_step = std::max(mean, static_cast<double>(batch_tokens_) - mean / 2);
  return std::max<int64_t>(1, std::llround(epochs * static_cast<double>(data_.rows()) / per_step));
}

}  // namespace hf::engine
