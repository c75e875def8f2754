#include "store/objects.h"

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "base/check.h"
#include "store/object_file.h"

namespace hf::store {
namespace {

namespace json = boost::json;

constexpr int64_t kCollectBatch = 1000;         // files a transaction of collect()
constexpr uint64_t kCollectDue = 64;            // see collect_due(): so many files,
constexpr uint64_t kCollectBytes = 16 << 20;    // or so many bytes
constexpr uint64_t kSpaceCheckBytes = 8 << 20;  // how much is written between two looks at the free space
constexpr const char *kStoreKind = "object-store", *kStoreName = "folder";  // a record: see know_the_folder()
constexpr int kOpenTries = 8;  // a reader that meets a replaced object looks again

std::string to_json(const std::map<std::string, std::string>& m) {
  json::object o;
  for (const auto& [k, v] : m) o.emplace(k, v);
  return json::serialize(o);
}

Result<std::map<std::string, std::string>> from_json(const std::string& text) {
  boost::system::error_code ec;
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // headers may hold any bytes; what was given comes back
  json::value v = json::parse(text, ec, {}, options);
  std::map<std::string, std::string> out;
  if (ec || !v.is_object()) return fail(Code::corrupt, "metadata of an object is not a JSON object");
  for (const auto& [k, e] : v.get_object()) {
    if (!e.is_string()) return fail(Code::corrupt, "metadata of an object holds something that is not text");
    out.emplace(std::string(k), std::string(e.get_string()));
  }
  return out;
}

constexpr const char* kObjectColumns =
    "SELECT bucket, key, file, size, etag, modified, metadata, system, checksums FROM objects ";

struct Row {
  ObjectInfo info;
  std::string file;
};

Result<Row> row_of(const Statement& q) {
  Row r;
  r.info.bucket = q.text(0);
  r.info.key = q.text(1);
  r.file = q.text(2);
  r.info.size = static_cast<uint64_t>(q.integer(3));
  r.info.etag = q.text(4);
  r.info.modified = q.integer(5);
  r.info.metadata = TRY(from_json(q.text(6)));
  r.info.system = TRY(from_json(q.text(7)));
  r.info.checksums = TRY(from_json(q.text(8)));
  return r;
}

Result<std::optional<Row>> find(Txn& txn, const std::string& bucket, const std::string& key) {
  auto q = TRY(txn.query(std::string(kObjectColumns) + "WHERE bucket=? AND key=?"));
  q.bind(bucket).bind(key);
  if (!TRY(q.step())) return std::optional<Row>();
  return std::optional<Row>(TRY(row_of(q)));
}

Error no_such_bucket(const std::string& name) {
  return fail(Code::not_found, "NoSuchBucket", "The specified bucket does not exist: " + name);
}

// The smallest text that is greater than every text that starts with `prefix`; "" where there is none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

class Store;

class FileUpload final : public Upload {
 public:
  FileUpload(Store& store, std::string id, std::unique_ptr<os::File> file)
      : store_(store), id_(id), writer_(std::move(file), std::move(id)) {}
  ~FileUpload() override;
  Status write(std::string_view data) override;
  uint64_t size() const override { return writer_.size(); }
  std::string md5() const override { return writer_.md5(); }
  Status seal() override;
  const std::string& id() const { return id_; }
  bool sealed() const { return sealed_; }
  void named() { named_ = true; }

 private:
  Store& store_;
  std::string id_;
  ObjectWriter writer_;
  uint64_t unchecked_ = kSpaceCheckBytes;  // written since the last look at the free space: look before the first byte
  bool sealed_ = false, named_ = false;    // named: a transaction tried to name it; whether it held, the Db knows
};

class FileReader final : public Reader {
 public:
  FileReader(ObjectInfo info, std::unique_ptr<ObjectFile> file) : info_(std::move(info)), file_(std::move(file)) {}
  const ObjectInfo& info() const override { return info_; }
  Result<size_t> read_at(uint64_t offset, std::span<char> out) override { return file_->read_at(offset, out); }

