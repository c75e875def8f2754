// The ledger's speed on a real file system: entries a second by threads that each append one entry at a time and wait
// until it is durable, so that all speed comes from group commit; and what an append costs.
//
//   build/release/ledger_speed [--folder DIR] [--threads 256] [--seconds 5] [--runs 5] [--json FILE]
//
// Each run begins with an empty log in DIR (a temporary folder of /var/tmp, so that it is a disk and not memory).
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "base/text.h"
#include "os/clock.h"
#include "os/fs.h"
#include "os/thread.h"
#include "security/ledger.h"

namespace {

using namespace hf;
namespace json = boost::json;

struct Options {
  std::string folder, json_file;
  int64_t threads = 256, seconds = 5, runs = 5;
};

struct Measured {
  double entries_per_second = 0, entries_per_commit = 0, cpu_us_per_entry = 0, median_ms = 0, p99_ms = 0;
};

double cpu_seconds() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const auto s = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return s(u.ru_utime) + s(u.ru_stime);
}

// As an inference's: the longest of the usual entries.
security::Entry entry_of(int64_t thread, int64_t n) {
  security::Entry e;
  e.account = "111122223333";
  e.principal = "arn:aws:iam::111122223333:user/bench-" + std::to_string(thread);
  e.action = "bedrock:InvokeModel";
  e.resource = "arn:aws:bedrock:site-1::foundation-model/holdfast.llama-3.2-1b";
  e.decision = "allow";
  e.reason = "Statement 1";
  e.request_id = "0123456789abcdef0123456789abcdef";
  e.source = "127.0.0.1:" + std::to_string(40'000 + thread);
  e.detail = R"({"input_digest":"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4","n":)" +
             std::to_string(n) + R"(,"receipt":"0123456789abcdef0123456789abcdef"})";
  return e;
}

Result<Measured> run_once(const Options& o, const std::string& folder) {
  auto& fs = os::real_fs();
  TRY(fs.make_dirs_synced(folder));
  auto db = TRY(store::Db::open(fs, os::real_random(), folder + "/site.db"));
  const crypto::SigningKey key = TRY(crypto::SigningKey::generate());
  auto ledger = TRY(security::Ledger::open(*db, os::real_clock(), key, "0123456789abcdef"));
  std::atomic<bool> stop = false;
  std::atomic<int64_t> failed = 0;
  std::vector<std::vector<int64_t>> times(static_cast<size_t>(o.threads));  // us of each append
  const double cpu = cpu_seconds();
  const uint64_t commits = db->commits();
  const int64_t began = os::real_clock().monotonic_us();
  {
    std::vector<os::Thread> threads;
    for (int64_t t = 0; t < o.threads; ++t)
      threads.emplace_back("append", [&, t] {
        auto& mine = times[static_cast<size_t>(t)];
        for (int64_t n = 0; !stop; ++n) {
          const int64_t from = os::real_clock().monotonic_us();
          if (!ledger->append(entry_of(t, n)).ok()) ++failed;
          mine.push_back(os::real_clock().monotonic_us() - from);
        }
      });
    os::real_clock().sleep_us(o.seconds * 1'000'000);
    stop = true;
  }
  const double wall = static_cast<double>(os::real_clock().monotonic_us() - began) / 1e6;
  if (failed > 0) return fail(Code::internal, std::to_string(failed) + " appends failed");
  std::vector<int64_t> all;
  for (const auto& mine : times) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  const auto size = static_cast<double>(TRY(ledger->head()).size);
  if (size != static_cast<double>(all.size())) return fail(Code::internal, "the log does not hold what was appended");
  Measured m;
  m.entries_per_second = size / wall;
  m.entries_per_commit = size / static_cast<double>(db->commits() - commits);
  m.cpu_us_per_entry = (cpu_seconds() - cpu) / size * 1e6;
  m.median_ms = static_cast<double>(all[all.size() / 2]) / 1e3;
  m.p99_ms = static_cast<double>(all[all.size() * 99 / 100]) / 1e3;
  const auto report = TRY(ledger->verify());
  if (!report.ok) return fail(Code::corrupt, report.problem);
  ledger.reset();
  db.reset();
  TRY(fs.remove_tree(folder));
  return m;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

Result<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--folder") {
      o.folder = value;
    } else if (name == "--json") {
      o.json_file = value;
    } else if (name == "--threads") {
      o.threads = TRY(parse_int(value, name));
    } else if (name == "--seconds") {
      o.seconds = TRY(parse_int(value, name));
    } else if (name == "--runs") {
      o.runs = TRY(parse_int(value, name));
    } else {
      return fail(Code::invalid, "unknown option " + name);
    }
  }
  if (argc % 2 == 0 || o.threads < 1 || o.threads > 4096 || o.seconds < 1 || o.runs < 1)
    return fail(Code::invalid,
                "usage: ledger_speed [--folder DIR] [--threads N] [--seconds N] [--runs N] [--json FILE]");
  return o;
}

Status run(const Options& o) {
  char name[] = "/var/tmp/hf-ledger-XXXXXX";
  const std::string folder = o.folder.empty() ? std::string(mkdtemp(name)) : o.folder;
  std::vector<double> rates;
  json::array rows;
  for (int64_t i = 0; i < o.runs; ++i) {
    const Measured m = TRY(run_once(o, folder + "/" + std::to_string(i)));
    rates.push_back(m.entries_per_second);
    rows.push_back(json::object{{"cpu_us_per_entry", m.cpu_us_per_entry},
                                {"entries_per_commit", m.entries_per_commit},
                                {"entries_per_second", m.entries_per_second},
                                {"median_ms", m.median_ms},
                                {"p99_ms", m.p99_ms}});
    std::printf("%8.0f entries/s, %6.1f a commit, %6.1f us of CPU an entry, append %.2f ms median, %.2f ms p99\n",
                m.entries_per_second, m.entries_per_commit, m.cpu_us_per_entry, m.median_ms, m.p99_ms);
  }
  if (o.folder.empty()) TRY(os::real_fs().remove_tree(folder));
  std::sort(rates.begin(), rates.end());
  std::printf("median %.0f entries/s (%.0f to %.0f), %lld threads, %s\n", median(rates), rates.front(), rates.back(),
              static_cast<long long>(o.threads), os::cpu_info().model.c_str());
  if (o.json_file.empty()) return {};
  const json::object out{{"cpu", os::cpu_info().model},
                         {"cores", os::cpu_info().cores},
                         {"median", median(rates)},
                         {"runs", rows},
                         {"threads", o.threads}};
  return os::real_fs().write_file_atomic(o.json_file, json::serialize(out) + "\n", 0644);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const Status done = options.ok() ? run(*options) : Status(options.error());
  if (done.ok()) return 0;
  std::fprintf(stderr, "ledger_speed: %s\n", done.error().message.c_str());
  return 1;
}
