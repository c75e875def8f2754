// CloudTrail's LookupEvents over a long ledger: what taking an entry up into the index costs, its size, and how long a
// page of 50 takes by each attribute, from common values to rare ones, anywhere in time.
//
//   build/release/trail_speed [--folder DIR] [--entries 10000000] [--lookups 200] [--json FILE]
//
// The ledger is real (proofs, heads); its entries are appended a thousand a transaction. DIR: a temporary folder of
// /var/tmp, which needs some 1.2 KB an entry.
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/text.h"
#include "os/clock.h"
#include "os/fs.h"
#include "os/thread.h"
#include "security/trail.h"

namespace {

using namespace hf;
namespace json = boost::json;
using security::TrailKey;

constexpr const char* kAccount = "111122223333";
constexpr Micros kStart = 1'760'000'000'000'000;

struct Options {
  std::string folder, json_file;
  int64_t entries = 10'000'000, lookups = 200;
};

const std::vector<std::string>& actions() {
  static const std::vector<std::string> all = {"bedrock:InvokeModel", "bedrock:Converse", "s3:GetObject",
                                               "s3:PutObject",        "iam:GetUser",      "sts:AssumeRole",
                                               "kms:Decrypt",         "iam:DeleteUser"};
  return all;
}

// 200 users, 1,000 resources, actions from every second one to one in some thousands; ten entries a second.
security::Entry entry_of(int64_t n, std::mt19937_64& rng) {
  security::Entry e;
  e.time = kStart + n * 100'000;
  e.account = kAccount;
  const uint64_t user = rng() % 200;
  e.principal = "arn:aws:iam::111122223333:user/user-" + std::to_string(user);
  size_t action = 0;
  while (action + 1 < actions().size() && rng() % 4 == 0) ++action;
  e.action = actions()[action];
  e.resource = "arn:aws:s3:::data/object-" + std::to_string(rng() % 1000);
  e.decision = "allow";
  e.reason = "allow:policy/0";
  e.request_id = "0123456789abcdef0123456789abcdef";
  e.source = "127.0.0.1:40000";
  e.credential = "AKIA" + std::to_string(1'000'000'000'000'000 + user);
  return e;
}

double seconds_since(int64_t us) { return static_cast<double>(os::real_clock().monotonic_us() - us) / 1e6; }

Status fill(store::Db& db, security::Ledger& ledger, int64_t entries) {
  std::mt19937_64 rng(1);
  for (int64_t n = 0; n < entries;) {
    const int64_t until = std::min(entries, n + 1000);
    std::vector<security::Entry> batch;
    for (; n < until; ++n) batch.push_back(entry_of(n, rng));
    TRY(db.write([&](store::Txn& txn) -> Status {
      for (const auto& e : batch) TRY(ledger.append(txn, e));
      return {};
    }));
    if (n % 1'000'000 == 0) std::fprintf(stderr, "%lld entries\n", static_cast<long long>(n));
  }
  return {};
}

struct Kind {
  const char* name;
  TrailKey key;
  std::string value;
};

// Of `lookups` pages that end at times drawn over the whole log: median and 99th percentile, in ms.
Result<json::object> measure(security::TrailIndex& index, const Kind& kind, const Options& o) {
  std::mt19937_64 rng(2);
  std::vector<double> ms;
  size_t found = 0;
  for (int64_t i = 0; i < o.lookups; ++i) {
    security::TrailIndex::Question q{.account = kAccount, .key = kind.key, .value = kind.value, .before = {}};
    q.to = kStart + static_cast<Micros>(rng() % static_cast<uint64_t>(o.entries)) * 100'000;
    const int64_t began = os::real_clock().monotonic_us();
    found += TRY(index.lookup(q)).events.size();
    ms.push_back(seconds_since(began) * 1e3);
  }
  std::sort(ms.begin(), ms.end());
  const double median = ms[ms.size() / 2], p99 = ms[ms.size() * 99 / 100];
  std::printf("%-28s %8.2f ms median  %8.2f ms p99  %5.1f events a page\n", kind.name, median, p99,
              static_cast<double>(found) / static_cast<double>(o.lookups));
  return json::object{{"by", kind.name}, {"median_ms", median}, {"p99_ms", p99}};
}

Result<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--folder") {
      o.folder = value;
    } else if (name == "--json") {
      o.json_file = value;
    } else if (name == "--entries") {
      o.entries = TRY(parse_int(value, name));
    } else if (name == "--lookups") {
      o.lookups = TRY(parse_int(value, name));
    } else {
      return fail(Code::invalid, "unknown option " + name);
    }
  }
  if (argc % 2 == 0 || o.entries < 1000 || o.lookups < 1)
    return fail(Code::invalid, "usage: trail_speed [--folder DIR] [--entries N] [--lookups N] [--json FILE]");
  return o;
}

