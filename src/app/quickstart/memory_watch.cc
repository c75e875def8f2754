#include "app/quickstart/memory_watch.h"

#include <map>

#include "base/text.h"

namespace hf::app {
namespace {

constexpr int64_t kEveryUs = 200'000;
constexpr size_t kStatusLimit = 16 << 10;

bool all_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string_view line_of(std::string_view status, std::string_view name) {
  for (auto line : split(status, '\n')) {
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":")) return trim(line.substr(name.size() + 1));
  }
  return {};
}

}  // namespace

uint64_t status_bytes(std::string_view status, std::string_view name) {
  auto words = split(line_of(status, name), ' ');
  auto value = parse_int(words[0]);
  if (!value.ok() || *value < 0) return 0;
  return static_cast<uint64_t>(*value) * (words.back() == "kB" ? 1024 : 1);
}

MemoryWatch::MemoryWatch(os::Fs& fs, os::Clock& clock, std::vector<int> roots)
    : fs_(fs), clock_(clock), roots_(std::move(roots)) {
  thread_ = os::Thread("hf-memory", [this] {
    while (!stopping_) {
      look();
      clock_.sleep_us(kEveryUs);
    }
  });
}

void MemoryWatch::stop() {
  stopping_ = true;
  thread_.join();
}

// Files of /proc say that they are empty, so they are read without asking for their size.
std::string MemoryWatch::read(const std::string& path) const {
  auto file = fs_.open(path, os::Open::read);
  if (!file.ok()) return {};
  std::string text(kStatusLimit, '\0');
  auto got = (*file)->read_at(0, {text.data(), text.size()});
  text.resize(got.ok() ? *got : 0);
  return text;
}

void MemoryWatch::look() {
  struct Process {
    int parent = 0;
    uint64_t high = 0;
  };
  std::map<int, Process> processes;
  auto names = fs_.list("/proc");
  if (!names.ok()) return;
  for (const auto& name : *names) {
    auto pid = all_digits(name) ? parse_int(name) : Result<int64_t>(int64_t{0});
    if (!pid.ok() || *pid == 0) continue;
    std::string status = read("/proc/" + name + "/status");
    auto parent = parse_int(line_of(status, "PPid"));
    if (parent.ok()) processes[static_cast<int>(*pid)] = {static_cast<int>(*parent), status_bytes(status, "VmHWM")};
  }
  uint64_t sum = 0;
  for (const auto& [pid, process] : processes) {
    int at = pid;
    // Up to a root; processes.size() bounds the way if a pid was used again between two reads.
    for (size_t steps = 0; steps <= processes.size(); steps++) {
      bool root = false;
      for (int r : roots_) root |= r == at;
      if (root) {
        sum += process.high;
        break;
      }
      auto found = processes.find(at);
      if (found == processes.end() || found->second.parent == 0) break;
      at = found->second.parent;
    }
  }
  if (sum > peak_) peak_ = sum;
}

}  // namespace hf::app
