#include "app/doctor.h"

#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>

#include "base/text.h"
#include "fleet/fleet.h"
#include "fleet/sandbox_job.h"
#include "os/doorkeeper.h"
#include "os/refusals.h"
#include "os/thread.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr const char* kRecords = "the site records each other one";  // what a sandbox says of its refused calls

// Counts the refused calls as the ledger would be told of them.
class Counting final : public os::RefusalSink {
 public:
  void refused(const os::Refusal&) override { ++count_; }
  int64_t count() const { return count_; }

 private:
  std::atomic<int64_t> count_ = 0;
};

struct Tried {                     // one role
  std::string isolation, problem;  // problem: why it could not be tried
  json::array attempts;            // {name, outcome, refused, tried}
  json::object counters;
  int64_t refused = 0, told = 0;

  int64_t tried() const { return static_cast<int64_t>(attempts.size()); }
  bool holds() const { return problem.empty() && tried() > 0 && refused == tried(); }
  bool records() const { return isolation.find(kRecords) != isolation.npos && told > 0; }
};

void add(Tried& out, const std::string& name, const std::string& tried, const std::string& outcome, bool refused) {
  out.attempts.push_back(json::object{{"name", name}, {"tried", tried}, {"outcome", outcome}, {"refused", refused}});
  out.refused += refused;
}

Result<Tried> try_worker(const Context& context, const std::string& scratch) {
  auto told = std::make_shared<Counting>();
  auto models = TRY(fleet::Models::open(context.fs, context.random, scratch + "/models"));
  fleet::FleetOptions options;
  options.refusals = told;
  auto fleet = TRY(fleet::Fleet::start(context.clock, *models, options));
  const auto report = TRY(fleet->probe());
  Tried out;
  out.isolation = fleet->status().isolation;
  for (const auto& a : report.attempts) add(out, a.name, a.tried, a.outcome, a.refused);
  for (const auto& [name, value] : report.counters) out.counters[name] = value;
  fleet.reset();
  out.told = told->count();
  return out;
}

Result<Tried> try_job(const Context& context, const std::string& scratch) {
  auto told = std::make_shared<Counting>();
  fleet::SandboxJob job;
  job.folder = scratch + "/job";
  job.command = {"/run/holdfast", "ways-out"};
  job.refusals = told;
  job.seconds = 60;
  TRY(fleet::prepare_job_folder(context.fs, job.folder));
  const auto end = TRY(fleet::run_sandbox_job(context.fs, context.clock, job, nullptr));
  boost::system::error_code ec;
  const json::value report = json::parse(end.output, ec);
  if (ec || !report.is_object() || !report.as_object().contains("attempts"))
    return fail(Code::unavailable, "the probe said: " + clip_utf8(end.output, 200));
  Tried out;
  out.isolation = end.isolation;
  for (const auto& a : report.at("attempts").as_array())
    add(out, member(a, "name"), member(a, "tried"), member(a, "outcome"), member(a, "refused") == "true");
  out.counters = report.at("counters").as_object();
  out.told = told->count();
  return out;
}

Tried or_problem(Result<Tried> result) {
  if (result.ok()) return std::move(*result);
  Tried out;
  out.problem = result.error().message;
  return out;
}

json::object to_json(const Tried& t) {
  json::object out{{"attempts", t.attempts},   {"counters", t.counters},  {"holds", t.holds()},
                   {"isolation", t.isolation}, {"recorded", t.records()}, {"refused", t.refused},
                   {"told", t.told},           {"tried", t.tried()}};
  if (!t.problem.empty()) out["problem"] = t.problem;
  return out;
}

void show(const char* role, const Tried& t) {
  if (!t.problem.empty()) return print("NOT here  " + std::string(role) + ": " + t.problem);
  const Walls walls = walls_of(t.isolation);
  print(std::string(role) + "s: " + std::to_string(t.refused) + " of " + std::to_string(t.tried()) +
        " ways out are refused; " +
        (t.records() ? "each refused system call is told to the site, which records it"
                     : "NOT here: refused system calls are not told to the site"));
  for (const std::string& wall : walls.hold) print("  holds    " + wall);
  for (const std::string& wall : walls.missing) print("  NOT here " + wall);
  for (const auto& a : t.attempts)
    print((member(a, "refused") == "true" ? "  refused  " : "  ALLOWED  ") + member(a, "name") + ": " +
          member(a, "tried") + " -> " + member(a, "outcome"));
  for (const auto& counter : t.counters)
    print("  counter  " + std::string(counter.key()) + " = " + json::serialize(counter.value()));
}

std::string advice(const Tried& worker, const Tried& job, bool sealed, bool root) {
  std::string out;
  if (!sealed || !worker.holds())
    out +=
        " Run on a host that allows user namespaces (sysctl user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone).";
  if (!job.problem.empty()) out += " Jobs do not start here.";
  if (root)
    out +=
        " It runs as root: to the kernel its jobs are root's, whose number of processes is not bounded, and root can "
        "enter other namespaces. Give it a user of its own ('holdfast service install' does).";
  return out;
}

}  // namespace

Result<int> doctor(const Context& context) {
  auto keeper = TRY(os::Doorkeeper::start());  // as the site does; from here on this process has no network either
  char folder[4096];
  std::string scratch = context.state + "/doctor";
  if (!scratch.starts_with('/') && getcwd(folder, sizeof folder)) scratch = std::string(folder) + "/" + scratch;
  const Tried worker = or_problem(try_worker(context, scratch)), job = or_problem(try_job(context, scratch));
  TRY(context.fs.remove_tree(scratch));
  const os::CpuInfo cpu = os::cpu_info();
  const bool root = geteuid() == 0, fine = worker.holds() && job.holds();
  if (context.json) {
    json::object out = to_json(worker);  // a worker's at the top, as ever
    out["all_refused"] = fine;
    out["cores"] = cpu.cores;
    out["cpu"] = cpu.model;
    out["memory_bytes"] = os::total_memory_bytes();
    out["egress"] = json::object{{"job", to_json(job)},
                                 {"root", root},
                                 {"sealed", keeper->sealed()},
                                 {"words", keeper->words()},
                                 {"worker", to_json(worker)}};
    print_json(out);
    return fine ? kDone : kFailed;
  }
  print("processor  " + cpu.model + ", " + std::to_string(cpu.cores) + " cores, " +
        human_bytes(os::total_memory_bytes()) + " of memory; " +
        (cpu.avx512 ? "AVX-512"
         : cpu.avx2 ? "AVX2"
                    : "neither AVX2 nor AVX-512: slow") +
        (cpu.amx_bf16 ? ", AMX" : ""));
  show("worker", worker);
  show("job", job);
  print(std::string(keeper->sealed() ? "site: " : "NOT here  site: ") + keeper->words());
  print((fine ? "Nothing that was tried got out of a worker or a job."
              : "Some ways out are open on this machine, or could not be tried: see ALLOWED and NOT here above.") +
        advice(worker, job, keeper->sealed(), root));
  return fine ? kDone : kFailed;
}

}  // namespace hf::app
