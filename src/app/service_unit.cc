#include "app/service_unit.h"

#include <boost/json.hpp>

#include "app/settings.h"
#include "os/process.h"

namespace hf::app {
namespace {

constexpr const char* kState = "/var/lib/holdfast";

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
Result<int> call(const std::string& program, std::vector<std::string> arguments) {
  os::Spawn spec;
  spec.program = program;
  spec.arguments = std::move(arguments);
  spec.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  spec.descriptors = {{2, 1}, {2, 2}};
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

std::string service_unit(const ServiceOptions& options) {
  std::string command = "/usr/local/bin/holdfast up --foreground --state " + std::string(kState);
  if (!options.listen.empty()) command += " --listen " + quoted(options.listen);
  if (!options.host.empty()) command += " --host " + quoted(options.host);
  return "[Unit]\n"
         "Description=Holdfast, an AI factory\n"
         "Documentation=man:holdfast(1)\n"
         "After=network.target\n\n"
         "[Service]\n"
         "ExecStart=" +
         command +
         "\n"
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
         "ProtectClock=yes\n"
         "ProtectHostname=yes\n"
         "ProtectKernelTunables=yes\n"
         "ProtectKernelModules=yes\n"
         "ProtectKernelLogs=yes\n"
         "ProtectControlGroups=yes\n"
         "ProtectProc=invisible\n"
         "LockPersonality=yes\n"
         "RestrictRealtime=yes\n"
         "RestrictSUIDSGID=yes\n"
         "RemoveIPC=yes\n"
         // netlink is what a new network namespace's loopback is brought up with; the workers need the namespaces.
         "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
         "RestrictNamespaces=user net pid ipc uts mnt\n"
         "SystemCallArchitectures=native\n"
         "SystemCallFilter=@system-service @mount @sandbox\n"
         "SystemCallErrorNumber=EPERM\n\n"
         "[Install]\n"
         "WantedBy=multi-user.target\n";
}

Result<int> install_service(const Context& context, const ServiceOptions& options) {
  if (!options.listen.empty()) {
    auto address = parse_address(options.listen);
    if (!address.ok()) return fail(Code::invalid, "--listen: " + address.error().message);
    if (options.host.empty()) return fail(Code::invalid, "--listen needs --host NAME");
  }
  os::Fs& fs = context.fs;
  const std::string root = options.root;
  TRY(fs.make_dirs(root + "/usr/local/bin", 0755));
  TRY(fs.make_dirs(root + "/etc/systemd/system", 0755));
  TRY(copy_program(fs, root + "/usr/local/bin/holdfast"));
  TRY(fs.write_file_atomic(root + "/etc/systemd/system/holdfast.service", service_unit(options), 0644));
  say("installed " + root + "/usr/local/bin/holdfast and " + root + "/etc/systemd/system/holdfast.service");
  bool started = false;
  if (root.empty()) {
    if (TRY(call("/usr/bin/id", {"-u", "holdfast"})) != 0)
      TRY(must("/usr/sbin/useradd", {"--system", "--home-dir", kState, "--shell", "/usr/sbin/nologin", "holdfast"}));
    if (fs.exists("/run/systemd/system")) {
      TRY(must("/usr/bin/systemctl", {"daemon-reload"}));
      TRY(must("/usr/bin/systemctl", {"enable", "--now", "holdfast.service"}));
      started = true;
    } else {
      say("systemd does not run here: the unit starts at the next boot of a system where it does");
    }
  }
  if (context.json)
    print_json(boost::json::object{{"program", root + "/usr/local/bin/holdfast"},
                                   {"unit", root + "/etc/systemd/system/holdfast.service"},
                                   {"started", started}});
  return kDone;
}

}  // namespace hf::app