 private:
  ObjectInfo info_;
  std::unique_ptr<ObjectFile> file_;
};

class Store final : public Objects {
 public:
  Store(os::Fs& fs, os::Clock& clock, os::Random& random, Db& db, std::string folder, uint64_t reserved)
      : fs_(fs), clock_(clock), random_(random), db_(db), folder_(std::move(folder)), reserved_(reserved) {}

  // The 256 folders, then what a crash left: files that were written and never named, or removed and never deleted.
  Status start() {
    for (int i = 0; i < 256; ++i) TRY(fs_.make_dirs(folder_ + "/" + hex(std::string(1, static_cast<char>(i)))));
    TRY(fs_.sync_dir(folder_));
    size_t slash = folder_.find_last_of('/');
    TRY(fs_.sync_dir(slash == std::string::npos ? "." : slash == 0 ? "/" : folder_.substr(0, slash)));
    TRY(know_the_folder());
    collect();
    for (int i = 0; i < 256; ++i) TRY(remove_orphans(hex(std::string(1, static_cast<char>(i)))));
    return {};
  }

  Status create_bucket(Txn& txn, const Bucket& bucket) override {
    if (auto old = TRY(this->bucket(txn, bucket.name))) {
      if (old->account == bucket.account) {
        return fail(Code::conflict, "BucketAlreadyOwnedByYou", "This bucket exists and is yours: " + bucket.name);
      }
      return fail(Code::conflict, "BucketAlreadyExists", "This bucket's name is taken: " + bucket.name);
    }
    auto q = TRY(txn.query("INSERT INTO buckets(name, account, created) VALUES(?,?,?)"));
    return q.bind(bucket.name).bind(bucket.account).bind(bucket.created ? bucket.created : clock_.now()).run();
  }

  Status delete_bucket(Txn& txn, const std::string& name) override {
    if (!TRY(bucket(txn, name))) return no_such_bucket(name);
    auto any = TRY(txn.query("SELECT 1 FROM objects WHERE bucket=? LIMIT 1"));
    if (TRY(any.bind(name).step())) {
      return fail(Code::conflict, "BucketNotEmpty", "The bucket you tried to delete is not empty: " + name);
    }
    auto q = TRY(txn.query("DELETE FROM buckets WHERE name=?"));
    return q.bind(name).run();
  }

  Result<std::optional<Bucket>> bucket(Txn& txn, const std::string& name) override {
    auto q = TRY(txn.query("SELECT name, account, created FROM buckets WHERE name=?"));
    if (!TRY(q.bind(name).step())) return std::optional<Bucket>();
    return std::optional<Bucket>(Bucket{q.text(0), q.text(1), q.integer(2)});
  }

  Result<std::vector<Bucket>> buckets(Txn& txn, const std::string& account, const std::string& prefix,
                                      const std::string& after, int64_t limit) override {
    std::vector<Bucket> out;
    auto q =
        TRY(txn.query("SELECT name, account, created FROM buckets WHERE account=? AND name>? AND name>=? "
                      "ORDER BY name LIMIT ?"));
    q.bind(account).bind(after).bind(prefix).bind(limit);
    while (TRY(q.step())) {
      if (q.text(0).compare(0, prefix.size(), prefix) != 0) break;  // names are sorted: the prefix's are over
      out.push_back({q.text(0), q.text(1), q.integer(2)});
    }
    return out;
  }

  Result<std::unique_ptr<Upload>> upload() override {
    TRY(may_write());
    std::string id = hex(random_.bytes(16));
    auto file = TRY(fs_.open(path_of(id), os::Open::create_new));
    return std::make_unique<FileUpload>(*this, std::move(id), std::move(file));
  }