Status run(const Options& o) {
  char name[] = "/var/tmp/hf-trail-XXXXXX";
  const std::string folder = o.folder.empty() ? std::string(mkdtemp(name)) : o.folder, file = folder + "/site.db";
  auto& fs = os::real_fs();
  TRY(fs.make_dirs_synced(folder));
  auto db = TRY(store::Db::open(fs, os::real_random(), file));
  const crypto::SigningKey key = TRY(crypto::SigningKey::generate());
  auto ledger = TRY(security::Ledger::open(*db, os::real_clock(), key, "0123456789abcdef"));
  auto index = TRY(security::TrailIndex::open(*db, *ledger));
  TRY(fill(*db, *ledger, o.entries));
  const auto size = [&]() -> Result<double> {
    return static_cast<double>(TRY(TRY(fs.open(file, os::Open::read))->size())) / 1e6;
  };
  const double before = TRY(size());
  const int64_t began = os::real_clock().monotonic_us();
  while (TRY(index.step(2'000))) {
  }
  const double took = seconds_since(began), after = TRY(size());
  const auto n = static_cast<double>(o.entries);
  std::printf(
      "%lld entries: %.1f us each to take up, %.0f bytes each in the index (%.0f MB beside a ledger of %.0f MB)\n",
      static_cast<long long>(o.entries), took / n * 1e6, (after - before) * 1e6 / n, after - before, before);
  json::array rows;
  for (const Kind& kind :
       {Kind{"nothing (all)", TrailKey::all, ""}, Kind{"EventName, common", TrailKey::name, "InvokeModel"},
        Kind{"EventName, rare", TrailKey::name, "DeleteUser"},
        Kind{"EventName, never", TrailKey::name, "DeleteAccount"},
        Kind{"EventSource", TrailKey::source, "iam.amazonaws.com"}, Kind{"Username", TrailKey::user, "user-17"},
        Kind{"ReadOnly", TrailKey::read_only, "false"},
        Kind{"ResourceName", TrailKey::resource, "arn:aws:s3:::data/object-5"},
        Kind{"ResourceType", TrailKey::resource_type, "AWS::S3::Object"},
        Kind{"AccessKeyId", TrailKey::access_key, "AKIA1000000000000017"}})
    rows.push_back(TRY(measure(index, kind, o)));
  std::printf("%s\n", os::cpu_info().model.c_str());
  ledger.reset();
  db.reset();
  if (o.folder.empty()) TRY(fs.remove_tree(folder));
  if (o.json_file.empty()) return {};
  const json::object out{{"cpu", os::cpu_info().model},
                         {"entries", o.entries},
                         {"us_per_entry", took / n * 1e6},
                         {"bytes_per_entry", (after - before) * 1e6 / n},
                         {"lookups", std::move(rows)}};
  return fs.write_file_atomic(o.json_file, json::serialize(out) + "\n", 0644);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const Status done = options.ok() ? run(*options) : Status(options.error());
  if (done.ok()) return 0;
  std::fprintf(stderr, "trail_speed: %s\n", done.error().message.c_str());
  return 1;
}
