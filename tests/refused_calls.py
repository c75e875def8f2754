"""A worker tries its ways out; each system call that seccomp refuses it is a denial in the site's ledger, with what it
asked for."""
import json
import sys

from aws import Site

site = Site.from_env()


def get(path, query=""):
    status, answer = site.json("holdfast", "GET", "/holdfast/v1" + path, query=query)
    assert status == 200, answer
    return answer


head = get("/ledger/head")
before = head.get("head", head)["size"]
status, report = site.json("holdfast", "POST", "/holdfast/v1/probe")
assert status == 200, report
if "the site records each other one" not in report["isolation"]:
    print("SKIPPED: this kernel gives no listener for refused calls: " + report["isolation"])
    sys.exit(0)
entries = [json.loads(e) if isinstance(e, str) else e
           for e in get("/ledger/entries", f"from={before}&limit=1000")["lines"]]
denied = [e for e in entries if e["decision"] == "deny" and e["principal"].endswith("/worker")]
found = [(e["action"], e["detail"]["call"], e["detail"].get("what", "")) for e in denied]
network = [("socket", "AF_INET SOCK_DGRAM"), ("socket", "AF_INET SOCK_STREAM"), ("socket", "AF_INET6 SOCK_STREAM"),
           ("socket", "AF_INET SOCK_RAW protocol 1"), ("socket", "AF_PACKET"), ("socket", "AF_NETLINK"),
           ("socket", "AF_VSOCK"), ("socket", "AF_UNIX")]
others = ["clone", "execve", "ptrace", "process_vm_readv", "kill", "unshare", "io_uring_setup", "bpf",
          "perf_event_open", "userfaultfd", "keyctl", "memfd_create"]
missing = [n for n in network if not any(a == "egress:Refused" and c == n[0] and w.startswith(n[1]) for a, c, w in found)]
missing += [n for n in others if not any(a == "sandbox:Refused" and c == n for a, c, _ in found)]
assert not missing, f"tried, but not in the ledger: {missing}; found {found}"
assert report["all_refused"], [a for a in report["attempts"] if not a["refused"]]
print(f"{len(report['attempts'])} ways tried, {len(denied)} refused calls in the ledger")
