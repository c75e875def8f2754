#include "fleet/sandbox_job.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "base/text.h"
#include "os/process.h"

namespace hf::fleet {
namespace {

constexpr int kSocketInChild = 3;
constexpr int kStepMs = 100;
constexpr int64_t kStartUs = 30'000'000;  // for the layers to be laid
constexpr size_t kMaxWords = 64 << 10;
constexpr const char* kInit = "/run/holdfast";  // this program, in the container

Result<std::string> own_program() {
  std::string path(PATH_MAX, '\0');
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  if (n <= 0) return fail(Code::unavailable, "/proc/self/exe cannot be read");
  path.resize(static_cast<size_t>(n));
  return path;
}

void add_words(std::vector<std::string>& out, std::string_view words) {
  for (const std::string_view word : split(words, ' '))
    if (!word.empty()) out.emplace_back(word);
}

// What the container shows: /usr to read, folders of memory to write, the job's own folder as /opt/ml.
std::vector<std::string> container(const SandboxJob& job, const std::string& program) {
  const std::string scratch = std::to_string(job.scratch_bytes);
  std::vector<std::string> out;
  add_words(out, "--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --as-pid-1");
  add_words(out, "--die-with-parent --new-session --cap-drop ALL --hostname job --uid 1000 --gid 1000");
  add_words(out, "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/sbin /sbin");
  add_words(out, "--symlink usr/lib /lib --symlink usr/lib64 /lib64 --dir /etc");
  for (const char* file : {"/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"})
    add_words(out, std::string("--ro-bind-try ") + file + " " + file);
  // What /proc/sys holds is the machine's: root's own user may set it whatever namespace it is in.
  add_words(out, "--proc /proc --ro-bind /proc/sys /proc/sys");
  add_words(out, "--dev /dev --size " + scratch + " --tmpfs /dev/shm --remount-ro /dev");
  add_words(out, "--perms 1777 --size " + scratch + " --tmpfs /tmp");
  for (std::string word : {std::string("--bind"), job.folder, std::string("/opt/ml")}) out.push_back(std::move(word));
  for (const std::string part : {"/input", "/code", "/doors"})
    for (std::string word : {std::string("--ro-bind"), job.folder + part, "/opt/ml" + part})
      out.push_back(std::move(word));
  for (std::string word : {std::string("--ro-bind"), program, std::string(kInit)}) out.push_back(std::move(word));
  add_words(out, "--remount-ro / --chdir /opt/ml --");
  add_words(out, std::string(kInit) + " job-init --socket " + std::to_string(kSocketInChild) + " --memory " +
                     std::to_string(job.limits.memory_bytes) + " --files " + std::to_string(job.limits.file_bytes) +
                     " --processes " + std::to_string(job.limits.processes) + " --descriptors " +
                     std::to_string(job.limits.descriptors) + " --");
  out.insert(out.end(), job.command.begin(), job.command.end());
  return out;
}

class Run {
 public:
  Run(os::Clock& clock, const SandboxJob& job) : clock_(clock), job_(job), began_us_(clock.monotonic_us()) {}

  Status start(const std::string& bubblewrap, const std::string& program) {
    auto sockets = TRY(os::socket_pair());
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail(Code::unavailable, "no pipe for a job's output");
    output_ = os::Fd(ends[0]);
    const os::Fd writing(ends[1]);
    os::Spawn spec;
    spec.program = bubblewrap;
    spec.arguments = container(job_, program);
    // The job's own variables come later, through the socket: bubblewrap and job-init are no place for an LD_PRELOAD.
    spec.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"};
    spec.descriptors = {{writing.get(), 1}, {writing.get(), 2}, {sockets.second.get(), kSocketInChild}};
    // The network's among them, with no interface up: bubblewrap would raise lo, for which a hardened service has not
    // the sockets. And that of processes, which ends with its first: bubblewrap's own might outlive it.
    spec.new_namespaces = true;
    child_ = TRY(os::spawn(spec));
    socket_ = std::move(sockets.first);
    return {};
  }

  Result<SandboxJobEnd> finish(const std::function<bool()>& stopped) {
    while (socket_ || output_) {
      if (!kill_when_due(stopped)) TRY(step());
      // Whoever is killed leaves nothing open for long; whoever is not has until its time's end.
    }
    const int status = TRY(child_->wait(-1));
    watch_.reset();
    end_.microseconds = clock_.monotonic_us() - began_us_;
    end_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (killed_) return std::move(end_);
    if (!failure_.empty()) return fail(Code::invalid, "the job's program: " + failure_);
    if (!watching_) {
      std::string said = end_.output.substr(0, 1000);
      return fail(Code::unavailable, "the job's container did not start: " +
                                         (refused_.empty() ? (said.empty() ? "it said nothing" : said) : refused_));
    }
    return std::move(end_);
  }