  Status commit(Txn& txn, Upload& upload, const ObjectInfo& info) override {
    auto& u = static_cast<FileUpload&>(upload);
    check(u.sealed(), "an object is committed before its bytes are sealed");
    if (!TRY(bucket(txn, info.bucket))) return no_such_bucket(info.bucket);
    u.named();
    TRY(forget(txn, info.bucket, info.key));
    auto q =
        TRY(txn.query("INSERT INTO objects(bucket, key, file, size, etag, modified, metadata, system, checksums) "
                      "VALUES(?,?,?,?,?,?,?,?,?)"));
    q.bind(info.bucket).bind(info.key).bind(u.id()).bind(static_cast<int64_t>(u.size()));
    q.bind(info.etag.empty() ? hex(u.md5()) : info.etag).bind(info.modified ? info.modified : clock_.now());
    return q.bind(to_json(info.metadata)).bind(to_json(info.system)).bind(to_json(info.checksums)).run();
  }

  Result<std::optional<ObjectInfo>> head(Txn& txn, const std::string& bucket, const std::string& key) override {
    auto row = TRY(find(txn, bucket, key));
    if (!row) return std::optional<ObjectInfo>();
    return std::optional<ObjectInfo>(std::move(row->info));
  }

  Result<std::unique_ptr<Reader>> get(const std::string& bucket, const std::string& key) override {
    std::string last;
    for (int i = 0; i < kOpenTries; ++i) {
      std::optional<Row> row;
      TRY(db_.read([&](Txn& txn) -> Status {
        row = TRY(find(txn, bucket, key));
        if (!row && !TRY(this->bucket(txn, bucket))) return no_such_bucket(bucket);
        return {};
      }));
      if (!row) return fail(Code::not_found, "NoSuchKey", "The specified key does not exist: " + key);
      if (row->file == last) break;  // the same row again: its file is not there
      last = row->file;
      auto file = ObjectFile::open(fs_, path_of(row->file), row->file, row->info.size);
      if (file.ok()) return std::make_unique<FileReader>(std::move(row->info), std::move(*file));
      // Replaced and collected between the row and the file: the next look finds the new one.
      if (file.error().code != Code::not_found) return std::move(file).error();
    }
    return fail(Code::corrupt, "object file " + path_of(last) + " is missing");
  }

  Result<bool> remove(Txn& txn, const std::string& bucket, const std::string& key) override {
    if (!TRY(this->bucket(txn, bucket))) return no_such_bucket(bucket);
    return forget(txn, bucket, key);
  }

  Result<Listing> list(Txn& txn, const std::string& bucket, const std::string& prefix, const std::string& delimiter,
                       const std::string& after, int64_t limit) override {
    if (!TRY(this->bucket(txn, bucket))) return no_such_bucket(bucket);
    Listing out;
    if (limit <= 0) return out;
    // Where to go on, and whether a key equal to it counts. Each turn of the outer loop starts a scan; a common prefix
    // ends it, and the next one starts behind all keys under that prefix.
    std::string from = prefix;
    bool inclusive = true;
    if (!after.empty() && after >= prefix) {
      from = after;
      inclusive = false;
      if (auto common = common_prefix(after, prefix, delimiter); common && *common == after) {
        from = after_prefix(after);
        inclusive = true;
        if (from.empty()) return out;
      }
    }
    const std::string end = after_prefix(prefix);
    int64_t given = 0;
    for (bool more = true; more;) {
      auto q = TRY(txn.query(std::string(kObjectColumns) +
                             (inclusive ? "WHERE bucket=? AND key>=?" : "WHERE bucket=? AND key>?") +
                             (end.empty() ? "" : " AND key<?") + " ORDER BY key LIMIT ?"));
      q.bind(bucket).bind(from);
      if (!end.empty()) q.bind(end);
      q.bind(limit - given + 1);
      more = false;
      while (TRY(q.step())) {
        if (given == limit) {
          out.truncated = true;
          return out;
        }
        const std::string key = q.text(1);
        ++given;
        if (auto common = common_prefix(key, prefix, delimiter)) {
          out.next = *common;
          out.common_prefixes.push_back(*common);
          from = after_prefix(*common);
          inclusive = true;
          more = !from.empty();
          break;
        }
        out.next = key;
        out.objects.push_back(TRY(row_of(q)).info);
      }
    }
    return out;
  }

