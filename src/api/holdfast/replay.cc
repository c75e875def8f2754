#include "api/holdfast/replay.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "api/inference.h"
#include "wire/json.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

constexpr size_t kMaxTurns = 10'000;

std::string text_of(const json::string& s) { return {s.data(), s.size()}; }

// A string, or a list of blocks {"text": ...} (with "type": "text" or none). Anything else is no text: invalid.
Result<std::string> content_text(const json::value& content, const std::string& where, const char* between) {
  if (content.is_string()) return text_of(content.get_string());
  if (!content.is_array()) return invalid(where + ": expected text, or a list of text blocks");
  std::string out;
  for (const auto& block : content.get_array()) {
    const json::object* o = block.if_object();
    const json::value* text = o ? o->if_contains("text") : nullptr;
    if (!text || !text->is_string()) return invalid(where + ": expected blocks of text only");
    out += (out.empty() ? "" : between) + text_of(text->get_string());
  }
  return out;
}

// OpenAI's parts are joined as they are and its last turn may be the assistant's; elsewhere blocks are lines, and a
// last turn of the assistant's is the start of the answer.
Result<rpc::Prompt> chat_prompt(const json::object& body, const json::array& messages, bool openai) {
  const char* between = openai ? "" : "\n";
  rpc::Prompt prompt;
  if (messages.empty() || messages.size() > kMaxTurns) return invalid("request.messages: expected 1 to 10000 messages");
  if (const json::value* system = body.if_contains("system"); system && !system->is_null()) {
    std::string text = TRY(content_text(*system, "request.system", between));
    if (!text.empty()) prompt.turns.push_back({"system", text});
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    std::string where = "request.messages[" + std::to_string(i) + "]";
    const json::object* o = messages[i].if_object();
    const json::value* role = o ? o->if_contains("role") : nullptr;
    const json::value* content = o ? o->if_contains("content") : nullptr;
    if (!role || !role->is_string() || !content) return invalid(where + ": expected a role and content");
    std::string name = text_of(role->get_string());
    prompt.turns.push_back(
        {name == "developer" ? "system" : name, TRY(content_text(*content, where + ".content", between))});
  }
  if (openai) return prompt;
  if (prompt.turns.back().role == "assistant") {  // the answer goes on where this ends
    prompt.prefill = std::move(prompt.turns.back().text);
    prompt.turns.pop_back();
  }
  const json::value* more = body.if_contains("additionalModelRequestFields");
  const json::object* fields = more ? more->if_object() : nullptr;
  if (const json::value* prefill = fields ? fields->if_contains("prefill") : nullptr; prefill && prefill->is_string())
    prompt.prefill = text_of(prefill->get_string());
  return prompt;
}

Result<double> number(const json::object& sampler, const char* name) {
  const json::value* v = sampler.if_contains(name);
  if (!v || !v->is_number()) return fail(Code::corrupt, std::string("the receipt's sampler has no number ") + name);
  return v->to_number<double>();
}

Result<int32_t> integer(const json::object& sampler, const char* name) {
  double v = TRY(number(sampler, name));
  if (v != std::floor(v) || v < 0 || v > INT32_MAX)
    return fail(Code::corrupt, std::string("the receipt's sampler: ") + name + " is out of range");
  return static_cast<int32_t>(v);
}

// The stop sequences of a request: Converse's, OpenAI's and InvokeModel's, or InvokeEndpoint's.
std::vector<std::string> stops_of(const json::value& request) {
  std::vector<std::string> out;
  auto add = [&](const json::value* v) {
    if (v && v->is_string()) out.push_back(text_of(v->get_string()));
    if (!v || !v->is_array()) return;
    for (const auto& text : v->get_array())
      if (text.is_string()) out.push_back(text_of(text.get_string()));
  };
  const json::object* body = request.if_object();
  auto inside = [&](const char* name) {
    const json::value* v = body ? body->if_contains(name) : nullptr;
    return v ? v->if_object() : nullptr;
  };
  if (body) add(body->if_contains("stop"));
  if (const json::object* config = inside("inferenceConfig")) add(config->if_contains("stopSequences"));
  if (const json::object* parameters = inside("parameters")) add(parameters->if_contains("stop"));
  return out;
}

// Were they the ones of the receipt?
Result<bool> same_stops(const security::Receipt& r, const std::vector<std::string>& stop) {
  const json::value sampler = TRY(wire::parse_json(r.sampler));
  json::array digests;
  for (const auto& digest : stop_digests(stop, r.salt)) digests.emplace_back(digest);
  const json::object* o = sampler.if_object();
  const json::value* then = o ? o->if_contains("stop_digests") : nullptr;
  return then && *then == json::value(digests);
}

