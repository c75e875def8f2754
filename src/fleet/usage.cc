#include "fleet/usage.h"

#include <boost/json.hpp>

#include "security/json.h"

namespace hf::fleet {
namespace json = boost::json;

Status add_usage(store::Txn& txn, Micros now, const Usage& more) {
  const std::string day = iso8601(now).substr(0, 10), name = day + "/" + more.principal + "/" + more.model;
  json::object row{{"day", day}, {"model", more.model}, {"principal", more.principal}};
  json::value before;
  if (auto found = TRY(store::get_record(txn, "usage", more.account, name)))
    before = TRY(security::parse_json(found->body, 64 << 10, "a row of usage"));
  auto add = [&](const char* member, int64_t n) {
    const json::value* at = before.is_object() ? before.get_object().if_contains(member) : nullptr;
    row[member] = (at && at->is_int64() ? at->get_int64() : 0) + n;
  };
  add("requests", more.requests);
  add("errors", more.errors);
  add("input_tokens", more.input_tokens);
  add("output_tokens", more.output_tokens);
  add("jobs", more.jobs);
  add("job_microseconds", more.job_us);
  store::Record record;
  record.kind = "usage";
  record.account = more.account;
  record.name = name;
  record.created = record.updated = now;
  record.body = security::canonical_json(row);
  return store::put_record(txn, record);
}

Result<Storage> storage_of(store::Txn& txn, const std::string& account) {
  auto q =
      TRY(txn.query("SELECT COUNT(*), COALESCE(SUM(o.size), 0) FROM objects o JOIN buckets b ON b.name = o.bucket "
                    "WHERE b.account = ?"));
  q.bind(std::string_view(account));
  if (!TRY(q.step())) return fail(Code::internal, "a sum gave no row");
  return Storage{q.integer(0), q.integer(1)};
}

}  // namespace hf::fleet
