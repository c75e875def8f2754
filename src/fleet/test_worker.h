// A worker for tests: speaks the real protocol, and does what its prompt says instead of running a model.
//   raw prompt "say A B C"    the words, one text each, then finished
//              "hang"         "..." and then nothing until it is cancelled
//              "die"          "..." and then the process ends
//              "step N"       N texts "x", each after the pause and the resume that follow the one before
//              "refuse"       failed
//   train      hyperparameter "do": "learn" (3 steps, writes the outputs), "wait" (until stop), "die", "refuse",
//              "die once" (the first time: writes to its first checkpoint and dies; then as learn),
//              "nan" (as learn, and then reports a loss that is no number)
#pragma once

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "rpc/channel.h"

namespace hf::fleet {

using rpc::Type;

class TestWorker {
 public:
  explicit TestWorker(int fd) : channel_(os::Fd(fd)) {}

  int run() {
    rpc::Hello hello;
    hello.build = "test-build";
    hello.isa = "scalar";
    hello.isolation = "none: a worker for tests";
    if (!channel_.send_message(Type::hello, 0, hello).ok()) return 1;
    for (;;) {
      auto frame = channel_.receive();
      if (!frame.ok()) return 1;
      if (!*frame) return 0;
      handle(**frame);
    }
  }

 private:
  struct Steps {
    int left = 0;
    bool paused = false;
  };

  void refuse(uint64_t id, const std::string& why) {
    (void)channel_.send_message(Type::failed, id, rpc::to_failed(fail(Code::invalid, why)));
  }
  void text(uint64_t id, std::string piece) {
    (void)channel_.send_message(Type::text, id, rpc::Text{std::move(piece)});
  }
  void finish(uint64_t id, const char* reason, int64_t tokens) {
    rpc::Finished f;
    f.input_tokens = 3;
    f.output_tokens = tokens;
    f.stop_reason = reason;
    f.build = "test-build";
    f.isa = "scalar";
    f.input_digest = f.output_digest = f.text_digest = std::string(32, 'd');
    (void)channel_.send_message(Type::finished, id, f);
  }

  // One text for each pause and resume: a site that does not pause never gets the second.
  void paused(uint64_t id) {
    ++pauses_;
    if (auto at = steps_.find(id); at != steps_.end()) at->second.paused = true;
  }
  void resumed(uint64_t id) {
    auto at = steps_.find(id);
    if (at == steps_.end()) return;
    if (!at->second.paused) return refuse(id, "resumed but not paused");
    at->second.paused = false;
    if (--at->second.left > 0) return text(id, "x");
    steps_.erase(at);
    finish(id, "end_turn", 1);
  }

  void handle(rpc::Frame& frame) {
    switch (frame.type) {
      case Type::load:
      case Type::inspect:
        return load(frame);
      case Type::unload:
        (void)channel_.send(Type::unloaded, frame.id);
        return;
      case Type::count:
        (void)channel_.send_message(Type::counted, frame.id, rpc::Counted{42});
        return;
      case Type::generate:
        return generate(frame);
      case Type::cancel:
        return finish(frame.id, "cancelled", 1);
      case Type::pause:
        return paused(frame.id);
      case Type::resume:
        return resumed(frame.id);
      case Type::counters: {
        rpc::EngineCounters c;
        c.requests = requests_;
        c.preemptions = pauses_;  // no such thing here: the pauses instead
        (void)channel_.send_message(Type::counted_all, frame.id, c);
        return;
      }
      case Type::probe: {
        rpc::ProbeReport report;
        report.attempts.push_back({"dns", "resolve a name", "EPERM", true});
        (void)channel_.send_message(Type::report, frame.id, report);
        return;
      }
      case Type::train:
        return train(frame);
      case Type::stop:
        return trained(frame.id, true);
      default:
        return;
    }
  }

  void load(const rpc::Frame& frame) {
    auto task = rpc::decode<rpc::LoadTask>(frame.body);
    if (!task.ok() || task->files.size() + (task->cache ? 1 : 0) != frame.descriptors.size())
      return refuse(frame.id, "bad load");
    rpc::ModelCard card;
    card.digest = task->digest;
    for (size_t i = 0; i < task->files.size(); ++i) {
      char buffer[64] = {};
      const ssize_t n = ::pread(frame.descriptors[i].get(), buffer, sizeof buffer - 1, 0);
      if (n > 0) card.bytes += static_cast<uint64_t>(n);
      if (task->files[i] == "config.json") card.architecture = std::string(buffer, static_cast<size_t>(n > 0 ? n : 0));
    }
    if (card.architecture == "bad") return refuse(frame.id, "config.json: not a model");
    if (card.architecture == "deadly") std::_Exit(9);
    (void)channel_.send_message(Type::card, frame.id, card);
  }