 private:
  bool kill_when_due(const std::function<bool()>& stopped) {
    if (killed_) return false;
    const int64_t now = clock_.monotonic_us(), ran = now - began_us_;
    end_.timed_out = ran >= job_.seconds * 1'000'000 || (!watching_ && ran >= kStartUs);
    end_.stopped = !end_.timed_out && stopped && stopped();
    end_.no_room = !end_.timed_out && !end_.stopped && os::room_left(job_.folder) == 0;
    if (!end_.timed_out && !end_.stopped && !end_.no_room) return false;
    killed_ = true;
    child_->kill(SIGKILL);  // bubblewrap dies, and with it its namespace of processes
    return true;
  }

  Status step() {
    pollfd waits[] = {{socket_.get(), POLLIN, 0}, {output_.get(), POLLIN, 0}};
    const int n = poll(waits, 2, kStepMs);
    if (n < 0 && errno != EINTR) return fail(Code::unavailable, "poll of a job failed");
    if (n <= 0) return {};
    if (waits[0].revents) hear();
    if (waits[1].revents) take_output();
    return {};
  }

  // First "holds" with the listener, which is answered; then the end of the socket, once the program has started; or
  // "failed" with why.
  void hear() {
    std::array<char, 4096> bytes;
    std::vector<os::Fd> got;
    auto n = os::receive(socket_.get(), bytes, got);
    if (!n.ok() || *n == 0) {
      socket_ = os::Fd();
      if (watching_ && words_.find("\nfailed\n") == words_.npos) return;
      const size_t at = words_.find("failed\n");
      if (at != words_.npos) (watching_ ? failure_ : refused_) = words_.substr(at + 7);
      return;
    }
    if (words_.size() < kMaxWords) words_.append(bytes.data(), *n);
    if (!got.empty() && !watching_ && words_.compare(0, 6, "holds\n") == 0) {
      watching_ = true;
      end_.isolation = words_.substr(6);
      words_ = "holds\n\n";
      watch_ = std::make_unique<os::RefusalWatch>(std::move(got[0]), job_.refusals,
                                                  std::vector<std::string>{"/opt/ml/", "/tmp/", "/dev/shm/"});
      std::string variables;
      for (const std::string& v : job_.environment) variables.append(v).push_back('\0');
      (void)os::send_all(socket_.get(), std::to_string(variables.size()) + "\n" + variables);
    }
  }

  void take_output() {
    std::array<char, 16384> bytes;
    const ssize_t n = read(output_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) return void(output_ = os::Fd());
    const size_t room = job_.output_bytes - std::min(job_.output_bytes, end_.output.size());
    end_.output.append(bytes.data(), std::min(room, static_cast<size_t>(n)));
    end_.output_cut = end_.output_cut || static_cast<size_t>(n) > room;
  }

  os::Clock& clock_;
  const SandboxJob& job_;
  const int64_t began_us_;
  std::unique_ptr<os::RefusalWatch> watch_;  // before child_: it watches until the child has ended
  std::unique_ptr<os::Child> child_;
  os::Fd socket_, output_;
  std::string words_, failure_, refused_;
  bool watching_ = false, killed_ = false;
  SandboxJobEnd end_;
};

}  // namespace

Status prepare_job_folder(os::Fs& fs, const std::string& folder) {
  for (const char* part : {"/input/config", "/input/data", "/code", "/model", "/output/data", "/checkpoints", "/doors"})
    TRY(fs.make_dirs(folder + part, 0700));
  return {};
}

std::string bubblewrap_path(os::Fs& fs) {
  for (const char* path : {"/usr/bin/bwrap", "/usr/local/bin/bwrap"})
    if (fs.exists(path)) return path;
  return "";
}

Result<SandboxJobEnd> run_sandbox_job(os::Fs& fs, os::Clock& clock, const SandboxJob& job,
                                      const std::function<bool()>& stopped) {
  if (job.command.empty() || job.command[0].empty()) return fail(Code::invalid, "a job needs a command");
  check(job.folder.starts_with('/') && job.refusals, "a job has a folder and somebody to tell");
  const std::string bubblewrap = bubblewrap_path(fs);
  if (bubblewrap.empty())
    return fail(Code::unavailable,
                "jobs need bubblewrap, and /usr/bin/bwrap is not there: install the package bubblewrap");
  if (os::room_left(job.folder) == 0)
    return fail(Code::exhausted, kDiskFull, "the disk of " + job.folder + " is nearly full: no job is started");
  const std::string program = job.program.empty() ? TRY(own_program()) : job.program;
  Run run(clock, job);
  TRY(run.start(bubblewrap, program));
  return run.finish(stopped);
}

}  // namespace hf::fleet
