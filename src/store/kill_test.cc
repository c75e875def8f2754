// Reliability target R1: a writer process that is killed (SIGKILL) at random points, on the real disk. It tells of each
// acknowledgement through a pipe, which outlives it. After each kill the state is opened again and every acknowledged
// operation must be there, whole; of what was on its way, all or nothing.
//
// HOLDFAST_KILLS sets the number of kills (default 30; with HOLDFAST_FULL=yes 300), HOLDFAST_SEED the seed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "base/bytes.h"
#include "base/text.h"
#include "os/fake.h"
#include "os/process.h"
#include "os/thread.h"
#include "store/objects.h"

namespace hf::store {
namespace {

constexpr uint64_t kThreads = 4, kKeys = 3;  // of each thread its own: so its operations have an order

struct Ack {
  uint64_t round, thread, op;
};

// What operation `op` of a thread does: a function of these three numbers alone.
struct Op {
  std::string key, content;  // content "": the object is removed
};
Op operation(uint64_t round, uint64_t thread, uint64_t op) {
  os::FakeRandom random((round * kThreads + thread) * 1'000'003 + op);
  Op out;
  out.key = "t" + std::to_string(thread) + "-" + std::to_string(random.below(kKeys));
  // Now and then more than one block of the object file.
  const uint64_t size = random.below(40) == 0 ? kObjectBlockBytes + random.below(1000) : 1 + random.below(9000);
  if (random.below(5) > 0) out.content = random.bytes(size);
  return out;
}

struct Site {
  static Result<Site> open(const std::string& folder) {
    Site s;
    s.db = TRY(Db::open(os::real_fs(), os::real_random(), folder + "/meta.db"));
    s.objects =
        TRY(Objects::open(os::real_fs(), os::real_clock(), os::real_random(), *s.db, folder + "/objects", 1 << 20));
    return s;
  }
  // The object and a record that tells of it, in one transaction.
  Status apply(const Op& op) {
    std::unique_ptr<Upload> up;
    if (!op.content.empty()) {
      up = TRY(objects->upload());
      TRY(up->write(op.content));
      TRY(up->seal());
    }
    ObjectInfo info;
    info.bucket = "b";
    info.key = op.key;
    return db->write([&](Txn& txn) -> Status {
      if (up) {
        TRY(objects->commit(txn, *up, info));
      } else {
        (void)TRY(objects->remove(txn, "b", op.key));
      }
      return put_record(txn, {"told", "1", op.key, 0, 0, op.content.empty() ? "" : hex(up->md5())});
    });
  }
  std::unique_ptr<Db> db;
  std::unique_ptr<Objects> objects;
};

// The process that is killed.
[[noreturn]] void writer(const std::string& folder, uint64_t round, int pipe) {
  auto site = Site::open(folder);
  if (!site.ok()) _exit(2);
  Status bucket = site->db->write([&](Txn& txn) -> Status {
    if (TRY(site->objects->bucket(txn, "b"))) return {};
    return site->objects->create_bucket(txn, {"b", "1", 0});
  });
  if (!bucket.ok()) _exit(3);
  std::vector<os::Thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back("writer-" + std::to_string(t), [&, t] {
      for (uint64_t n = 0;; ++n) {
        if (!site->apply(operation(round, t, n)).ok()) _exit(4);
        const Ack ack{round, t, n};  // less than PIPE_BUF: whole or not at all
        if (write(pipe, &ack, sizeof ack) != sizeof ack) _exit(5);
        if (n % 16 == 15) site->objects->collect();
      }
    });
  }
  for (;;) pause();
}

// Kills a writer at a random point; how many operations of each thread it acknowledged.
std::vector<uint64_t> one_life(const std::string& folder, uint64_t round, os::FakeRandom& dice) {
  int ends[2];
  check(pipe(ends) == 0, "pipe");
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) {
    close(ends[0]);
    writer(folder, round, ends[1]);
  }
  close(ends[1]);
  std::vector<uint64_t> acknowledged(kThreads);
  uint64_t until = dice.below(60);  // 0: while it opens
  if (until == 0) os::real_clock().sleep_us(static_cast<int64_t>(dice.below(20'000)));
  Ack ack{};
  bool killed = false;
  for (;;) {
    if (!killed && until == 0) {
      os::real_clock().sleep_us(static_cast<int64_t>(dice.below(3'000)));
      check(kill(child, SIGKILL) == 0, "kill");
      killed = true;
    }
    const ssize_t n = read(ends[0], &ack, sizeof ack);
    if (n == 0) break;
    check(n == sizeof ack, "an acknowledgement is whole");
    EXPECT_EQ(ack.op, acknowledged[ack.thread]++);
    if (until > 0) --until;
  }
  close(ends[0]);
  int status = 0;
  check(waitpid(child, &status, 0) == child, "waitpid");
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it ended by itself with " << status;
  return acknowledged;
}

// What a key holds now; "" where there is nothing. Its record must tell the same.
std::string content_of(Site& site, const std::string& key) {
  std::string content;
  auto reader = site.objects->get("b", key);
  if (reader.ok()) {
    content.resize((*reader)->info().size);
    auto n = (*reader)->read_at(0, {content.data(), content.size()});
    EXPECT_TRUE(n.ok() && *n == content.size()) << key;
  } else {
    EXPECT_EQ(reader.error().code, Code::not_found) << reader.error().message;
  }
  EXPECT_TRUE(site.db
                  ->read([&](Txn& txn) -> Status {
                    auto told = TRY(get_record(txn, "told", "1", key));
                    auto info = TRY(site.objects->head(txn, "b", key));
                    EXPECT_EQ(told ? told->body : "", info ? info->etag : "") << key;
                    return {};
                  })
                  .ok());
  return content;
}

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (!text) return otherwise;
  auto n = parse_int(text, name);
  check(n.ok() && *n > 0, "a whole number above zero in the environment");
  return static_cast<uint64_t>(*n);
}

TEST(Kills, LoseNothingThatWasAcknowledged) {
  const char* full = std::getenv("HOLDFAST_FULL");
  const uint64_t kills = number_from("HOLDFAST_KILLS", full && std::strcmp(full, "yes") == 0 ? 300 : 30);
  const uint64_t seed = number_from("HOLDFAST_SEED", 1);
  const std::string folder = testing::TempDir() + "hf_kills_" + std::to_string(getpid());
  ASSERT_TRUE(os::real_fs().remove_tree(folder).ok());
  ASSERT_TRUE(os::real_fs().make_dirs(folder).ok());
  os::FakeRandom dice(seed);
  std::map<std::string, std::string> held;  // by key; "" and absent are the same
  uint64_t acknowledgements = 0, landed = 0;
  for (uint64_t round = 1; round <= kills && !testing::Test::HasFailure(); ++round) {
    const auto acknowledged = one_life(folder, round, dice);
    auto site = Site::open(folder);
    ASSERT_TRUE(site.ok()) << "round " << round << ": " << site.error().message;
    ASSERT_TRUE(site->db->verify().ok());
    for (uint64_t t = 0; t < kThreads; ++t) {
      for (uint64_t n = 0; n < acknowledged[t]; ++n) {
        const Op op = operation(round, t, n);
        held[op.key] = op.content;
      }
      acknowledgements += acknowledged[t];
      const Op open = operation(round, t, acknowledged[t]);  // not acknowledged: there or not
      for (uint64_t k = 0; k < kKeys; ++k) {
        const std::string key = "t" + std::to_string(t) + "-" + std::to_string(k);
        const std::string now = content_of(*site, key);
        const bool done = now == held[key], after = key == open.key && now == open.content;
        EXPECT_TRUE(done || after) << "seed " << seed << " round " << round << " " << key << " holds " << now.size()
                                   << " bytes, expected " << held[key].size();
        landed += !done && after;
        held[key] = now;
      }
    }
  }
  RecordProperty("kills", static_cast<int>(kills));
  RecordProperty("acknowledgements", static_cast<int>(acknowledgements));
  std::printf("%llu kills, %llu acknowledgements; %llu operations had landed unacknowledged\n",
              static_cast<unsigned long long>(kills), static_cast<unsigned long long>(acknowledgements),
              static_cast<unsigned long long>(landed));
  EXPECT_GT(acknowledgements, kills);
  ASSERT_TRUE(os::real_fs().remove_tree(folder).ok());
}

}  // namespace
}  // namespace hf::store
