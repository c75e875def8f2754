#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace hf::engine {
namespace {

constexpr int64_t kPage = 1000;  // bytes

// Pages of 16 positions; so many in all.
Scheduler with_pages(int64_t pages, SchedulerLimits limits = {}) {
  limits.cache_bytes = pages * kPage;
  Scheduler scheduler(limits);
  scheduler.add_model(0, kPage, 16);
  return scheduler;
}

Scheduler::Request request(uint64_t id, int64_t prompt, int64_t answer, const std::string& tenant = "a",
                           int model = 0) {
  return {id, model, tenant, prompt, prompt + answer};
}

// Plays the engine: what is sampled, and who ends after how many tokens.
class Player {
 public:
  explicit Player(Scheduler& scheduler) : scheduler_(scheduler) {}
  void add(const Scheduler::Request& r) {
    ASSERT_TRUE(scheduler_.add(r).ok());
    requests_[r.id] = {r, r.prompt, 0};
  }
  // False: nothing was done.
  bool step() {
    const Scheduler::Step step = scheduler_.step();
    for (const uint64_t id : step.preempted) requests_.at(id).computed = 0;
    for (const uint64_t id : step.admitted) admitted.push_back(id);
    int64_t rows = 0;
    std::set<uint64_t> seen;
    for (const auto& work : step.work) {
      State& state = requests_.at(work.id);
      EXPECT_TRUE(seen.insert(work.id).second);
      EXPECT_EQ(work.first, state.computed);  // nothing twice, nothing left out
      EXPECT_EQ(state.request.model, step.model);
      EXPECT_GT(work.count, 0);
      state.computed += work.count;
      EXPECT_LE(state.computed, state.length);
      EXPECT_EQ(work.sample, state.computed == state.length);
      rows += work.count;
      if (!work.sample) continue;
      scheduler_.sampled(work.id);
      if (++state.length == state.request.most) {
        scheduler_.remove(work.id);
        finished.push_back(work.id);
        requests_.erase(work.id);
      }
    }
    EXPECT_LE(rows, scheduler_.limits().rows);
    EXPECT_LE(scheduler_.cache_used(), scheduler_.limits().cache_bytes);
    EXPECT_LE(scheduler_.running(), scheduler_.limits().running);
    return !step.work.empty();
  }
  int run() {
    int steps = 0;
    while (step() && ++steps < 100'000) {
    }
    return steps;
  }
  std::vector<uint64_t> admitted, finished;

