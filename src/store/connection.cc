#include "store/connection.h"

#include <cstring>

#include "base/check.h"

namespace hf::store {
namespace {

constexpr size_t kMaxCachedStatements = 256;

Code code_of(int code, const Error& disk) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Code::exhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::corrupt;
    case SQLITE_CONSTRAINT:
      return Code::conflict;
    case SQLITE_TOOBIG:
      return Code::too_large;
    case SQLITE_READONLY:
      return Code::denied;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      return disk.message.empty() ? Code::unavailable : disk.code;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
      return Code::unavailable;
    default:
      return Code::internal;
  }
}

}  // namespace

Error Connection::error(int code, std::string_view doing) {
  const Error disk = vfs_.last_error();
  std::string message = "metadata: " + std::string(doing) + ": ";
  message += db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  const int base = code & 0xff;
  const bool of_disk = base == SQLITE_IOERR || base == SQLITE_FULL || base == SQLITE_CANTOPEN;
  if (of_disk && !disk.message.empty()) message += " (" + disk.message + ")";
  Code cause = code_of(code, of_disk ? disk : Error{});
  const bool full = base == SQLITE_FULL || (of_disk && disk.name == kDiskFull);
  // No more descriptors or memory: no client is too many for that, and no disk full.
  if (cause == Code::exhausted && !full) cause = Code::unavailable;
  return fail(cause, full ? kDiskFull : "", std::move(message));
}

Result<std::unique_ptr<Connection>> Connection::open(Vfs& vfs, const std::string& path, bool writer) {
  std::unique_ptr<Connection> c(new Connection(vfs));
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
  int rc = sqlite3_open_v2(path.c_str(), &c->db_, flags, vfs.name().c_str());
  if (rc != SQLITE_OK) return c->error(rc, "open " + path);
  sqlite3_extended_result_codes(c->db_, 1);
  sqlite3_db_config(c->db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(c->db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  int reserve = kPageSumBytes;
  rc = sqlite3_file_control(c->db_, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
  if (rc != SQLITE_OK) return c->error(rc, "reserve room for page sums");
  TRY(c->run("PRAGMA temp_store=MEMORY"));
  TRY(c->run("PRAGMA cell_size_check=ON"));
  if (writer) {
    TRY(c->run("PRAGMA page_size=4096"));
    auto mode = TRY(c->prepare("PRAGMA journal_mode=WAL"));
    const int rc_mode = sqlite3_step(mode->statement);
    const auto* found = rc_mode == SQLITE_ROW ? sqlite3_column_text(mode->statement, 0) : nullptr;
    const std::string journal = found ? reinterpret_cast<const char*>(found) : "";
    Error not_wal = c->error(rc_mode == SQLITE_ROW ? SQLITE_IOERR : rc_mode, "switch to the write-ahead log");
    c->give_back(mode);
    if (journal != "wal") return not_wal;
    TRY(c->run("PRAGMA synchronous=FULL"));
    TRY(c->run("PRAGMA wal_autocheckpoint=1000"));
  } else {
    TRY(c->run("PRAGMA query_only=ON"));
  }
  return c;
}

Connection::~Connection() {
  for (auto& [text, list] : statements_) {
    for (auto& p : list) {
      check(!p.busy, "a Statement outlives its transaction");
      sqlite3_finalize(p.statement);
    }
  }
  sqlite3_close_v2(db_);
}

Status Connection::run(const char* sql) {
  int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return error(rc, sql);
  return {};
}

Result<int64_t> Connection::integer(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int rc = sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr);
  if (rc != SQLITE_OK) return error(rc, sql);
  rc = sqlite3_step(statement);
  const int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  Result<int64_t> out = value;
  if (rc != SQLITE_ROW) out = error(rc, sql);
  sqlite3_finalize(statement);
  return out;
}

Status Connection::cached(std::string_view sql) {
  Prepared* p = TRY(prepare(sql));
  int rc = SQLITE_ROW;
  while (rc == SQLITE_ROW) rc = sqlite3_step(p->statement);
  Status out;
  if (rc != SQLITE_DONE) out = error(rc, sql);
  give_back(p);
  return out;
}

Status Connection::reserve_main() {
  Prepared* p = TRY(prepare("PRAGMA page_count"));
  int rc = sqlite3_step(p->statement);
  sqlite3_int64 bytes = rc == SQLITE_ROW ? sqlite3_column_int64(p->statement, 0) * kPageBytes : 0;
  give_back(p);
  if (rc != SQLITE_ROW) return error(rc, "count pages");
  rc = sqlite3_file_control(db_, "main", SQLITE_FCNTL_SIZE_HINT, &bytes);
  if (rc != SQLITE_OK) {
    Error disk = vfs_.last_error();
    return fail(rc == SQLITE_FULL ? Code::exhausted : Code::unavailable, disk.name,
                "metadata: make room: " + disk.message);
  }
  return {};
}

void Connection::reserve_wal(int64_t bytes) {
  sqlite3_file* wal = nullptr;
  if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK || !wal || !wal->pMethods)
    return;
  sqlite3_int64 size = 0;
  if (wal->pMethods->xFileSize(wal, &size) != SQLITE_OK) return;
  // Zeros are no frame: SQLite finds the end of the log before them.
  const std::string zeros(64 << 10, '\0');
  for (; size < bytes; size += static_cast<int64_t>(zeros.size())) {
    if (wal->pMethods->xWrite(wal, zeros.data(), static_cast<int>(zeros.size()), size) != SQLITE_OK) return;
  }
}

Result<Prepared*> Connection::prepare(std::string_view sql) {
  auto& list = statements_[std::string(sql)];
  for (auto& p : list) {
    if (p.busy) continue;
    p.busy = true;
    return &p;
  }
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  int rc =
      sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, &tail);
  if (rc != SQLITE_OK) return error(rc, sql);
  if (!statement || tail != sql.data() + sql.size()) {
    sqlite3_finalize(statement);
    return fail(Code::internal, "metadata: expected one SQL statement, found '" + std::string(sql) + "'");
  }
  ++cached_;
  list.push_back({statement, this, true});
  return &list.back();
}

