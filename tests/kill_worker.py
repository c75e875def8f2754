"""kill -9 of the serving worker: before a stream's first frame, and in its middle (after some words have come). A clean
error (an error frame where words had come), and the next request works."""
import http.client
import json
import os
import signal
import struct
import sys
import threading
import time

from aws import Site, frames

EARLY, MIDDLE, TRIES = 5, 5, 60
site, model = Site.from_env(), sys.argv[1]
body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 400, "temperature": 1.0}}


def worker():
    return site.json("holdfast", "GET", "/holdfast/v1/status")[1]["worker_pid"]


class Stream:
    """A ConverseStream that is read frame by frame, so that the worker can be killed between two."""

    def __init__(self):
        path, data = f"/model/{model}/converse-stream", json.dumps(body).encode()
        self.connection = http.client.HTTPConnection(site.host, site.port, timeout=60)
        self.connection.request("POST", path, body=data, headers=site.sign("bedrock", "POST", path, "", {}, data))
        self.answer, self.data = self.connection.getresponse(), b""

    def frame(self):
        """Reads one frame on; False at the end. http.client raises where a chunked body ends without its last chunk."""
        head = self.answer.read(4)
        if not head:
            return False
        self.data += head + self.answer.read(struct.unpack(">I", head)[0] - 4)
        return True

    def rest(self):
        while self.frame():
            pass
        self.connection.close()
        return frames(self.data)   # raises unless every frame is whole and its checksums are right


def cut(messages):
    """True: ended by an error frame. False: it was whole. A stream that just ends is neither."""
    last = messages[-1][0]
    if last[":message-type"] in ("exception", "error"):
        return True
    assert any(h.get(":event-type") == "messageStop" for h, _ in messages), "a stream that ends without an end"
    return False


def comes_back():
    """A new worker starts and loads the model again; until then the refusals say that one may try again."""
    for _ in range(300):
        status, _, data = site.call("bedrock", "POST", f"/model/{model}/converse", {**body, "inferenceConfig": {"maxTokens": 4}})
        if status == 200:
            return
        assert status in (424, 429, 503), (status, data)
        time.sleep(0.1)
    raise AssertionError(f"no answer after a kill: {status} {data}")


def early(attempt):
    pid = worker()
    killer = threading.Timer(0.002 * attempt, lambda: os.kill(pid, signal.SIGKILL))
    killer.start()
    stream = Stream()
    if stream.answer.status == 200:
        cut(stream.rest())
    else:
        data = stream.answer.read()
        assert stream.answer.status in (424, 429, 500, 503) and b"message" in data, (stream.answer.status, data)
    killer.join()
    comes_back()


def middle(words):
    """Whether the kill, after `words` frames, fell into the stream: the model may have been quicker."""
    pid, stream = worker(), Stream()
    assert stream.answer.status == 200, (stream.answer.status, stream.answer.read())
    for _ in range(words):
        if not stream.frame():   # an answer of fewer words than that: then it was whole
            assert not cut(stream.rest()), "an error frame where nothing was killed"
            return False
    os.kill(pid, signal.SIGKILL)
    messages = stream.rest()
    comes_back()
    assert [h.get(":event-type") for h, _ in messages[:words]].count("contentBlockDelta") >= words - 2, messages[:words]
    return cut(messages)


for attempt in range(EARLY):
    early(attempt)
hits = tries = 0
while hits < MIDDLE and tries < TRIES:
    hits += middle(3 + tries % 7)
    tries += 1
assert hits == MIDDLE, f"{hits} of {tries} kills fell into a stream; expected {MIDDLE}"
print(f"{EARLY} kills before or about the first frame, {tries} after some words, {hits} of them in the middle of a stream: "
      "each got whole frames, an error frame where it was cut, and the next request worked")
