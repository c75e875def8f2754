// A program in the job's sandbox, tried at once: what of it works there, and what it is refused.
#include <atomic>
#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "api/quotas.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "fleet/doors.h"
#include "fleet/sandbox_job.h"
#include "fleet/usage.h"
#include "security/json.h"
#include "security/refusal_record.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

constexpr int kAtOnce = 4;  // each holds a handler's thread

struct JobFile {
  std::string name;
  int64_t bytes = 0;
  static void fields(wire::Fields<JobFile>& f) {
    f("bytes", &JobFile::bytes);
    f("name", &JobFile::name);
  }
};

struct TryJobRequest {
  std::vector<std::string> command, doors;
  std::map<std::string, std::string> environment, files;
  std::optional<int64_t> memory_mib, seconds;
  static void fields(wire::Fields<TryJobRequest>& f) {
    f("command", &TryJobRequest::command).required().length(1, 256);
    f("doors", &TryJobRequest::doors).length(0, 16);
    f("environment", &TryJobRequest::environment);
    f("files", &TryJobRequest::files);
    f("memory_mib", &TryJobRequest::memory_mib).range(16, 1 << 20);
    f("seconds", &TryJobRequest::seconds).range(1, 600);
  }
};

struct TryJobResponse {
  int64_t status = 0, microseconds = 0, refused = 0;
  std::string ended, output, isolation, job;
  bool output_cut = false;
  std::vector<JobFile> files;
  static void fields(wire::Fields<TryJobResponse>& f) {
    f("ended", &TryJobResponse::ended);  // "exited" | "timed_out" | "stopped": its client went away | "no_room": disk
    f("files", &TryJobResponse::files);  // below model/ and output/
    f("isolation", &TryJobResponse::isolation);
    f("job", &TryJobResponse::job);
    f("microseconds", &TryJobResponse::microseconds);
    f("output", &TryJobResponse::output);
    f("output_cut", &TryJobResponse::output_cut);
    f("refused", &TryJobResponse::refused);
    f("status", &TryJobResponse::status);
  }
};

class Place {  // one of kAtOnce, while it lives
 public:
  explicit Place(std::atomic<int>& taken) : taken_(taken), mine_(taken.fetch_add(1) < kAtOnce) {}
  ~Place() { taken_.fetch_sub(1); }
  Place(Place&&) = delete;
  bool mine() const { return mine_; }

 private:
  std::atomic<int>& taken_;
  bool mine_;
};

// Counts, and writes down.
class Counted final : public os::RefusalSink {
 public:
  Counted(Site& site, security::Entry actor) : record_(site.ledger, site.clock, std::move(actor), site.log) {}
  void refused(const os::Refusal& refusal) override {
    ++count_;
    record_.refused(refusal);
  }
  void quiet() override { record_.quiet(); }
  int64_t count() const { return count_; }

 private:
  security::RefusalRecord record_;
  std::atomic<int64_t> count_ = 0;
};

Status check_request(const TryJobRequest& in) {
  for (const auto& [name, text] : in.files) {
    const bool plain = !name.empty() && name.size() <= 64 && name[0] != '.' &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                           std::string::npos;
    if (!plain) return invalid("files: expected names of letters, digits, '.', '_' and '-', found '" + name + "'");
  }
  for (const auto& [name, value] : in.environment)
    if (name.empty() || name.find_first_of(std::string("=\0", 2)) != name.npos || value.find('\0') != value.npos)
      return invalid("environment: expected a name without '=', found '" + name + "'");
  for (const std::string& word : in.command)
    if (word.find('\0') != word.npos) return invalid("command: expected text without a zero byte");
  return {};
}

std::string printable(std::string text) {  // what is no UTF-8 becomes %XX, as in the ledger
  return std::string(json::parse(security::json_string(text)).as_string());
}

Status list_files(os::Fs& fs, const std::string& folder, const std::string& name, int depth,
                  std::vector<JobFile>& out) {
  if (depth > 8 || out.size() >= 1000) return {};
  for (const std::string& entry : TRY(fs.list(folder + "/" + name))) {
    const std::string path = name + "/" + entry;
    const auto stat = TRY(fs.stat(folder + "/" + path));  // follows no link
    if (stat.kind == os::Stat::Kind::directory) TRY(list_files(fs, folder, path, depth + 1, out));
    if (stat.kind == os::Stat::Kind::file) out.push_back({printable(path), static_cast<int64_t>(stat.size)});
  }
  return {};
}