void Connection::give_back(Prepared* prepared) {
  sqlite3_reset(prepared->statement);
  sqlite3_clear_bindings(prepared->statement);
  prepared->busy = false;
  if (cached_ <= kMaxCachedStatements) return;
  // Texts made at run time could fill the memory: beyond the bound a statement goes when it is given back.
  auto it = statements_.find(sqlite3_sql(prepared->statement));
  check(it != statements_.end(), "a cached statement has its text");
  sqlite3_finalize(prepared->statement);
  it->second.remove_if([&](const Prepared& p) { return &p == prepared; });
  if (it->second.empty()) statements_.erase(it);
  --cached_;
}

Statement::Statement(void* statement) : statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), next_(other.next_), failed_(std::move(other.failed_)) {}

Statement::~Statement() {
  if (!statement_) return;
  auto* p = static_cast<Prepared*>(statement_);
  p->owner->give_back(p);
}

namespace {

sqlite3_stmt* raw(void* p) { return static_cast<Prepared*>(p)->statement; }

void keep_failure(Status& failed, void* p, int rc) {
  if (rc != SQLITE_OK && failed.ok()) failed = static_cast<Prepared*>(p)->owner->error(rc, "bind a parameter");
}

// A null pointer would bind NULL, not the empty value.
const char* bytes_of(std::string_view v) { return v.data() ? v.data() : ""; }

}  // namespace

Statement& Statement::bind(int64_t v) {
  keep_failure(failed_, statement_, sqlite3_bind_int64(raw(statement_), next_++, v));
  return *this;
}

Statement& Statement::bind(std::string_view v) {
  keep_failure(failed_, statement_,
               sqlite3_bind_text64(raw(statement_), next_++, bytes_of(v), v.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::blob(std::string_view v) {
  keep_failure(failed_, statement_,
               sqlite3_bind_blob64(raw(statement_), next_++, bytes_of(v), v.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::null() {
  keep_failure(failed_, statement_, sqlite3_bind_null(raw(statement_), next_++));
  return *this;
}

Result<bool> Statement::step() {
  if (!failed_.ok()) return failed_.error();
  int rc = sqlite3_step(raw(statement_));
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return static_cast<Prepared*>(statement_)->owner->error(rc, sqlite3_sql(raw(statement_)));
}

Status Statement::run() {
  while (TRY(step())) {
  }
  return {};
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(raw(statement_), column); }

std::string Statement::text(int column) const {
  const void* p = sqlite3_column_blob(raw(statement_), column);
  const int n = sqlite3_column_bytes(raw(statement_), column);
  return p ? std::string(static_cast<const char*>(p), static_cast<size_t>(n)) : std::string();
}

bool Statement::is_null(int column) const { return sqlite3_column_type(raw(statement_), column) == SQLITE_NULL; }

Result<Statement> Txn::query(std::string_view sql) {
  return Statement(TRY(static_cast<Connection*>(impl)->prepare(sql)));
}

Status Txn::run(std::string_view sql) { return TRY(query(sql)).run(); }

int64_t Txn::changes() const { return static_cast<Connection*>(impl)->changes(); }

}  // namespace hf::store