  void collect() override {
    for (;;) {
      std::vector<std::string> files;
      Status ok = db_.read([&](Txn& txn) -> Status {
        auto q = TRY(txn.query("SELECT file FROM removed LIMIT ?"));
        q.bind(kCollectBatch);
        while (TRY(q.step())) files.push_back(q.text(0));
        return {};
      });
      waiting_ = waiting_bytes_ = 0;
      if (!ok.ok() || files.empty()) return;
      // A Reader that has the file open keeps its bytes: the name goes, not what it holds.
      std::vector<std::string> gone;
      for (const auto& file : files) {
        auto removed = fs_.remove(path_of(file));
        if (removed.ok() || removed.error().code == Code::not_found) gone.push_back(file);
      }
      ok = db_.write([&](Txn& txn) -> Status {
        for (const auto& file : gone) {
          auto q = TRY(txn.query("DELETE FROM removed WHERE file=?"));
          TRY(q.bind(file).run());
        }
        return {};
      });
      if (!ok.ok() || gone.size() < files.size() || static_cast<int64_t>(files.size()) < kCollectBatch) return;
    }
  }

  bool collect_due() const override { return waiting_ >= kCollectDue || waiting_bytes_ >= kCollectBytes; }

  // Of an Upload.
  Status space() {
    uint64_t free = TRY(fs_.free_bytes(folder_));
    if (free < reserved_ + kSpaceCheckBytes && waiting_ > 0) {
      collect();  // what was removed may still lie there
      free = TRY(fs_.free_bytes(folder_));
    }
    if (free >= reserved_ + kSpaceCheckBytes) return {};
    return fail(Code::exhausted, kDiskFull,
                "the disk is full: " + human_bytes(free) + " are free, and " + human_bytes(reserved_) +
                    " are kept for metadata");
  }
  // As the Db: what the kernel says after a failed sync is not to be trusted, of a folder least of all (other objects'
  // names lie in the same blocks). A full disk is another thing: the file is given up, and the next one is new.
  Error sync_failed(const Error& error) {
    if (error.code == Code::exhausted) return error;
    std::lock_guard hold(failure_mutex_);
    if (!failure_) failure_ = error.message;
    return error;
  }
  Status may_write() {
    std::lock_guard hold(failure_mutex_);
    if (!failure_) return {};
    return fail(Code::unavailable, "objects: nothing is written until a restart, because a sync failed: " + *failure_);
  }
  Status sync_name(const std::string& id) { return fs_.sync_dir(folder_ + "/" + id.substr(0, 2)); }
  void drop(const std::string& id, bool maybe_named) {
    if (maybe_named) {
      bool used = true;
      Status ok = db_.read([&](Txn& txn) -> Status {
        auto q = TRY(txn.query("SELECT 1 FROM objects WHERE file=?"));
        used = TRY(q.bind(id).step());
        return {};
      });
      // A Db that failed may have made the row durable or not: the next open() finds out.
      if (!ok.ok() || used || db_.failed()) return;
    }
    (void)fs_.remove(path_of(id));
  }

 private:
  std::string path_of(const std::string& id) const { return folder_ + "/" + id.substr(0, 2) + "/" + id; }

  // The key up to and with the first delimiter after the prefix, if there is one.
  static std::optional<std::string> common_prefix(const std::string& key, const std::string& prefix,
                                                  const std::string& delimiter) {
    if (delimiter.empty() || key.compare(0, prefix.size(), prefix) != 0) return {};
    const size_t at = key.find(delimiter, prefix.size());
    if (at == std::string::npos) return {};
    return key.substr(0, at + delimiter.size());
  }