struct Folder {  // of one job; goes with it
  std::string path;
  ~Folder() { (void)os::remove_job_folder(path); }
};

// The doors that it asks for, each of its account's, and each allowed to who asks.
Result<std::vector<fleet::Door>> doors_for(Call& call, const TryJobRequest& in) {
  std::vector<fleet::Door> out;
  for (const std::string& name : in.doors) {
    TRY(call.may("holdfast:UseEgressDoor", fleet::door_arn(call.site().region, call.account(), name)));
    const auto door = call.site().doors ? TRY(call.site().doors->find(call.account(), name)) : std::nullopt;
    if (!door) return not_found("there is no egress door '" + name + "' for account " + call.account());
    out.push_back(*door);
  }
  return out;
}

Result<TryJobResponse> try_job(Call& call, const TryJobRequest& in) {
  Site& site = call.site();
  TRY(check_request(in));
  if (!site.fs || site.state.empty()) return fail(Code::unavailable, "this site has no state folder to run a job in");
  const Place place(site.jobs_tried);
  if (!place.mine()) return fail(Code::exhausted, "ThrottlingException", "4 programs are being tried already");
  const auto doors = TRY(doors_for(call, in));
  TryJobResponse out;
  out.job = hex(site.random.bytes(8));
  json::object detail{{"command_sha256", crypto::sha256_hex(json::serialize(json::value_from(in.command)))},
                      {"job", out.job}};
  if (!in.doors.empty()) detail["doors"] = json::value_from(in.doors);
  if (!in.files.empty()) detail["files_sha256"] = crypto::sha256_hex(json::serialize(json::value_from(in.files)));
  TRY(call.record(security::canonical_json(detail)));  // before anything runs
  const Folder folder{site.state + "/scratch/try-" + out.job};
  TRY(fleet::prepare_job_folder(*site.fs, folder.path));
  for (const auto& [name, text] : in.files) TRY(site.fs->write_file_atomic(folder.path + "/code/" + name, text, 0700));
  fleet::SandboxJob job;
  job.folder = folder.path;
  job.command = in.command;
  for (const auto& [name, value] : in.environment) job.environment.push_back(name + "=" + value);
  job.limits.memory_bytes = static_cast<uint64_t>(in.memory_mib.value_or(1024)) << 20;
  job.scratch_bytes = job.limits.memory_bytes;
  job.seconds = in.seconds.value_or(60);
  security::Entry actor;
  actor.account = call.account();
  actor.principal = call.who().arn;
  actor.resource = call.arn("holdfast", "job/" + out.job);
  actor.request_id = call.request_id();
  auto refusals = std::make_shared<Counted>(site, actor);
  job.refusals = refusals;
  std::vector<std::unique_ptr<fleet::DoorServer>> open;
  for (const fleet::Door& door : doors)
    open.push_back(TRY(site.doors->serve(door, folder.path + "/doors/" + door.name, actor, [&call, &site, door] {
      return call.may("holdfast:UseEgressDoor", fleet::door_arn(site.region, door.account, door.name));
    })));
  auto end = TRY(fleet::run_sandbox_job(*site.fs, site.clock, job, [&] { return call.client_gone(); }));
  open.clear();  // and their entries are written before that of the job's end
  out.status = end.status;
  out.microseconds = end.microseconds;
  out.refused = refusals->count();
  out.ended = end.no_room ? "no_room" : end.timed_out ? "timed_out" : end.stopped ? "stopped" : "exited";
  out.output = printable(std::move(end.output));
  out.output_cut = end.output_cut;
  out.isolation = std::move(end.isolation);
  for (const char* part : {"model", "output"}) TRY(list_files(*site.fs, folder.path, part, 0, out.files));
  fleet::Usage more;
  more.account = call.account();
  more.principal = identity_arn(call.who());
  more.jobs = 1;
  more.job_us = out.microseconds;
  TRY(call.record(security::canonical_json(json::object{
                      {"ended", out.ended}, {"job", out.job}, {"refused", out.refused}, {"status", out.status}}),
                  [&](store::Txn& txn, uint64_t) { return fleet::add_usage(txn, call.now(), more); }));
  return out;
}

}  // namespace

void add_try_job(Service& s) {
  s.add<TryJobRequest, TryJobResponse>("TryJob", {"POST", "/holdfast/v1/try-job"}, Effect::write, try_job,
                                       [](const Call& call, const TryJobRequest&) { return own_arn(call, "job"); })
      .pool = http::Pool::generate;
}

}  // namespace hf::api::holdfast_api
