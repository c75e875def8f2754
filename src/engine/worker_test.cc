#include "engine/worker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "engine/test_model.h"
#include "os/sandbox_filter.h"
#include "os/thread.h"
#include "rpc/channel.h"

namespace hf::engine {
namespace {

using rpc::Type;

os::Fd temporary_file(const std::string& bytes) {
  std::string name = testing::TempDir() + "hf-worker-XXXXXX";
  os::Fd fd(mkstemp(name.data()));
  check(static_cast<bool>(fd), "mkstemp");
  unlink(name.c_str());
  check(pwrite(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "write");
  return fd;
}

std::string content(const os::Fd& fd) {
  std::string out(static_cast<size_t>(lseek(fd.get(), 0, SEEK_END)), '\0');
  check(pread(fd.get(), out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()), "read");
  return out;
}

// A real worker in a child process, in its sandbox.
class WorkerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (os::kThreadSanitized) GTEST_SKIP() << "no sandbox beside the sanitizer's own thread";
  }
  void start(WorkerOptions options = {}) {
    int ends[2], errors[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ASSERT_EQ(pipe(errors), 0);
    options.threads = 2;
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      dup2(errors[1], 2);
      _exit(run_worker(ends[1], options));
    }
    close(ends[1]);
    close(errors[1]);
    errors_ = os::Fd(errors[0]);
    channel_ = std::make_unique<rpc::Channel>(os::Fd(ends[0]));
    const rpc::Frame frame = next();
    ASSERT_EQ(frame.type, Type::hello);
    hello_ = *rpc::decode<rpc::Hello>(frame.body);
  }
  // -1: ended by a signal.
  int wait_for_end() {
    int status = 0;
    check(waitpid(std::exchange(pid_, 0), &status, 0) > 0, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string said() {
    std::string out(4096, '\0');
    const ssize_t n = read(errors_.get(), out.data(), out.size());
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      wait_for_end();
    }
  }

  rpc::Frame next() {
    auto frame = channel_->receive();
    check(frame.ok() && frame->has_value(), "the worker has ended");
    return std::move(**frame);
  }
  template <class T>
  T expect(Type type, uint64_t id) {
    const rpc::Frame frame = next();
    EXPECT_EQ(frame.id, id);
    if (frame.type == Type::failed) {
      ADD_FAILURE() << rpc::decode<rpc::Failed>(frame.body)->message;
      return {};
    }
    EXPECT_EQ(rpc::type_name(frame.type), rpc::type_name(type));
    auto message = rpc::decode<T>(frame.body);
    EXPECT_TRUE(message.ok());
    return message.ok() ? *message : T{};
  }
  Error expect_failed(uint64_t id) {
    const rpc::Frame frame = next();
    EXPECT_EQ(frame.id, id);
    EXPECT_EQ(rpc::type_name(frame.type), "failed");
    auto failed = rpc::decode<rpc::Failed>(frame.body);
    return failed.ok() ? rpc::to_error(*failed) : fail(Code::internal, "no error");
  }

  void send_files(Type type, uint64_t id, const std::vector<TestFile>& files) {
    rpc::LoadTask task;
    task.digest = "m";
    std::vector<os::Fd> fds;
    std::vector<int> numbers;
    for (const TestFile& file : files) {
      task.files.push_back(file.name);
      numbers.push_back(fds.emplace_back(temporary_file(file.bytes)).get());
    }
    ASSERT_TRUE(channel_->send_message(type, id, task, numbers).ok());
  }
  void load() {
    send_files(Type::load, 1, test_model_bytes());
    EXPECT_EQ(expect<rpc::ModelCard>(Type::card, 1).layers, 2);
  }
  static rpc::GenerateRequest request(int32_t max_tokens = 20) {
    rpc::GenerateRequest r;
    r.digest = "m";
    r.prompt.turns = {{"user", "hello"}};
    r.sampling.max_tokens = max_tokens;
    r.sampling.temperature = 1.5;
    r.salt = std::string(16, 's');
    return r;
  }
  // The events of one generate.
  rpc::Finished finish(uint64_t id, std::string* text = nullptr) {
    for (;;) {
      const rpc::Frame frame = next();
      EXPECT_EQ(frame.id, id);
      if (frame.type == Type::finished) return *rpc::decode<rpc::Finished>(frame.body);
      EXPECT_EQ(rpc::type_name(frame.type), "text");
      if (text) *text += rpc::decode<rpc::Text>(frame.body)->piece;
      if (frame.type == Type::failed) return {};
    }
  }

  pid_t pid_ = 0;
  os::Fd errors_;
  std::unique_ptr<rpc::Channel> channel_;
  rpc::Hello hello_;
};

TEST_F(WorkerTest, SaysWhatItIsAndEndsWithItsSocket) {
  start();
  EXPECT_EQ(hello_.build.size(), 64u);
  EXPECT_FALSE(hello_.isa.empty());
  EXPECT_NE(hello_.isolation.find("Holds: "), std::string::npos);
  EXPECT_GE(hello_.layers.size(), 4u);
  channel_->close();
  EXPECT_EQ(wait_for_end(), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(WorkerTest, AnswersAsTheEngineDoes) {
  start();
  load();
  ASSERT_TRUE(channel_->send_message(Type::generate, 5, request()).ok());
  std::string text;
  const rpc::Finished finished = finish(5, &text);
  EXPECT_EQ(finished.build, hello_.build);

  Engine engine(os::real_clock(), **tensor::choose_kernels("", os::cpu_info()), {});
  ASSERT_TRUE(engine.load("m", test_model()).ok());
  engine.submit(5, request());
  while (engine.step()) {
  }
  std::string expected;
  for (const Event& event : engine.take_events()) {
    if (const auto* piece = std::get_if<rpc::Text>(&event.what)) expected += piece->piece;
    if (const auto* end = std::get_if<rpc::Finished>(&event.what)) {
      EXPECT_EQ(finished.output_digest, end->output_digest);
      EXPECT_EQ(finished.input_digest, end->input_digest);
    }
  }
  EXPECT_EQ(text, expected);

  rpc::CountTask count;
  count.digest = "m";
  count.prompt = request().prompt;
  ASSERT_TRUE(channel_->send_message(Type::count, 6, count).ok());
  EXPECT_EQ(expect<rpc::Counted>(Type::counted, 6).tokens, 8);
  ASSERT_TRUE(channel_->send(Type::counters, 7).ok());
  EXPECT_EQ(expect<rpc::EngineCounters>(Type::counted_all, 7).requests, 1);
  ASSERT_TRUE(channel_->send_message(Type::unload, 8, rpc::UnloadTask{"m"}).ok());
  EXPECT_EQ(next().type, Type::unloaded);
  ASSERT_TRUE(channel_->send_message(Type::generate, 9, request()).ok());
  EXPECT_EQ(expect_failed(9).code, Code::not_found);
}

TEST_F(WorkerTest, InspectTellsWhatIsWrongAndLivesOn) {
  start();
  send_files(Type::inspect, 1, test_model_bytes());
  EXPECT_EQ(expect<rpc::ModelCard>(Type::card, 1).architecture, "LlamaForCausalLM");
  auto files = test_model_bytes();
  files[2].bytes.resize(files[2].bytes.size() - 1);
  send_files(Type::inspect, 2, files);
  EXPECT_EQ(expect_failed(2).code, Code::corrupt);
  send_files(Type::load, 3, {});
  EXPECT_NE(expect_failed(3).message.find("config.json"), std::string::npos);
  load();
}

TEST_F(WorkerTest, CancelPauseAndResume) {
  start();
  load();
  rpc::GenerateRequest r = request(200);
  ASSERT_TRUE(channel_->send(Type::pause, 4).ok());  // no such task: passed over
  ASSERT_TRUE(channel_->send_message(Type::generate, 4, r).ok());
  ASSERT_TRUE(channel_->send(Type::cancel, 4).ok());
  ASSERT_TRUE(channel_->send(Type::cancel, 4).ok());
  (void)finish(4);  // "cancelled", or the end where that came first
  ASSERT_TRUE(channel_->send_message(Type::generate, 5, r).ok());
  ASSERT_TRUE(channel_->send(Type::pause, 5).ok());
  ASSERT_TRUE(channel_->send(Type::counters, 6).ok());
  rpc::Frame frame = next();
  while (frame.type == Type::text) frame = next();
  if (frame.type == Type::counted_all) {
    ASSERT_TRUE(channel_->send(Type::resume, 5).ok());
    EXPECT_GT(finish(5).output_tokens, 0);
  }
}

TEST_F(WorkerTest, BrokenFramesEndItWithALine) {
  const auto end_after = [&](const std::function<void()>& send) {
    start();
    send();
    EXPECT_EQ(wait_for_end(), 2);
    const std::string line = said();
    EXPECT_NE(line.find("holdfast worker: "), std::string::npos);
    return line;
  };
  EXPECT_NE(end_after([&] {
              const std::string garbage(64, '\xff');
              ASSERT_EQ(write(channel_->fd(), garbage.data(), garbage.size()), 64);
            }).find("rpc frame of 4294967295 bytes"),
            std::string::npos);
  EXPECT_NE(end_after([&] { ASSERT_TRUE(channel_->send(Type::generate, 1, "short").ok()); }).find("ends too early"),
            std::string::npos);
  EXPECT_NE(end_after([&] { ASSERT_TRUE(channel_->send(Type::text, 1, "").ok()); }).find("not a frame that a site"),
            std::string::npos);
  EXPECT_NE(end_after([&] {
              ASSERT_TRUE(channel_->send_message(Type::load, 1, rpc::LoadTask{"m", {"a"}}).ok());
            }).find("1 files with 0 descriptors"),
            std::string::npos);
  EXPECT_NE(end_after([&] { ASSERT_TRUE(channel_->send(Type::counters, 1, "", {0}).ok()); }).find("wrong task"),
            std::string::npos);
  EXPECT_NE(end_after([&] {
              ASSERT_EQ(write(channel_->fd(), "\x20\0\0", 3), 3);
              channel_->close();
            }).find("within a frame"),
            std::string::npos);
}

TEST_F(WorkerTest, TheHostileMinute) {
  const os::Fd inherited(open("/etc/passwd", O_RDONLY));  // not close-on-exec, and not handed to the worker
  start();
  const os::Fd secret = temporary_file("secret");
  rpc::ProbeTask task;
  task.files = {testing::TempDir(), "/proc/self/environ"};
  task.unix_socket = "/run/holdfast.sock";
  task.tcp_port = 8080;
  ASSERT_TRUE(channel_->send_message(Type::probe, 1, task).ok());
  const auto report = expect<rpc::ProbeReport>(Type::report, 1);
  EXPECT_GE(report.attempts.size(), 25u);
  for (const auto& attempt : report.attempts)
    EXPECT_TRUE(attempt.refused) << attempt.name << " (" << attempt.tried << "): " << attempt.outcome;
  const auto counter = [&](const char* name) {
    const auto it = report.counters.find(name);
    return it == report.counters.end() ? -1 : it->second;
  };
  EXPECT_GE(counter("system calls refused"), 20);
  if (std::count(hello_.layers.begin(), hello_.layers.end(), "network namespace")) {
    EXPECT_EQ(counter("network interfaces"), 1);
    EXPECT_EQ(counter("packets sent"), 0);
    EXPECT_EQ(counter("Udp OutDatagrams"), 0);
  }
  load();  // and it still works
}

TEST_F(WorkerTest, KilledWhileItAnswers) {
  start();
  load();
  rpc::GenerateRequest r = request(200);
  for (uint64_t id = 10; id < 20; ++id) ASSERT_TRUE(channel_->send_message(Type::generate, id, r).ok());
  ASSERT_EQ(kill(pid_, SIGKILL), 0);
  EXPECT_EQ(wait_for_end(), -1);
  for (;;) {
    auto frame = channel_->receive();
    if (!frame.ok() || !frame->has_value()) break;
  }
}

TEST_F(WorkerTest, OutOfMemoryIsAnAnswer) {
  if (os::kSanitized) GTEST_SKIP() << "sanitizers need terabytes of addresses";
  WorkerOptions options;
  options.memory_bytes = 600 << 20;
  start(options);
  TestModelOptions model;
  model.context = 1 << 20;  // its tables of angles alone take 32 MiB: that fits
  send_files(Type::load, 1, test_model_bytes(model));
  EXPECT_EQ(expect<rpc::ModelCard>(Type::card, 1).context, 1 << 20);
  auto files = test_model_bytes(model);
  auto config = test_config(model);
  config.llama.head_dim = 512;  // 2 GiB of angles
  files[0].bytes = model::write_config(config, tensor::DType::f32);
  files[2].bytes = test_weights(config.llama, model);
  send_files(Type::inspect, 2, files);
  EXPECT_EQ(expect_failed(2).code, Code::exhausted);
  ASSERT_TRUE(channel_->send_message(Type::generate, 3, request()).ok());
  EXPECT_GT(finish(3).output_tokens, 0);
}

// The whole way: lines of data in, a folder out, which then answers.
TEST_F(WorkerTest, TrainsAndServesWhatItTrained) {
  start();
  std::string lines;
  for (int i = 0; i < 40; ++i)
    lines += R"({"prompt":"say )" + std::to_string(i) + R"(","completion":"done )" + std::to_string(i) + "\"}\n";
  rpc::TrainTask task;
  task.seed = 1;
  task.train_files = 1;
  task.outputs = {"config.json", "model.safetensors", "tokenizer.json", "holdfast.json"};
  task.hyperparameters = {{"steps", "5"}, {"width", "32"}, {"layers", "1"}, {"context", "64"}, {"vocabulary", "300"}};
  std::vector<os::Fd> fds;
  fds.push_back(temporary_file(lines));
  std::vector<int> numbers = {fds[0].get()};
  for (size_t i = 0; i < task.outputs.size(); ++i) numbers.push_back(fds.emplace_back(temporary_file("")).get());
  ASSERT_TRUE(channel_->send_message(Type::train, 1, task, numbers).ok());
  rpc::Frame frame = next();
  int progress = 0;
  for (; frame.type == Type::progress; frame = next()) ++progress;
  ASSERT_EQ(rpc::type_name(frame.type), "trained") << rpc::decode<rpc::Failed>(frame.body)->message;
  EXPECT_GT(progress, 0);
  const auto done = rpc::decode<rpc::TrainDone>(frame.body);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->steps, 5);
  std::vector<TestFile> files;
  for (size_t i = 0; i < task.outputs.size(); ++i) files.push_back({task.outputs[i], content(fds[i + 1])});
  send_files(Type::load, 2, files);
  EXPECT_EQ(expect<rpc::ModelCard>(Type::card, 2).chat_format, "holdfast");
  ASSERT_TRUE(channel_->send_message(Type::generate, 3, request()).ok());
  EXPECT_GT(finish(3).output_tokens, 0);
}

TEST(WorkerEntry, WrongUsage) {
  const auto run = [](std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    return worker_entry(static_cast<int>(argv.size()), argv.data());
  };
  EXPECT_EQ(run({"holdfast", "worker"}), 64);
  EXPECT_EQ(run({"holdfast", "worker", "--socket"}), 64);
  EXPECT_EQ(run({"holdfast", "worker", "--socket", "x"}), 64);
  EXPECT_EQ(run({"holdfast", "worker", "--socket", "3", "--colour", "1"}), 64);
  EXPECT_EQ(run({"holdfast", "worker", "--socket", "3", "--threads", "-1"}), 64);
}

}  // namespace
}  // namespace hf::engine
