#include "store/db.h"

namespace hf::store {
namespace {

Record from_row(const Statement& q) { return {q.text(0), q.text(1), q.text(2), q.integer(3), q.integer(4), q.text(5)}; }

Status insert(Txn& txn, const Record& r, std::string_view sql) {
  auto q = TRY(txn.query(sql));
  return q.bind(r.kind).bind(r.account).bind(r.name).bind(r.created).bind(r.updated).bind(r.body).run();
}

constexpr const char* kColumns = "SELECT kind, account, name, created, updated, body FROM records ";

}  // namespace

Status put_record(Txn& txn, const Record& record) {
  return insert(txn, record,
                "INSERT INTO records(kind, account, name, created, updated, body) VALUES(?,?,?,?,?,?) "
                "ON CONFLICT(kind, account, name) DO UPDATE SET updated=excluded.updated, body=excluded.body");
}

Status insert_record(Txn& txn, const Record& record) {
  if (TRY(get_record(txn, record.kind, record.account, record.name))) {
    return fail(Code::conflict, record.kind + " '" + record.name + "' exists already");
  }
  return insert(txn, record, "INSERT INTO records(kind, account, name, created, updated, body) VALUES(?,?,?,?,?,?)");
}

Result<std::optional<Record>> get_record(Txn& txn, std::string_view kind, std::string_view account,
                                         std::string_view name) {
  auto q = TRY(txn.query(std::string(kColumns) + "WHERE kind=? AND account=? AND name=?"));
  q.bind(kind).bind(account).bind(name);
  if (!TRY(q.step())) return std::optional<Record>();
  return std::optional<Record>(from_row(q));
}

Result<bool> delete_record(Txn& txn, std::string_view kind, std::string_view account, std::string_view name) {
  auto q = TRY(txn.query("DELETE FROM records WHERE kind=? AND account=? AND name=?"));
  TRY(q.bind(kind).bind(account).bind(name).run());
  return txn.changes() > 0;
}

Result<std::vector<Record>> list_records(Txn& txn, std::string_view kind, std::string_view account,
                                         std::string_view after, int64_t limit) {
  std::vector<Record> out;
  if (limit <= 0) return out;
  const bool all = account.empty();
  auto q =
      TRY(txn.query(std::string(kColumns) + (all ? "WHERE kind=? AND name>? ORDER BY name, account LIMIT ?"
                                                 : "WHERE kind=? AND account=? AND name>? ORDER BY name LIMIT ?")));
  q.bind(kind);
  if (!all) q.bind(account);
  q.bind(after).bind(limit);
  while (TRY(q.step())) out.push_back(from_row(q));
  if (!all || static_cast<int64_t>(out.size()) < limit) return out;
  const std::string name = out.back().name, last = out.back().account;
  auto rest = TRY(txn.query(std::string(kColumns) + "WHERE kind=? AND name=? AND account>? ORDER BY account"));
  rest.bind(kind).bind(name).bind(last);
  while (TRY(rest.step())) out.push_back(from_row(rest));
  return out;
}

}  // namespace hf::store
