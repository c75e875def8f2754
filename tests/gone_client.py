"""Clients that ask for whole answers (not streamed) and go away: by FIN, by RST, by RST_STREAM of HTTP/2. Their answers
are cancelled, what was computed is in the ledger and counted, to the token, and the site goes on."""
import json
import socket
import struct
import sys
import time

from aws import Site

site, model = Site.from_env(), sys.argv[1]
CLIENTS = 24
targets = [("bedrock", f"/model/{model}/converse",
            {"messages": [{"role": "user", "content": [{"text": "hello"}]}],
             "inferenceConfig": {"maxTokens": 400, "temperature": 1.0}}),
           ("bedrock", f"/model/{model}/invoke", {"prompt": "hello", "max_gen_len": 400, "temperature": 1.0}),
           ("", "/v1/chat/completions",
            {"model": model, "max_tokens": 400, "temperature": 1.0, "messages": [{"role": "user", "content": "hello"}]})]


def status():
    return site.json("holdfast", "GET", "/holdfast/v1/status")[1]


def entries(start):
    lines = []
    while True:
        page = site.json("holdfast", "GET", "/holdfast/v1/ledger/entries", query=f"from={start + len(lines)}&limit=100")[1]["lines"]
        lines += page
        if len(page) < 100:
            return [json.loads(line) for line in lines]


def signed(number):
    service, path, body = targets[number % len(targets)]
    data = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    if service:
        return path, site.sign(service, "POST", path, "", headers, data), data
    return path, {**headers, "authorization": f"Bearer {site.api_key}"}, data


def h1(number):
    path, headers, data = signed(number)
    headers = {"host": f"{site.host}:{site.port}", **headers, "content-length": str(len(data))}
    s = socket.create_connection((site.host, site.port), timeout=30)
    s.sendall(f"POST {path} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n" + data)
    return s


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):   # HPACK, never indexed, no Huffman
    def text(t):
        size = len(t) if len(t) < 127 else None
        if size is None:
            rest, more = len(t) - 127, b""
            while rest >= 128:
                more, rest = more + bytes([rest % 128 + 128]), rest // 128
            return b"\x7f" + more + bytes([rest]) + t
        return bytes([size]) + t
    return b"\x10" + text(name.encode()) + text(value.encode())


def h2(streams):
    """One connection with requests on its first streams."""
    s = socket.create_connection((site.host, site.port), timeout=30)
    out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    for i in range(streams):
        path, headers, data = signed(i)
        headers.pop("host", None)
        block = b"".join(literal(k, v) for k, v in [(":method", "POST"), (":scheme", "http"), (":authority", f"{site.host}:{site.port}"),
                                                    (":path", path), *headers.items()])
        out += frame(1, 4, 2 * i + 1, block) + frame(0, 1, 2 * i + 1, data)
    s.sendall(out)
    return s


def fin(sockets):
    for s in sockets:
        s.close()


def rst(sockets):
    for s in sockets:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()


def rst_stream(sockets):
    s = sockets[0]
    s.sendall(b"".join(frame(3, 0, 2 * i + 1, struct.pack(">I", 8)) for i in range(CLIENTS)) + frame(6, 0, 0, b"12345678"))
    seen = b""
    while frame(6, 1, 0, b"12345678") not in seen:   # the connection goes on
        seen += s.recv(65536)
    s.close()


for name, begin, leave in [("FIN", lambda: [h1(i) for i in range(CLIENTS)], fin), ("RST", lambda: [h1(i) for i in range(CLIENTS)], rst),
                           ("RST_STREAM", lambda: [h2(CLIENTS)], rst_stream)]:
    for attempt in range(20):   # the machine may be so quick that an attempt is over before they leave
        before = status()["engine"]
        size = site.json("holdfast", "GET", "/holdfast/v1/ledger/entries", query="from=0&limit=1")[1]["size"]
        sockets = begin()
        for _ in range(2000):
            if (now := status()["engine"])["running"] > 0 or now["requests"] > before["requests"]:
                break
            time.sleep(0.001)
        leave(sockets)
        for _ in range(3000):   # their handlers may still be writing it down
            now = status()["engine"]
            ends = [json.loads(e["detail"]) if isinstance(e["detail"], str) else e["detail"] for e in entries(size)
                    if "stop_reason" in str(e.get("detail", ""))]
            computed = now["output_tokens"] - before["output_tokens"]
            recorded = sum(e["output_tokens"] for e in ends)
            if now["running"] + now["queued"] == 0 and computed == recorded and len(ends) == now["requests"] - before["requests"]:
                break
            time.sleep(0.01)
        else:
            sys.exit(f"{name}: the site still works for clients that are gone, or did not count it: {now}, "
                     f"{computed} tokens made, {recorded} in the ledger")
        cancelled = sum(e["stop_reason"] == "cancelled" for e in ends)
        if cancelled:
            break
    else:
        sys.exit(f"{name}: no answer was cancelled")
    print(f"{name}: {CLIENTS} clients left, {len(ends)} had begun, {cancelled} were cancelled, {computed} tokens computed and counted")
code, _, data = site.call("bedrock", "POST", targets[0][1], {**targets[0][2], "inferenceConfig": {"maxTokens": 4}})
assert code == 200, data
