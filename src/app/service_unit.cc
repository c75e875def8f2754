#include "app/service_unit.h"

#include <boost/json.hpp>

#include "app/quickstart/program.h"
#include "app/settings.h"
#include "app/state.h"
#include "app/training.h"
#include "os/process.h"

namespace hf::app {
namespace {

constexpr const char* kState = "/var/lib/holdfast";
constexpr int kStartTimeoutMs = 60'000;

// What is installed, below the root.
constexpr const char* kProgram = "/usr/local/bin/holdfast";
constexpr const char* kUnit = "/etc/systemd/system/holdfast.service";
constexpr const char* kManual = "/usr/local/share/man/man1/holdfast.1";
constexpr const char* kCompletion = "/usr/local/share/bash-completion/completions/holdfast";
constexpr const char* kVerifier = "/usr/local/share/holdfast/verify-evidence";

// A value inside a unit's ExecStart: systemd's own quoting; a '%' would be a specifier.
std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    out += c;
  }
  return out + "\"";
}

// Runs a program of the system and waits; its output goes where ours goes.
Result<int> call(const std::string& program, std::vector<std::string> arguments, bool shown = true) {
  os::Spawn spec;
  spec.program = program;
  spec.arguments = std::move(arguments);
  spec.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  if (shown) spec.descriptors = {{2, 1}, {2, 2}};
  auto child = TRY(os::spawn(spec));
  return child->wait(60'000);
}

Status must(const std::string& program, std::vector<std::string> arguments) {
  std::string text = program;
  for (const auto& a : arguments) text += " " + a;
  if (int status = TRY(call(program, std::move(arguments))); status != 0)
    return fail(Code::internal, "'" + text + "' failed with status " + std::to_string(status));
  return {};
}

Status copy_program(os::Fs& fs, const std::string& to) {
  auto from = TRY(fs.open("/proc/self/exe", os::Open::read));
  uint64_t size = TRY(from->size());
  std::string bytes(size, '\0');
  if (TRY(from->read_at(0, {bytes.data(), bytes.size()})) != size)
    return fail(Code::internal, "/proc/self/exe: shorter than it says");
  return fs.write_file_atomic(to, bytes, 0755);
}

}  // namespace

Result<ServiceOptions> checked(ServiceOptions options) {
  Settings form;  // the rows' own forms
  if (options.cert.empty() != options.key.empty())
    return fail(Code::invalid, "--cert and --key belong together: only one was given");
  for (const auto& [name, value] : {std::pair{"listen", &options.listen}, {"host", &options.host}})
    TRY(form.set(name, *value));
  if (options.listen.empty()) return options;
  if (options.host.empty()) return fail(Code::invalid, "--listen needs --host NAME");
  if (Address address = TRY(parse_address(options.listen)); address.port < 1024)
    return fail(Code::invalid, "--listen: expected a port from 1024 on, found " + std::to_string(address.port) +
                                   ": the service has no right to lower ones");
  for (std::string* file : {&options.cert, &options.key}) {
    if (file->empty()) continue;
    *file = TRY(absolute_path(*file));
    if (file->find_first_of(":\n\"\\%") != file->npos)
      return fail(Code::invalid, "--cert, --key: expected a path without : % \\ and quotes, found '" + *file + "'");
  }
  return options;
}

std::string service_unit(const ServiceOptions& options) {
  // Each is given, empty ones too: the unit decides, not what an earlier start has left in settings.json.
  std::string command = std::string(kProgram) + " up --foreground --state " + kState;
  command += " --listen " + quoted(options.listen) + " --host " + quoted(options.host);
  std::string credentials;
  if (!options.cert.empty()) {
    // The files stay root's own: systemd hands the service a copy that nobody else can read.
    credentials = "LoadCredential=cert.pem:" + options.cert + "\nLoadCredential=key.pem:" + options.key + "\n";
    command += " --cert %d/cert.pem --key %d/key.pem";
  } else {
    command += " --cert \"\" --key \"\"";
  }
  return "[Unit]\n"
         "Description=Holdfast, an AI factory\n"
         "Documentation=man:holdfast(1)\n"
         "After=network.target\n\n"
         "[Service]\n"
         "ExecStart=" +
         command + "\n" + credentials +
         "User=holdfast\n"
         "Group=holdfast\n"
         "StateDirectory=holdfast\n"
         "StateDirectoryMode=0700\n"
         "Restart=on-failure\n"
         "RestartSec=2\n"
         "TimeoutStopSec=40\n"
         "UMask=0077\n"
         "LimitCORE=0\n"
         "LimitNOFILE=65536\n"
         "NoNewPrivileges=yes\n"
         "CapabilityBoundingSet=\n"
         "AmbientCapabilities=\n"
         "ProtectSystem=strict\n"
         "ProtectHome=yes\n"
         "PrivateTmp=yes\n"
         "PrivateDevices=yes\n"
         "DevicePolicy=closed\n"
         "PrivateMounts=yes\n"
         "PrivateUsers=yes\n"
         "ProtectClock=yes\n"
         // Not ProtectHostname, ProtectKernelTunables, ProtectKernelLogs: a job's container has a host name and a /proc
         // of its own, and the kernel lets it mount that only where nothing of /proc is covered. What they guard needs
         // capabilities, of which there are none.
         "ProtectKernelModules=yes\n"
         "ProtectControlGroups=yes\n"
         "ProtectProc=invisible\n"
         "KeyringMode=private\n"
         "LockPersonality=yes\n"
         "MemoryDenyWriteExecute=yes\n"
         "RestrictRealtime=yes\n"
         "RestrictSUIDSGID=yes\n"
         "RemoveIPC=yes\n"
         "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n" +
         std::string(options.listen.empty() ? "IPAddressDeny=any\nIPAddressAllow=localhost\n" : "") +
         // What the workers lay their own walls with: namespaces, an empty root, Landlock, seccomp. By name, since
         // systemd has a group for the last two only from version 253 on, and a worker without them is a weaker one.
         "RestrictNamespaces=user net pid ipc uts mnt\n"
         "SystemCallArchitectures=native\n"
         "SystemCallFilter=@system-service @mount seccomp landlock_create_ruleset landlock_add_rule "
         "landlock_restrict_self\n"
         "SystemCallFilter=~@aio @keyring userfaultfd\n"
         "SystemCallErrorNumber=EPERM\n\n"
         "[Install]\n"
         "WantedBy=multi-user.target\n";
}

