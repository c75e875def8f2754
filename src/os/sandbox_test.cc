#include "os/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "os/sandbox_filter.h"

namespace hf::os {
namespace {

// Runs `body` in a child and gives what it returned (at most 100), or -1 for any other end.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) _exit(body());
  int status = 0;
  check(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitized) GTEST_SKIP() << "no sandbox beside the sanitizer's own thread";
  }
};

bool holds(const Sandbox& sandbox, const std::string& name) {
  for (const auto& layer : sandbox.layers)
    if (layer.name == name) return layer.holds;
  return false;
}

TEST_F(SandboxTest, EveryLayerSaysWhetherItHolds) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({{ends[1]}});
              if (!sandbox.ok()) return 1;
              const std::string words = sandbox->words();
              if (write(ends[1], words.data(), words.size()) != static_cast<ssize_t>(words.size())) return 2;
              for (const auto& layer : sandbox->layers)
                if (layer.detail.empty()) return 3;
              return sandbox->layers.size() == 13 ? 0 : 4;
            }),
            0);
  close(ends[1]);
  std::string words(10'000, '\0');
  const ssize_t n = read(ends[0], words.data(), words.size());
  close(ends[0]);
  ASSERT_GT(n, 0);
  words.resize(static_cast<size_t>(n));
  EXPECT_NE(words.find("seccomp lets it make"), std::string::npos) << words;
  EXPECT_NE(words.find("no core dumps"), std::string::npos) << words;
  RecordProperty("words", words);
}

// Whatever the kernel has, these are refused, by one layer or the other.
TEST_F(SandboxTest, NothingNewCanBeReached) {
  const int low = open("/etc/passwd", O_RDONLY);
  const int file = fcntl(low, F_DUPFD, 200);  // a number that the sandbox does not give away again
  EXPECT_EQ(
      in_child([&] {
        auto sandbox = enter_sandbox({});
        if (!sandbox.ok()) return 1;
        char byte = 0;
        if (read(file, &byte, 1) >= 0 || errno != EBADF) return 2;  // not in the list: closed
        if (open("/etc/passwd", O_RDONLY) >= 0) return 3;
        if (open("/proc/self/environ", O_RDONLY) >= 0) return 4;
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0) return 5;
        if (socket(AF_INET6, SOCK_DGRAM, 0) >= 0) return 6;
        if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return 7;
        if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0) return 8;
        if (fork() >= 0) return 9;
        if (execl("/bin/sh", "sh", "-c", "exit 0", nullptr) == 0) return 10;
        if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0) return 11;
        if (kill(getppid(), 0) == 0) return 12;
        if (mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
          return 13;
        rlimit limit{};
        if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return 14;
        return 0;
      }),
      0);
  close(file);
  close(low);
}

TEST_F(SandboxTest, RefusalsAreCounted) {
  EXPECT_EQ(refused_system_calls(), -1);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({});
              if (!sandbox.ok() || !holds(*sandbox, "seccomp")) return 1;
              const int64_t before = refused_system_calls();
              for (int i = 0; i < 5; ++i)
                if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 2;
              return refused_system_calls() - before == 5 && before == 0 ? 0 : 3;
            }),
            0);
}

TEST_F(SandboxTest, WorkGoesOn) {
  char name[] = "/tmp/hf-sandbox-XXXXXX";
  const int file = mkstemp(name);
  ASSERT_GE(file, 0);
  unlink(name);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({{file}});
              if (!sandbox.ok()) return 1;
              if (pwrite(file, "hello", 5, 0) != 5 || ftruncate(file, 3) != 0 || fdatasync(file) != 0) return 2;
              struct stat s {};
              if (fstat(file, &s) != 0 || s.st_size != 3) return 3;
              if (mmap(nullptr, 3, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) return 4;
              std::string big(50'000'000, 'x');
              int sum = 0;
              std::thread other([&] { sum = big[1] == 'x' ? 7 : 0; });
              other.join();
              return sum == 7 && refused_system_calls() <= 0 ? 0 : 5;
            }),
            0);
  close(file);
}

TEST_F(SandboxTest, TheNetworkNamespaceIsEmpty) {
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({});
              if (!sandbox.ok()) return 1;
              if (!holds(*sandbox, "network namespace")) return 0;  // says so
              std::string text(4096, '\0');
              const ssize_t n = read(sandbox->net_dev.get(), text.data(), text.size());
              if (n <= 0) return 2;
              text.resize(static_cast<size_t>(n));
              size_t interfaces = 0;
              for (size_t at = 0; (at = text.find(':', at)) != std::string::npos; ++at) ++interfaces;
              return interfaces == 1 && text.find("lo:") != std::string::npos ? 0 : 3;
            }),
            0);
}

TEST_F(SandboxTest, MemoryIsBounded) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need terabytes of addresses";
  EXPECT_EQ(in_child([&] {
              SandboxOptions options;
              options.memory_bytes = 512 << 20;
              if (!enter_sandbox(options).ok()) return 1;
              return mmap(nullptr, size_t{1} << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                             MAP_FAILED
                         ? 0
                         : 2;
            }),
            0);
}

TEST_F(SandboxTest, IsForOneThread) {
  EXPECT_EQ(in_child([&] {
              bool stop = false;
              std::atomic_ref<bool> flag(stop);
              std::thread other([&] {
                while (!flag.load()) std::this_thread::yield();
              });
              const bool refused = !enter_sandbox({}).ok();
              flag.store(true);
              other.join();
              return refused ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace hf::os