void compare(const security::Receipt& r, const rpc::Finished& f, std::vector<std::string>& out) {
  auto differs = [&](bool same, const char* what) {
    if (!same) out.emplace_back(what);
  };
  differs(f.input_digest == r.input_digest, "input_digest: the request's tokens are not the ones that were answered");
  differs(f.output_digest == r.output_digest, "output_digest: the answer's tokens differ");
  differs(f.text_digest == r.text_digest, "text_digest: the answer's text differs");
  differs(f.input_tokens == r.input_tokens, "input_tokens");
  differs(f.output_tokens == r.output_tokens, "output_tokens");
  differs(f.stop_reason == r.stop_reason, "stop_reason");
  differs(f.isa == r.isa, "isa: another instruction set than then");
  differs(f.build == r.engine_build, "engine_build: another build of the program than then");
}

bool same(const rpc::Prompt& a, const rpc::Prompt& b) {
  auto turn = [](const rpc::Turn& x, const rpc::Turn& y) { return x.role == y.role && x.text == y.text; };
  return a.prefill == b.prefill && std::equal(a.turns.begin(), a.turns.end(), b.turns.begin(), b.turns.end(), turn);
}

}  // namespace

Result<std::vector<rpc::Prompt>> prompts_of(const wire::Document& request) {
  const json::object* body = request.if_object();
  std::vector<rpc::Prompt> out;
  if (!body) return invalid("request: expected the JSON object that was sent");
  if (const json::value* messages = body->if_contains("messages")) {
    if (!messages->is_array()) return invalid("request.messages: expected a list");
    for (bool openai : {false, true}) {
      rpc::Prompt prompt = TRY(chat_prompt(*body, messages->get_array(), openai));
      if (out.empty() || !same(out[0], prompt)) out.push_back(std::move(prompt));
    }
  }
  for (const char* name : {"prompt", "inputs"}) {
    const json::value* text = body->if_contains(name);
    if (!text || !text->is_string()) continue;
    rpc::Prompt raw, turn;
    raw.raw = text_of(text->get_string());
    turn.turns.push_back({"user", raw.raw});
    out.push_back(raw);
    if (name == std::string_view("prompt")) out.push_back(turn);
  }
  if (out.empty()) return invalid("request: expected messages, a prompt or inputs");
  return out;
}

Result<rpc::Sampling> sampling_of(const security::Receipt& receipt, const wire::Document& request) {
  json::value v = TRY(wire::parse_json(receipt.sampler));
  const json::object* sampler = v.if_object();
  if (!sampler) return fail(Code::corrupt, "the receipt's sampler is no JSON object");
  rpc::Sampling s;
  s.temperature = TRY(number(*sampler, "temperature"));
  s.top_p = TRY(number(*sampler, "top_p"));
  s.min_p = TRY(number(*sampler, "min_p"));
  s.top_k = TRY(integer(*sampler, "top_k"));
  s.max_tokens = TRY(integer(*sampler, "max_tokens"));
  s.seed = receipt.seed;
  s.stop = stops_of(request);
  return s;
}

Result<Replay> replay(Call& call, const security::Receipt& receipt, const wire::Document& request) {
  if (receipt.stop_reason == "error" || receipt.stop_reason == "cancelled")
    return fail(Code::conflict, "NotReplayableException",
                "receipt " + receipt.id + " is of an answer that ended with '" + receipt.stop_reason +
                    "': there is nothing to make again");
  fleet::GenerateRequest again;
  again.sampling = TRY(sampling_of(receipt, request));
  const bool stops = TRY(same_stops(receipt, again.sampling.stop));
  again.salt = receipt.salt;
  Target target{receipt.model_digest, receipt.model, call.resource()};
  Replay out;
  for (rpc::Prompt& prompt : TRY(prompts_of(request))) {
    again.prompt = std::move(prompt);
    Answer answer = TRY(generate(call, target, again));
    out.differences.clear();
    out.receipt_id = answer.receipt_id;
    compare(receipt, answer.finished, out.differences);
    if (!stops) out.differences.emplace_back("stop_digests: the request's stop sequences are not the ones of then");
    if (answer.finished.input_digest == receipt.input_digest) break;  // this is what was asked
  }
  return out;
}

}  // namespace hf::api::holdfast_api
