// Fakes of the seam, for tests: simulated time, seeded randomness, and a disk in memory that fails on demand and loses
// what was not synced. They live in the library so that the tests of every folder can use them; the program does not.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "os/clock.h"
#include "os/fs.h"

namespace hf::os {

// Time stands still unless somebody sleeps or advances it. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(Micros start = 1'790'000'000'000'000) : wall_(start) {}  // 2026-09-21T13:33:20Z
  Micros now() override { return wall_.load(); }
  int64_t monotonic_us() override { return monotonic_.load(); }
  void sleep_us(int64_t us) override {
    if (us > 0) advance(us);
  }
  void advance(int64_t us) {
    wall_ += us;
    monotonic_ += us;
  }
  void set(Micros wall) { wall_ = wall; }  // a jump of the wall clock: the monotonic one does not move

 private:
  std::atomic<Micros> wall_;
  std::atomic<int64_t> monotonic_{0};
};

// The same bytes for the same seed (splitmix64). Thread-safe.
class FakeRandom final : public Random {
 public:
  explicit FakeRandom(uint64_t seed = 1) : state_(seed) {}
  void fill(std::span<char> out) override;
  uint64_t next();
  uint64_t below(uint64_t n) { return n == 0 ? 0 : next() % n; }  // slightly uneven for huge n: enough for tests

 private:
  std::mutex mutex_;
  uint64_t state_;
};

// A disk in memory with two states: what a program sees, and what would survive a power cut. A write, a truncation, or
// a change of a name is pending until sync() of the file, or sync_dir() of its folder. crash() keeps a random legal
// subset of what is pending: any 512-byte sector of a write may be there or not, in any order; a file may have grown
// without its data (zeros); a name may be lost although its file was synced.
//
// Faults hit the calls that change something or read bytes; they are counted from 1 by calls().
class FakeFs final : public Fs {
 public:
  enum class Fault {
    eio,          // the call does nothing and fails. A sync that fails: what was pending is never written by a later
                  // sync either, though it can still be read (Linux's page cache after a failed write-back)
    enospc,       // the call does nothing and fails
    short_write,  // a write puts half of its bytes, then fails as ENOSPC; other calls: as enospc
    power_off,    // this call and all after it fail, and change nothing, until crash()
  };

  FakeFs();
  ~FakeFs() override;

  // The n-th counted call from now (1: the next one) fails. Once, or from then on if `lasting` (a lasting enospc or
  // short_write: those that need room; reading, removing and syncing go on). 0 takes it back.
  void fail_at(uint64_t n, Fault fault, bool lasting = false);
  // As fail_at, counting only sync() and sync_dir().
  void fail_sync_at(uint64_t n, Fault fault);
  uint64_t calls() const;    // counted calls so far
  uint64_t syncs() const;    // sync() and sync_dir() so far
  bool fault_fired() const;  // since the last fail_at or fail_sync_at
  // The power is cut: locks and open files are gone (each call on them fails), and of what was not synced a subset
  // stays, chosen by the seed. Clears faults.
  void crash(uint64_t seed);
  void set_capacity(uint64_t bytes);                       // sum of the sizes of all files; beyond it ENOSPC
  void set_read_only(bool on);                             // EROFS for all that changes
  Status flip_bit(const std::string& path, uint64_t bit);  // on the disk and in what is seen
  uint64_t used_bytes() const;

  Result<std::unique_ptr<File>> open(const std::string& path, Open how, int mode = 0600) override;
  Status make_dirs(const std::string& path, int mode = 0700) override;
  Status remove(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<Stat> stat(const std::string& path) override;
  Status sync_dir(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<File>> lock(const std::string& path) override;

 private:
  friend class FakeFile;
  struct State;
  std::shared_ptr<State> state_;  // shared with open files, so that they may outlive the disk
};

}  // namespace hf::os
