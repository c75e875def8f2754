#include "fleet/trails.h"

#include <zlib.h>

#include <algorithm>
#include <boost/json.hpp>
#include <condition_variable>
#include <mutex>

#include "base/bytes.h"
#include "os/thread.h"
#include "security/json.h"

namespace hf::fleet {
namespace json = boost::json;
namespace {

constexpr const char* kKind = "trail";

json::array strings(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& s : list) out.emplace_back(s);
  return out;
}
std::vector<std::string> list_of(const json::value& v) {
  std::vector<std::string> out;
  if (v.is_array())
    for (const json::value& one : v.get_array())
      if (one.is_string()) out.emplace_back(one.get_string().data(), one.get_string().size());
  return out;
}

json::array selectors_json(const std::vector<Selector>& selectors) {
  json::array out;
  for (const Selector& s : selectors) {
    json::array fields;
    for (const FieldSelector& f : s.fields)
      fields.push_back(json::object{{"field", f.field},
                                    {"eq", strings(f.equals)},
                                    {"sw", strings(f.starts_with)},
                                    {"ew", strings(f.ends_with)},
                                    {"ne", strings(f.not_equals)},
                                    {"nsw", strings(f.not_starts_with)},
                                    {"new", strings(f.not_ends_with)}});
    out.push_back(json::object{{"name", s.name}, {"fields", std::move(fields)}});
  }
  return out;
}

std::vector<Selector> selectors_of(const json::value& v) {
  std::vector<Selector> out;
  for (const json::value& one : v.as_array()) {
    Selector s;
    s.name = one.at("name").as_string().c_str();
    for (const json::value& f : one.at("fields").as_array())
      s.fields.push_back({f.at("field").as_string().c_str(), list_of(f.at("eq")), list_of(f.at("sw")),
                          list_of(f.at("ew")), list_of(f.at("ne")), list_of(f.at("nsw")), list_of(f.at("new"))});
    out.push_back(std::move(s));
  }
  return out;
}

std::string body_of(const Trail& t) {
  json::array tags;
  for (const auto& [key, value] : t.tags) tags.push_back(json::array{key, value});
  return security::canonical_json(json::object{{"bucket", t.bucket},
                                               {"created", t.created},
                                               {"delivered", t.delivered},
                                               {"delivery_error", t.delivery_error},
                                               {"global_events", t.global_events},
                                               {"logging", t.logging},
                                               {"multi_region", t.multi_region},
                                               {"next", t.next},
                                               {"prefix", t.prefix},
                                               {"selectors", selectors_json(t.selectors)},
                                               {"selectors_json", t.selectors_json},
                                               {"started", t.started},
                                               {"stopped", t.stopped},
                                               {"tags", std::move(tags)},
                                               {"tried", t.tried}});
}

Result<Trail> trail_of(const store::Record& record) {
  Trail t;
  t.account = record.account;
  t.name = record.name;
  try {
    const json::value v = json::parse(record.body);
    auto text = [&](const char* name) { return std::string(v.at(name).as_string().c_str()); };
    auto number = [&](const char* name) { return v.at(name).as_int64(); };
    t.bucket = text("bucket");
    t.prefix = text("prefix");
    t.global_events = v.at("global_events").as_bool();
    t.multi_region = v.at("multi_region").as_bool();
    t.selectors_json = text("selectors_json");
    t.selectors = selectors_of(v.at("selectors"));
    for (const json::value& tag : v.at("tags").as_array())
      t.tags.emplace_back(tag.at(0).as_string().c_str(), tag.at(1).as_string().c_str());
    t.created = number("created");
    t.logging = v.at("logging").as_bool();
    t.started = number("started");
    t.stopped = number("stopped");
    t.delivered = number("delivered");
    t.tried = number("tried");
    t.delivery_error = text("delivery_error");
    t.next = number("next");
  } catch (const std::exception& e) {
    return fail(Code::corrupt, "the trail " + record.name + ": " + e.what());
  }
  return t;
}

std::vector<std::string> values_of(const security::TrailEvent& e, std::string_view field) {
  if (field == "eventCategory") return {e.management ? "Management" : "Data"};
  if (field == "readOnly") return {e.read_only ? "true" : "false"};
  if (field == "eventName") return {e.name};
  if (field == "eventSource") return {e.source};
  if (field == "resources.type") return {e.resource_type};
  if (field == "resources.ARN") return {e.entry.resource};
  if (field == "userIdentity.arn") return {e.entry.principal};
  return {};
}

bool fits(const FieldSelector& f, const std::string& v) {
  const auto any = [](const std::vector<std::string>& list, const auto& test) {
    return std::any_of(list.begin(), list.end(), test);
  };
  const auto same = [&](const std::string& one) { return v == one; };
  const auto starts = [&](const std::string& one) { return v.starts_with(one); };
  const auto ends = [&](const std::string& one) { return v.ends_with(one); };
  if (any(f.not_equals, same) || any(f.not_starts_with, starts) || any(f.not_ends_with, ends)) return false;
  if (f.equals.empty() && f.starts_with.empty() && f.ends_with.empty()) return true;
  return any(f.equals, same) || any(f.starts_with, starts) || any(f.ends_with, ends);
}

std::string gzip(const std::string& text) {
  z_stream z{};
  check(deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflateInit2");
  std::string out(deflateBound(&z, static_cast<uLong>(text.size())) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  check(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate");
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

class TrailsImpl final : public Trails {
 public:
  TrailsImpl(const TrailsSite& site, Options options, security::TrailIndex index)
      : site_(site), options_(std::move(options)), index_(std::move(index)) {}
  ~TrailsImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.reset();  // joins
  }
  void start() {
    if (options_.thread) thread_.emplace("hf-trail", [this] { run(); });
  }
  security::TrailIndex& index() override { return index_; }
  Status step(bool all) override;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      (void)step(false);  // what could not be written is tried again, and told in the trail's status
      lock.lock();
      wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; });
    }
  }
  Status deliver(Trail trail);
  std::string key_of(const Trail& trail, Micros now);

