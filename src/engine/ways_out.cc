// The probe as a program of its own, in a job.
#include <boost/json.hpp>
#include <cstdio>

#include "base/text.h"
#include "engine/probe.h"
#include "engine/worker.h"

namespace hf::engine {
namespace {

namespace json = boost::json;

Result<rpc::ProbeTask> parse(int argc, char** argv) {
  rpc::ProbeTask task;
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return fail(Code::invalid, std::string(name) + ": expected a value");
    if (name == "--socket") {
      task.unix_socket = argv[i + 1];
    } else if (name == "--port") {
      const int64_t port = TRY(parse_int(argv[i + 1], name));
      if (port < 1 || port > 65535) return fail(Code::invalid, "--port: expected 1 to 65535");
      task.tcp_port = static_cast<int32_t>(port);
    } else {
      return fail(Code::invalid, std::string(name) + ": unknown");
    }
  }
  return task;
}

}  // namespace

int ways_out_entry(int argc, char** argv) {
  const auto task = parse(argc, argv);
  if (!task.ok()) {
    std::fprintf(stderr, "holdfast ways-out: %s\n", task.error().message.c_str());
    return 64;
  }
  const rpc::ProbeReport report = probe_job(*task);
  json::array attempts;
  bool all = true;
  for (const auto& a : report.attempts) {
    attempts.push_back(
        json::object{{"name", a.name}, {"outcome", a.outcome}, {"refused", a.refused}, {"tried", a.tried}});
    all = all && a.refused;
  }
  json::object counters;
  for (const auto& [name, value] : report.counters) counters[name] = value;
  std::puts(json::serialize(json::object{{"attempts", attempts}, {"counters", counters}}).c_str());
  return all ? 0 : 1;
}

}  // namespace hf::engine
