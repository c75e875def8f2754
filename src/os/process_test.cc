#include "os/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "os/thread.h"

namespace hf::os {
namespace {

// Runs a shell script with its standard output in a socket; what it wrote, after its end.
std::string output_of(Spawn spec, const std::string& script, int* status = nullptr) {
  auto pair = socket_pair();
  spec.program = "/bin/sh";
  spec.arguments = {"-c", script};
  spec.descriptors.emplace_back(pair->second.get(), 1);
  auto child = spawn(spec);
  if (!child.ok()) return child.error().message;
  pair->second = Fd();
  std::string out;
  char part[4096];
  std::vector<Fd> none;
  for (;;) {
    auto n = receive(pair->first.get(), part, none);
    if (!n.ok() || *n == 0) break;
    out.append(part, *n);
  }
  auto ended = (*child)->wait(-1);
  if (status) *status = ended.ok() ? *ended : -1;
  return out;
}

TEST(Spawn, GivesTheListedEnvironmentAndDescriptorsOnly) {
  setenv("HF_LEAK", "secret", 1);
  int leak = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_EQ(fcntl(leak, F_SETFD, 0), 0);
  Fd extra(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Spawn spec;
  spec.environment = {"ONLY=this", "PATH=/usr/bin:/bin"};
  spec.descriptors = {{extra.get(), 7}};
  const std::string out = output_of(spec,
                                    "env | grep -v -e ^PWD -e ^_= -e ^SHLVL -e ^OLDPWD; ls /proc/self/fd; "
                                    "readlink /proc/self/fd/0 /proc/self/fd/2 /proc/self/fd/7");
  ::close(leak);
  unsetenv("HF_LEAK");
  EXPECT_EQ(out.find("HF_LEAK"), std::string::npos);
  EXPECT_NE(out.find("ONLY=this"), std::string::npos) << out;
  // ls itself opens one more: /proc/self/fd as 3.
  EXPECT_NE(out.find("\n0\n1\n2\n3\n7\n/dev/null\n/dev/null\n/dev/zero\n"), std::string::npos) << out;
}

TEST(Spawn, DescriptorsMaySwapTheirNumbers) {
  Fd a(::open("/dev/zero", O_RDONLY)), b(::open("/dev/null", O_RDONLY));
  Spawn spec;
  spec.environment = {"PATH=/usr/bin:/bin"};
  spec.descriptors = {{a.get(), b.get()}, {b.get(), a.get()}};
  const std::string out = output_of(
      spec, "readlink /proc/self/fd/" + std::to_string(a.get()) + " /proc/self/fd/" + std::to_string(b.get()));
  EXPECT_EQ(out, "/dev/null\n/dev/zero\n");
  spec.descriptors = {{a.get(), 9}, {b.get(), 9}};
  EXPECT_EQ(spawn(spec).error().code, Code::invalid);
}

TEST(Spawn, TellsExitStatusSignalsAndWhatFailed) {
  int status = -1;
  output_of({}, "exit 3", &status);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
  Spawn spec;
  spec.program = "/nowhere/at/all";
  auto missing = spawn(spec);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("execute"), std::string::npos) << missing.error().message;
  spec.program = "relative";
  EXPECT_EQ(spawn(spec).error().code, Code::invalid);
  spec.program = "/bin/sleep";
  spec.arguments = {"1000"};
  auto child = spawn(spec);
  ASSERT_TRUE(child.ok());
  EXPECT_EQ((*child)->wait(0).error().code, Code::unavailable);
  (*child)->kill(SIGTERM);
  auto ended = (*child)->wait(-1);
  ASSERT_TRUE(ended.ok());
  EXPECT_TRUE(WIFSIGNALED(*ended));
  EXPECT_EQ(WTERMSIG(*ended), SIGTERM);
  EXPECT_EQ(*(*child)->wait(0), *ended);  // as often as wanted
}

TEST(Spawn, DestructionKillsAndReaps) {
  Spawn spec;
  spec.program = "/bin/sleep";
  spec.arguments = {"1000"};
  auto child = spawn(spec);
  ASSERT_TRUE(child.ok());
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Spawn, ADetachedChildLivesOnInASessionOfItsOwnAndAppends) {
  const std::string log = testing::TempDir() + "hf_detached_" + std::to_string(getpid());
  Fd out(::open(log.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  Spawn spec;
  spec.program = "/bin/sh";
  spec.environment = {"PATH=/usr/bin:/bin"};
  spec.arguments = {"-c", "cat /proc/self/stat; cat"};
  auto input = socket_pair();
  spec.descriptors = {{input->second.get(), 0}, {out.get(), 1}, {out.get(), 2}};
  spec.new_session = spec.append_outputs = true;
  spec.die_with_parent = false;
  auto child = spawn(spec);
  ASSERT_TRUE(child.ok()) << child.error().message;
  const pid_t pid = (*child)->pid();
  input->second = Fd();
  (*child)->detach();
  child->reset();
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_NE(fcntl(out.get(), F_GETFL) & O_APPEND, 0);
  EXPECT_EQ(getsid(pid), pid);
  input->first = Fd();  // its cat ends, so it ends
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  ASSERT_EQ(::unlink(log.c_str()), 0);
}

TEST(Spawn, OutlivesTheThreadThatMadeItAndDiesWithTheProcess) {
  Spawn spec;
  spec.program = "/bin/sleep";
  spec.arguments = {"1000"};
  std::unique_ptr<Child> child;
  std::thread([&] { child = std::move(*spawn(spec)); }).join();
  EXPECT_EQ(child->wait(50).error().code, Code::unavailable);
  // A process of its own that spawns and is killed: its child must go too, seen by the end of a pipe it held.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  pid_t middle = fork();
  if (middle == 0) {
    Spawn inner = spec;
    inner.descriptors = {{ends[1], 5}};
    auto grandchild = spawn(inner);
    ::close(ends[1]);
    ::kill(getpid(), SIGKILL);
  }
  ::close(ends[1]);
  ASSERT_EQ(waitpid(middle, nullptr, 0), middle);
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // hangs if the grandchild lives on
  ::close(ends[0]);
}

TEST(Spawn, NamespacesHideTheNetworkOrTheChildSaysThatItHasNone) {
  auto pair = socket_pair();
  Spawn spec;
  spec.program = "/bin/sh";
  spec.environment = {"PATH=/usr/bin:/bin"};
  spec.arguments = {"-c", "readlink /proc/self/ns/net; echo $$ $(id -u)"};
  spec.descriptors = {{pair->second.get(), 1}};
  spec.new_namespaces = true;
  auto child = spawn(spec);
  ASSERT_TRUE(child.ok()) << child.error().message;
  pair->second = Fd();
  std::string out;
  char part[4096];
  std::vector<Fd> none;
  for (auto n = receive(pair->first.get(), part, none); n.ok() && *n > 0; n = receive(pair->first.get(), part, none)) {
    out.append(part, *n);
  }
  ASSERT_TRUE((*child)->wait(-1).ok());
  char own[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/net", own, sizeof own - 1), 0);
  EXPECT_EQ(out.find(own) == std::string::npos, (*child)->namespaces()) << out;
  if ((*child)->namespaces()) {
    EXPECT_NE(out.find("\n1 " + std::to_string(geteuid()) + "\n"), std::string::npos) << out;
  }
}

TEST(Sockets, CarryBytesAndDescriptors) {
  auto pair = socket_pair();
  Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const int sent[] = {zero.get(), zero.get()};
  const std::string big(100'000, 'x');
  Thread sender("sender", [&] {
    EXPECT_TRUE(send_all(pair->first.get(), big, sent).ok());
    pair->first = Fd();
  });
  std::vector<Fd> got;
  std::string all;
  char part[5000];
  for (;;) {
    auto n = receive(pair->second.get(), part, got);
    ASSERT_TRUE(n.ok());
    if (*n == 0) break;
    all.append(part, *n);
  }
  sender.join();
  EXPECT_EQ(all, big);
  ASSERT_EQ(got.size(), 2u);
  char byte = 1;
  EXPECT_EQ(::read(got[1].get(), &byte, 1), 1);
  EXPECT_EQ(byte, 0);
  EXPECT_NE(fcntl(got[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(send_all(pair->second.get(), "", sent).error().code, Code::invalid);
  EXPECT_FALSE(send_all(pair->second.get(), "nobody reads").ok());  // an error, not SIGPIPE
}

// In a child: this process should go on to leave dumps of its own faults.
TEST(CoreDumps, HoldNothingAfterwards) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit{};
    char text[16] = {};
    if (!no_core_dumps().ok() || getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) _exit(1);
    const int filter = open("/proc/self/coredump_filter", O_RDONLY);
    if (filter < 0 || read(filter, text, sizeof text - 1) < 8) _exit(2);
    _exit(std::string_view(text).substr(0, 8) == "00000000" ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Machine, IsDescribed) {
  const CpuInfo info = cpu_info();
  EXPECT_FALSE(info.model.empty());
  EXPECT_GE(info.cores, 1);
  EXPECT_TRUE(info.avx2 || !info.avx512);  // the wider set implies the narrower
  EXPECT_GT(total_memory_bytes(), uint64_t{64} << 20);
}

}  // namespace
}  // namespace hf::os