  // Takes the key's row away, and puts its file on the list of those to be deleted. False: there was none.
  Result<bool> forget(Txn& txn, const std::string& bucket, const std::string& key) {
    auto old = TRY(txn.query("SELECT file, size FROM objects WHERE bucket=? AND key=?"));
    if (!TRY(old.bind(bucket).bind(key).step())) return false;
    auto list = TRY(txn.query("INSERT OR IGNORE INTO removed(file) VALUES(?)"));
    TRY(list.bind(old.text(0)).run());
    auto row = TRY(txn.query("DELETE FROM objects WHERE bucket=? AND key=?"));
    TRY(row.bind(bucket).bind(key).run());
    ++waiting_;
    waiting_bytes_ += static_cast<uint64_t>(old.integer(1));
    return true;
  }

  // Files that no row names are removed at each start. So metadata that were lost, or that belong to another folder,
  // must not be taken for a store without objects: the first start on an empty folder leaves a record, and a folder
  // with files is only taken with that record (or a row: stores that were made before there was one).
  Status know_the_folder() {
    bool known = false;
    TRY(db_.read([&](Txn& txn) -> Status {
      known = TRY(get_record(txn, kStoreKind, "", kStoreName)).has_value();
      return {};
    }));
    if (known) return {};
    TRY(db_.read([&](Txn& txn) -> Status {
      for (const char* sql :
           {"SELECT 1 FROM objects LIMIT 1", "SELECT 1 FROM buckets LIMIT 1", "SELECT 1 FROM removed LIMIT 1"}) {
        auto q = TRY(txn.query(sql));
        known = TRY(q.step()) || known;
      }
      return {};
    }));
    size_t files = 0;
    for (int i = 0; i < 256 && !known; ++i)
      files += TRY(fs_.list(folder_ + "/" + hex(std::string(1, static_cast<char>(i))))).size();
    if (files > 0) {
      return fail(Code::corrupt, folder_ + ": holds " + std::to_string(files) +
                                     " object files, and the metadata know of no bucket and no object: they were lost, "
                                     "or are another site's. Put them back, or move the folder away");
    }
    const Micros now = clock_.now();
    return db_.write([&](Txn& txn) { return put_record(txn, {kStoreKind, "", kStoreName, now, now, "{}"}); });
  }

  Status remove_orphans(const std::string& part) {
    auto names = TRY(fs_.list(folder_ + "/" + part));
    if (names.empty()) return {};
    std::set<std::string> known;
    TRY(db_.read([&](Txn& txn) -> Status {
      auto q = TRY(txn.query("SELECT file FROM objects WHERE file>=? AND file<?"));
      q.bind(part).bind(after_prefix(part));
      while (TRY(q.step())) known.insert(q.text(0));
      return {};
    }));
    for (const auto& name : names) {
      if (!known.count(name)) TRY(fs_.remove(folder_ + "/" + part + "/" + name));
    }
    return {};
  }

  os::Fs& fs_;
  os::Clock& clock_;
  os::Random& random_;
  Db& db_;
  std::string folder_;
  uint64_t reserved_;
  std::mutex failure_mutex_;
  std::optional<std::string> failure_;  // of a sync
  // Files to delete and their bytes, about: what transactions that failed counted is in it too.
  std::atomic<uint64_t> waiting_ = 0, waiting_bytes_ = 0;
};

FileUpload::~FileUpload() { store_.drop(id_, named_); }

Status FileUpload::write(std::string_view data) {
  unchecked_ += data.size();
  if (unchecked_ >= kSpaceCheckBytes) {
    TRY(store_.space());
    unchecked_ = 0;
  }
  return writer_.write(data);
}

Status FileUpload::seal() {
  TRY(store_.may_write());
  TRY(writer_.seal());
  Status synced = writer_.sync();
  if (synced.ok()) synced = store_.sync_name(id_);
  if (!synced.ok()) return store_.sync_failed(synced.error());
  sealed_ = true;
  return {};
}

}  // namespace

Result<std::unique_ptr<Objects>> Objects::open(os::Fs& fs, os::Clock& clock, os::Random& random, Db& db,
                                               const std::string& folder, uint64_t reserved_bytes) {
  auto store = std::make_unique<Store>(fs, clock, random, db, folder, reserved_bytes);
  TRY(store->start());
  return store;
}

}  // namespace hf::store
