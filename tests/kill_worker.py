"""kill -9 of the serving worker in the middle of a stream: a clean error frame (or error), then the next request works."""
import json
import os
import signal
import sys
import threading
import time

from aws import Site, frames

site, model = Site.from_env(), sys.argv[1]
body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 400, "temperature": 1.0}}
cut = whole = 0
for attempt in range(10):
    status, answer = site.json("holdfast", "GET", "/holdfast/v1/status")
    pid = answer["worker_pid"]
    killer = threading.Timer(0.002 * attempt, lambda: os.kill(pid, signal.SIGKILL))
    killer.start()
    status, headers, data = site.call("bedrock", "POST", f"/model/{model}/converse-stream", body)
    killer.join()
    if status == 200:
        messages = frames(data)   # raises unless every frame is whole
        last = messages[-1][0]
        if last[":message-type"] in ("exception", "error"):
            cut += 1
        else:
            assert any(h.get(":event-type") == "messageStop" for h, _ in messages), "a stream that ends without an end"
            whole += 1
    else:
        assert status in (424, 429, 500, 503), (status, data)
        assert b"message" in data, data
        cut += 1
    for _ in range(100):   # a new worker starts and loads the model again
        status, _, data = site.call("bedrock", "POST", f"/model/{model}/converse", {**body, "inferenceConfig": {"maxTokens": 4}})
        if status == 200:
            break
        assert status in (429, 503, 424), (status, data)
        time.sleep(0.1)
    assert status == 200, (status, data)
assert cut > 0, "no kill fell into a stream"
print(f"10 kills: {cut} streams got an error, {whole} were whole; the next request worked each time")