  const TrailsSite site_;
  const Options options_;
  security::TrailIndex index_;
  std::mutex mutex_, stepping_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::optional<os::Thread> thread_;
};

// PREFIX/AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_TIME_UNIQUE.json.gz
std::string TrailsImpl::key_of(const Trail& t, Micros now) {
  const std::string day = iso8601(now).substr(0, 10), time = amz_date(now);
  return (t.prefix.empty() ? "" : t.prefix + "/") + "AWSLogs/" + t.account + "/CloudTrail/" + options_.region + "/" +
         day.substr(0, 4) + "/" + day.substr(5, 2) + "/" + day.substr(8, 2) + "/" + t.account + "_CloudTrail_" +
         options_.region + "_" + time.substr(0, 13) + "Z_" + hex(site_.random.bytes(8)) + ".json.gz";
}

// One file of what is new, if there is something that the trail selects.
Status TrailsImpl::deliver(Trail trail) {
  const Micros now = site_.clock.now();
  std::string records;
  int64_t next = trail.next;
  const std::vector<std::string> lines = TRY(site_.ledger.entries(static_cast<uint64_t>(trail.next), options_.most));
  for (const std::string& line : lines) {
    const security::TrailEvent e = TRY(security::parse_event(line));
    next = static_cast<int64_t>(e.index) + 1;
    if (e.entry.account != trail.account || !selects(trail.selectors, e)) continue;
    if (!trail.global_events && (e.source == "iam.amazonaws.com" || e.source == "sts.amazonaws.com")) continue;
    records += (records.empty() ? "" : ",") + security::event_json(e, options_.region);
  }
  if (next == trail.next) return {};
  std::unique_ptr<store::Upload> upload;
  store::ObjectInfo info;
  if (!records.empty()) {
    const std::string file = gzip("{\"Records\":[" + records + "]}");
    upload = TRY(site_.objects.upload());
    TRY(upload->write(file));
    TRY(upload->seal());
    info.bucket = trail.bucket;
    info.key = key_of(trail, now);
    info.size = file.size();
    crypto::Hasher md5(crypto::Hash::md5);
    md5.update(file);
    info.etag = hex(md5.finish());
    info.system["content-type"] = "application/json";
    info.system["content-encoding"] = "gzip";
  }
  return site_.db.write([&](store::Txn& txn) -> Status {
    auto fresh = TRY(find_trail(txn, trail.account, trail.name));
    if (!fresh || !fresh->logging || fresh->next != trail.next) return {};  // changed meanwhile: next time
    fresh->next = next;
    fresh->tried = now;
    fresh->delivery_error.clear();
    if (upload) {
      const auto bucket = TRY(site_.objects.bucket(txn, trail.bucket));
      if (!bucket || bucket->account != trail.account)
        return fail(Code::not_found, "NoSuchBucket", "the bucket " + trail.bucket + " is gone");
      fresh->delivered = now;
      TRY(site_.objects.commit(txn, *upload, info));
      security::Entry told;  // of no account, so that no file tells of files alone
      told.time = now;
      told.principal = options_.principal;
      told.action = "cloudtrail:DeliverLogFile";
      told.resource = "arn:aws:s3:::" + info.bucket + "/" + info.key;
      told.decision = "allow";
      told.reason = "trail " + trail.account + "/" + trail.name;
      told.detail = security::canonical_json(
          json::object{{"first", trail.next}, {"next", next}, {"size", static_cast<int64_t>(info.size)}});
      TRY(site_.ledger.append(txn, told));
    }
    return put_trail(txn, *fresh, now);
  });
}