namespace {

Status put_files(os::Fs& fs, const ServiceOptions& options, const ServiceTexts& texts) {
  const std::string& root = options.root;
  for (const char* file : {kProgram, kUnit, kManual, kCompletion, kVerifier}) {
    const std::string path = root + file;
    TRY(fs.make_dirs(path.substr(0, path.find_last_of('/')), 0755));
  }
  TRY(copy_program(fs, root + kProgram));
  TRY(fs.write_file_atomic(root + kUnit, service_unit(options), 0644));
  TRY(fs.write_file_atomic(root + kManual, texts.man, 0644));
  TRY(fs.write_file_atomic(root + kCompletion, texts.bash_completion, 0644));
  if (const std::string script = evidence_verifier(fs); !script.empty())
    TRY(fs.write_file_atomic(root + kVerifier, TRY(fs.read_file(script, 1 << 20)), 0755));
  return {};
}

bool systemd_runs(os::Fs& fs) { return fs.exists("/run/systemd/system"); }

// A running one goes on with the program that it was started with: it is started again, and must answer.
Status start_and_wait(const Context& context) {
  Context there = context;
  there.state = kState;
  const int before = site_pid(there.fs, there.state);
  TRY(must("/usr/bin/systemctl", {"daemon-reload"}));
  TRY(must("/usr/bin/systemctl", {"enable", "--quiet", "holdfast.service"}));
  TRY(must("/usr/bin/systemctl", {"restart", "holdfast.service"}));
  for (int waited = 0; waited < kStartTimeoutMs; waited += 200) {
    const int pid = site_pid(there.fs, there.state);
    if (pid != 0 && pid != before && status_of(there).ok()) return {};
    if (TRY(call("/usr/bin/systemctl", {"is-failed", "--quiet", "holdfast.service"})) == 0) break;
    context.clock.sleep_us(200'000);
  }
  return fail(Code::unavailable, "the service did not start: see 'journalctl -u holdfast'");
}

}  // namespace

Result<int> install_service(const Context& context, const ServiceOptions& given, const ServiceTexts& texts) {
  const ServiceOptions options = TRY(checked(given));
  os::Fs& fs = context.fs;
  const std::string& root = options.root;
  for (const std::string& file : {options.cert, options.key})
    if (root.empty() && !file.empty() && !fs.exists(file))
      return fail(Code::not_found, "--cert, --key: there is no file '" + file + "'");
  TRY(put_files(fs, options, texts));
  say("installed " + root + kProgram + " and " + root + kUnit);
  bool started = false;
  if (root.empty()) {
    if (TRY(call("/usr/bin/getent", {"passwd", "holdfast"}, false)) != 0)
      TRY(must("/usr/sbin/useradd",
               {"--system", "--user-group", "--home-dir", kState, "--shell", "/usr/sbin/nologin", "holdfast"}));
    if (systemd_runs(fs)) {
      TRY(start_and_wait(context));
      started = true;
      say("it serves; its keys: sudo holdfast env --state " + std::string(kState));
    } else {
      say("systemd does not run here: after the next boot, 'systemctl enable --now holdfast' starts it");
    }
  }
  if (context.json)
    print_json(boost::json::object{{"program", root + kProgram}, {"unit", root + kUnit}, {"started", started}});
  return kDone;
}

Result<int> uninstall_service(const Context& context, const ServiceOptions& options) {
  os::Fs& fs = context.fs;
  const bool live = options.root.empty() && systemd_runs(fs);
  if (live && fs.exists(kUnit)) TRY(must("/usr/bin/systemctl", {"disable", "--quiet", "--now", "holdfast.service"}));
  boost::json::array removed;
  for (const char* file : {kUnit, kProgram, kManual, kCompletion, kVerifier}) {
    const std::string path = options.root + file;
    if (!fs.exists(path)) continue;
    TRY(fs.remove(path));
    say("removed " + path);
    removed.emplace_back(path);
  }
  if (live) TRY(must("/usr/bin/systemctl", {"daemon-reload"}));
  say("kept: the state folder " + options.root + kState + " and the user holdfast");
  if (context.json) print_json(boost::json::object{{"removed", removed}, {"kept", options.root + kState}});
  return kDone;
}

}  // namespace hf::app