 private:
  struct State {
    Scheduler::Request request;
    int64_t length, computed;
  };
  Scheduler& scheduler_;
  std::map<uint64_t, State> requests_;
};

TEST(Scheduler, OneRequestGoesInChunksThenTokenByToken) {
  Scheduler scheduler = with_pages(100);
  ASSERT_TRUE(scheduler.add(request(1, 300, 10)).ok());
  for (const int64_t expected : {128, 128, 44}) {
    const auto step = scheduler.step();
    ASSERT_EQ(step.work.size(), 1u);
    EXPECT_EQ(step.work[0].count, expected);
    EXPECT_EQ(step.work[0].sample, expected == 44);
  }
  EXPECT_EQ(scheduler.pages_used(), 19);  // 300 positions
  for (int i = 0; i < 5; ++i) {
    scheduler.sampled(1);
    const auto step = scheduler.step();
    ASSERT_EQ(step.work.size(), 1u);
    EXPECT_EQ(step.work[0].first, 300 + i);
    EXPECT_TRUE(step.work[0].sample);
  }
  EXPECT_EQ(scheduler.pages_used(), 20);
  scheduler.remove(1);
  EXPECT_EQ(scheduler.pages_used(), 0);
  EXPECT_TRUE(scheduler.step().work.empty());
}

TEST(Scheduler, RunningRequestsGoOnBesideALongPrompt) {
  Scheduler scheduler = with_pages(200);
  Player player(scheduler);
  player.add(request(1, 4, 100));
  player.step();
  ASSERT_TRUE(scheduler.add(request(2, 1000, 5)).ok());
  for (int i = 0; i < 8; ++i) {
    const auto step = scheduler.step();
    ASSERT_EQ(step.work.size(), 2u);
    EXPECT_EQ(step.work[0].id, 1u);
    EXPECT_EQ(step.work[0].count, 1);
    scheduler.sampled(1);
    if (step.work[1].sample) scheduler.sampled(2);
  }
}

TEST(Scheduler, FullQueuesAndImpossibleRequestsAreRefused) {
  SchedulerLimits limits;
  limits.waiting = 3;
  Scheduler scheduler = with_pages(10, limits);
  EXPECT_EQ(scheduler.add(request(9, 100, 100)).error().code, Code::too_large);  // 13 pages
  EXPECT_TRUE(scheduler.add(request(8, 100, 60)).ok());                          // 10 pages
  EXPECT_TRUE(scheduler.add(request(1, 4, 4)).ok());
  EXPECT_TRUE(scheduler.add(request(2, 4, 4)).ok());
  EXPECT_EQ(scheduler.add(request(3, 4, 4)).error().code, Code::exhausted);
  scheduler.remove(2);
  EXPECT_TRUE(scheduler.add(request(3, 4, 4)).ok());
}

TEST(Scheduler, PreemptedRequestsComeBackAndAllEnd) {
  Scheduler scheduler = with_pages(10);
  Player player(scheduler);
  for (uint64_t id = 1; id <= 6; ++id) player.add(request(id, 20, 120));  // 9 pages each in the end
  player.run();
  EXPECT_EQ(player.finished.size(), 6u);
  EXPECT_GT(scheduler.preemptions(), 0);
  EXPECT_EQ(player.finished.front(), 1u);  // the oldest was never the victim
  EXPECT_EQ(scheduler.cache_used(), 0);
  EXPECT_EQ(scheduler.running() + scheduler.waiting(), 0u);
}

TEST(Scheduler, ATenantWithOneRequestDoesNotWaitForAFlood) {
  SchedulerLimits limits;
  limits.running = 4;
  Scheduler scheduler = with_pages(1000, limits);
  Player player(scheduler);
  for (uint64_t id = 1; id <= 100; ++id) player.add(request(id, 50, 20, "flood"));
  for (int i = 0; i < 30; ++i) player.step();
  player.add(request(1000, 50, 5, "quiet"));
  const size_t before = player.admitted.size();
  player.run();
  const auto at = std::find(player.admitted.begin(), player.admitted.end(), 1000u) - player.admitted.begin();
  EXPECT_LE(static_cast<size_t>(at), before);  // the very next one that was admitted
  EXPECT_EQ(player.finished.size(), 101u);
}

TEST(Scheduler, IdlenessSavesNothingUp) {
  SchedulerLimits limits;
  limits.running = 1;
  Scheduler scheduler = with_pages(1000, limits);
  Player player(scheduler);
  player.add(request(1, 10, 10, "late"));
  player.run();
  for (uint64_t id = 10; id < 60; ++id) player.add(request(id, 100, 50, "busy"));
  for (int i = 0; i < 1000; ++i) player.step();
  for (uint64_t id = 100; id < 150; ++id) player.add(request(id, 100, 50, "late"));
  player.admitted.clear();
  for (int i = 0; i < 1000; ++i) player.step();
  int late = 0, busy = 0;
  for (const uint64_t id : player.admitted) ++(id >= 100 ? late : busy);
  EXPECT_GT(busy, 5);
  EXPECT_NEAR(late, busy, 2);  // in turns, though "late" had done far less
}

TEST(Scheduler, PausedRequestsStandStillAndGiveWay) {
  Scheduler scheduler = with_pages(10);
  ASSERT_TRUE(scheduler.add(request(1, 100, 20)).ok());
  ASSERT_FALSE(scheduler.step().work.empty());
  scheduler.sampled(1);
  scheduler.pause(1);
  EXPECT_TRUE(scheduler.step().work.empty());
  EXPECT_EQ(scheduler.pages_used(), 7);  // kept while nobody needs them
  ASSERT_TRUE(scheduler.add(request(2, 100, 20)).ok());
  const auto step = scheduler.step();
  EXPECT_EQ(step.preempted, std::vector<uint64_t>{1});
  ASSERT_EQ(step.work.size(), 1u);
  EXPECT_EQ(step.work[0].id, 2u);
  scheduler.remove(2);
  EXPECT_TRUE(scheduler.step().work.empty());
  scheduler.resume(1);
  const auto again = scheduler.step();
  ASSERT_EQ(again.work.size(), 1u);
  EXPECT_EQ(again.work[0].first, 0);  // from the beginning, with the token that it had
  EXPECT_EQ(again.work[0].count, 101);
}

TEST(Scheduler, ModelsTakeTurns) {
  SchedulerLimits limits;
  limits.cache_bytes = 1'000'000;
  Scheduler scheduler(limits);
  scheduler.add_model(3, 1000, 16);
  scheduler.add_model(7, 5000, 16);
  ASSERT_TRUE(scheduler.add(request(1, 4, 50, "a", 3)).ok());
  ASSERT_TRUE(scheduler.add(request(2, 4, 50, "a", 7)).ok());
  for (int i = 0; i < 10; ++i) {
    const auto step = scheduler.step();
    EXPECT_EQ(step.model, i % 2 == 0 ? 3 : 7);
    ASSERT_EQ(step.work.size(), 1u);
    scheduler.sampled(step.work[0].id);
  }
  scheduler.remove(1);
  scheduler.remove_model(3);
  EXPECT_EQ(scheduler.step().model, 7);
}

// Any order of events: the invariants in Player hold, and everybody gets to the end.
TEST(Scheduler, RandomSchedules) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto upto = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)) + 1; };
    SchedulerLimits limits;
    limits.rows = 8 + upto(100);
    limits.chunk = upto(64);
    limits.running = static_cast<size_t>(upto(8));
    Scheduler scheduler = with_pages(8 + upto(20), limits);
    Player player(scheduler);
    std::set<uint64_t> paused;
    uint64_t id = 0;
    for (int i = 0; i < 300; ++i) {
      switch (random() % 6) {
        case 0:
          player.add(request(++id, upto(60), upto(60), std::string(1, static_cast<char>('a' + random() % 3))));
          break;
        case 1:
          if (id > 0) {
            const uint64_t who = random() % id + 1;
            if (paused.insert(who).second) {
              scheduler.pause(who);
            } else {
              paused.erase(who);
              scheduler.resume(who);
            }
          }
          break;
        default:
          player.step();
      }
    }
    for (const uint64_t who : paused) scheduler.resume(who);
    player.run();
    EXPECT_EQ(player.finished.size(), id) << "seed " << seed;
    EXPECT_EQ(scheduler.cache_used(), 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hf::engine