  void generate(const rpc::Frame& frame) {
    auto request = rpc::decode<rpc::GenerateRequest>(frame.body);
    if (!request.ok()) return refuse(frame.id, "bad generate");
    ++requests_;
    std::string words = request->prompt.raw;
    if (words.empty() && !request->prompt.turns.empty()) words = request->prompt.turns.back().text;
    const auto parts = split(words, ' ');
    if (parts[0] == "die") {
      text(frame.id, "...");
      std::_Exit(9);
    }
    if (parts[0] == "hang") return text(frame.id, "...");
    if (parts[0] == "step" && parts.size() == 2) {
      steps_[frame.id].left = std::atoi(std::string(parts[1]).c_str());
      return text(frame.id, "x");
    }
    if (parts[0] == "refuse") return refuse(frame.id, "the prompt is too long");
    for (size_t i = 1; i < parts.size(); ++i) text(frame.id, (i > 1 ? " " : "") + std::string(parts[i]));
    finish(frame.id, "end_turn", static_cast<int64_t>(parts.size()) - 1);
  }

  void train(rpc::Frame& frame) {
    auto task = rpc::decode<rpc::TrainTask>(frame.body);
    if (!task.ok()) return refuse(frame.id, "bad train");
    const size_t inputs = static_cast<size_t>(task->train_files + task->validation_files);
    const size_t written = inputs + task->outputs.size();
    if (frame.descriptors.size() != written + static_cast<size_t>(task->checkpoint_files))
      return refuse(frame.id, "bad descriptors");
    crypto::Hasher hasher(crypto::Hash::sha256);
    for (int32_t i = 0; i < task->train_files; ++i) {
      char buffer[4096];
      off_t at = 0;
      for (ssize_t n; (n = ::pread(frame.descriptors[static_cast<size_t>(i)].get(), buffer, sizeof buffer, at)) > 0;
           at += n)
        hasher.update({buffer, static_cast<size_t>(n)});
    }
    data_digest_ = hex(hasher.finish());
    const std::string what = task->hyperparameters["do"];
    what_ = what;
    if (what == "refuse") return refuse(frame.id, "train file 1, line 7: expected a JSON object");
    for (int step = 1; step <= 3; ++step) {
      rpc::TrainProgress p;
      p.phase = "training";
      p.step = step;
      p.steps = 3;
      p.tokens = step * 100;
      p.loss = 4.0 / step;
      p.tokens_per_second = 1000;
      (void)channel_.send_message(Type::progress, frame.id, p);
    }
    if (what == "die") std::_Exit(9);
    if (what == "die once") {
      char seen = 0;
      const int checkpoint = frame.descriptors.at(written).get();
      if (::pread(checkpoint, &seen, 1, 0) == 0) {
        if (::pwrite(checkpoint, "x", 1, 0) != 1) return refuse(frame.id, "cannot write");
        std::_Exit(9);
      }
    }
    frame.descriptors.resize(written);
    outputs_ = task->outputs;
    fds_.assign(std::make_move_iterator(frame.descriptors.begin() + static_cast<std::ptrdiff_t>(inputs)),
                std::make_move_iterator(frame.descriptors.end()));
    if (what == "wait") return;
    trained(frame.id, false);
  }

  void trained(uint64_t id, bool stopped) {
    rpc::TrainDone done;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i].find("optimizer") != std::string::npos) continue;  // one that stays empty
      const std::string content = outputs_[i] == "config.json" ? "trained" : "content of " + outputs_[i];
      if (::pwrite(fds_[i].get(), content.data(), content.size(), 0) < 0) return refuse(id, "cannot write");
      done.files_written.push_back(outputs_[i]);
    }
    done.steps = 3;
    done.tokens = 300;
    done.loss = what_ == "nan" ? std::nan("") : 1.5;
    done.validation_loss = 1.75;
    done.tokens_per_second = 1000;
    done.stopped = stopped;
    done.data_digest = data_digest_;
    (void)channel_.send_message(Type::trained, id, done);
  }

  rpc::Channel channel_;
  int64_t requests_ = 0, pauses_ = 0;
  std::map<uint64_t, Steps> steps_;
  std::vector<std::string> outputs_;
  std::vector<os::Fd> fds_;
  std::string data_digest_, what_;
};

// 0 when the site closed the socket.
inline int test_worker(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], "--socket") == 0) return TestWorker(std::atoi(argv[i + 1])).run();
  return 2;
}

}  // namespace hf::fleet
