#include "security/receipt.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "security/json.h"

namespace hf::security {
namespace {

namespace json = boost::json;

constexpr size_t kMaxReceipt = 64 << 10;
constexpr const char* kType = "holdfast-receipt-v1";

// Every member, once: `text` as it is, `bytes` as hex, `number`. The order is the canonical one.
template <class R, class Visit>
void members(R& r, Visit&& v) {
  v.text("account", r.account);
  v.text("adapter", r.adapter);
  v.text("engine_build", r.engine_build);
  v.text("id", r.id);
  v.bytes("input_digest", r.input_digest);
  v.number("input_tokens", r.input_tokens);
  v.text("isa", r.isa);
  v.number("ledger_index", r.ledger_index);
  v.text("model", r.model);
  v.text("model_digest", r.model_digest);
  v.bytes("output_digest", r.output_digest);
  v.number("output_tokens", r.output_tokens);
  v.text("principal", r.principal);
  v.text("request_id", r.request_id);
  v.bytes("salt", r.salt);
  v.text("sampler", r.sampler);
  v.number("seed", r.seed);
  v.bytes("signature", r.signature);
  v.text("site", r.site);
  v.text("stop_reason", r.stop_reason);
  v.bytes("text_digest", r.text_digest);
  v.number("time", r.time);
}

struct Writer {
  json::object object;
  void text(const char* name, const std::string& s) { object[name] = s; }
  void bytes(const char* name, const std::string& s) { object[name] = hex(s); }
  template <class N>
  void number(const char* name, N n) {
    object[name] = n;
  }
};

struct Reader {
  const json::object& object;
  size_t taken = 0;
  Status status;

  const json::value* member(const char* name) {
    const json::value* v = object.if_contains(name);
    if (v)
      ++taken;
    else
      refuse(name, "is missing");
    return v;
  }
  void refuse(const char* name, const std::string& why) {
    if (status.ok()) status = fail(Code::invalid, std::string("receipt: ") + name + " " + why);
  }
  void text(const char* name, std::string& s) {
    const json::value* v = member(name);
    if (!v) return;
    if (!v->is_string()) return refuse(name, "is no string");
    s.assign(v->get_string().data(), v->get_string().size());
  }
  void bytes(const char* name, std::string& s) {
    text(name, s);
    auto raw = unhex(s);
    if (!raw.ok() || hex(*raw) != s) return refuse(name, "is not lower case hex");
    s = *raw;
  }
  template <class N>
  void number(const char* name, N& n) {
    const json::value* v = member(name);
    if (!v) return;
    json::error_code error;
    n = v->is_number() && !v->is_double() ? v->to_number<N>(error) : (error = json::error::not_number, N{});
    if (error) refuse(name, "is no integer in its range");
  }
};

std::string signed_text(Receipt receipt) {
  Writer w;
  members(receipt, w);
  w.object["type"] = kType;
  w.object.erase("signature");
  return canonical_json(w.object);
}

}  // namespace

std::string to_json(const Receipt& receipt) {
  Writer w;
  members(receipt, w);
  w.object["type"] = kType;
  return canonical_json(w.object);
}

Result<Receipt> receipt_from_json(std::string_view text) {
  auto value = TRY(parse_json(text, kMaxReceipt, "receipt"));
  if (!value.is_object()) return fail(Code::invalid, "receipt: expected an object");
  const auto& object = value.get_object();
  const json::value* type = object.if_contains("type");
  if (!type || *type != kType) return fail(Code::invalid, std::string("receipt: expected the type ") + kType);
  Receipt receipt;
  Reader r{object, 1, {}};
  members(receipt, r);
  TRY(r.status);
  if (r.taken != object.size()) return fail(Code::invalid, "receipt: it has members that this version does not know");
  return receipt;
}

void sign_receipt(Receipt& receipt, const crypto::SigningKey& key) {
  receipt.signature = key.sign(signed_text(receipt));
}

bool verify_receipt(const Receipt& receipt, std::string_view public_raw) {
  return crypto::verify_ed25519(public_raw, signed_text(receipt), receipt.signature);
}

Status put_receipt(store::Txn& txn, const Receipt& receipt) {
  store::Record record{std::string(kReceiptKind), receipt.account, receipt.id, receipt.time, receipt.time, {}};
  record.body = to_json(receipt);
  return store::put_record(txn, record);
}

Result<std::optional<Receipt>> find_receipt(store::Txn& txn, const std::string& account, const std::string& id) {
  std::optional<Receipt> out;
  auto record = TRY(store::get_record(txn, kReceiptKind, account, id));
  if (record) out = TRY(receipt_from_json(record->body));
  return out;
}

Result<std::vector<Receipt>> list_receipts(store::Txn& txn, const std::string& account, const std::string& after,
                                           int64_t limit) {
  std::vector<Receipt> out;
  for (const auto& record : TRY(store::list_records(txn, kReceiptKind, account, after, limit)))
    out.push_back(TRY(receipt_from_json(record.body)));
  return out;
}

}  // namespace hf::security