Status TrailsImpl::step(bool all) {
  std::lock_guard lock(stepping_);
  for (int i = 0; i < 100; ++i)
    if (!TRY(index_.step(2'000))) break;
  std::vector<Trail> trails;
  TRY(site_.db.read([&](store::Txn& txn) -> Status {
    trails = TRY(list_trails(txn, ""));
    return {};
  }));
  for (const Trail& trail : trails) {
    if (!trail.logging || (!all && site_.clock.now() - trail.tried < options_.every)) continue;
    const Status done = deliver(trail);
    if (done.ok()) continue;
    (void)site_.db.write([&](store::Txn& txn) -> Status {
      auto fresh = TRY(find_trail(txn, trail.account, trail.name));
      if (!fresh) return {};
      fresh->tried = site_.clock.now();
      fresh->delivery_error = done.error().name.empty() ? "InternalError" : done.error().name;
      return put_trail(txn, *fresh, fresh->tried);
    });
  }
  return {};
}

}  // namespace

bool selects(const std::vector<Selector>& any, const security::TrailEvent& e) {
  return std::any_of(any.begin(), any.end(), [&](const Selector& s) {
    return std::all_of(s.fields.begin(), s.fields.end(), [&](const FieldSelector& f) {
      const auto values = values_of(e, f.field);
      return std::any_of(values.begin(), values.end(), [&](const std::string& v) { return fits(f, v); });
    });
  });
}

std::vector<Selector> default_selectors() {
  FieldSelector management;
  management.field = "eventCategory";
  management.equals = {"Management"};
  return {{"", {management}}};
}

std::string trail_arn(const std::string& region, const Trail& t) {
  return "arn:aws:cloudtrail:" + region + ":" + t.account + ":trail/" + t.name;
}

Status put_trail(store::Txn& txn, const Trail& t, Micros now) {
  store::Record record;
  record.kind = kKind;
  record.account = t.account;
  record.name = t.name;
  record.created = t.created;
  record.updated = now;
  record.body = body_of(t);
  return store::put_record(txn, record);
}

Result<std::optional<Trail>> find_trail(store::Txn& txn, const std::string& account, const std::string& name) {
  auto record = TRY(store::get_record(txn, kKind, account, name));
  if (!record) return std::optional<Trail>();
  return std::optional(TRY(trail_of(*record)));
}

Result<std::vector<Trail>> list_trails(store::Txn& txn, const std::string& account) {
  std::vector<Trail> out;
  const auto records = TRY(store::list_records(txn, kKind, account, "", 10'000));
  for (const auto& record : records) out.push_back(TRY(trail_of(record)));
  return out;
}

Status erase_trail(store::Txn& txn, const Trail& t) {
  TRY(store::delete_record(txn, kKind, t.account, t.name));
  return {};
}

Result<std::unique_ptr<Trails>> Trails::open(const TrailsSite& site, Options options) {
  auto out =
      std::make_unique<TrailsImpl>(site, std::move(options), TRY(security::TrailIndex::open(site.db, site.ledger)));
  out->start();
  return std::unique_ptr<Trails>(std::move(out));
}

}  // namespace hf::fleet
