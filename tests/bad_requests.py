"""Requests that are wrong in one way each. Every one gets a 4xx with a message that names the fault; none ends the site."""
import json
import sys
import threading

from aws import Site

site, model = Site.from_env(), sys.argv[1]
converse = f"/model/{model}/converse"
good = {"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 4}}
count = 0


def expect(name, status, text, got):
    global count
    count += 1
    code, headers, body = got
    body += headers.get("x-amzn-errortype", "").encode()   # where rest-json names its errors
    allowed = status if isinstance(status, tuple) else (status,)
    if code not in allowed or text.lower() not in body.decode("utf-8", "replace").lower():
        print(f"FAILED: {name}: expected {status} with '{text}', found {code}: {body[:300]!r}")
        sys.exit(1)


def bedrock(body, path=converse, **more):
    return site.call("bedrock", "POST", path, body, headers={"content-type": "application/json"}, **more)


expect("good", 200, "output", bedrock(good))
expect("not JSON", 400, "json", bedrock(b"hello"))
expect("empty body", 400, "messages", bedrock(b"{}"))
expect("trailing junk", 400, "json", bedrock(json.dumps(good).encode() + b" x"))
expect("100,000 deep", 400, "deep", bedrock(b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))
expect("not UTF-8", 400, "", bedrock(b'{"messages":[{"role":"user","content":[{"text":"\xff"}]}]}'))
expect("unknown model", 404, "no-such-model", bedrock(good, "/model/no-such-model/converse"))
expect("unknown member", 400, "frobnicate", bedrock({**good, "frobnicate": 1}))
expect("image block", 400, "image", bedrock({"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "AA=="}}}]}]}))
expect("tools", 400, "toolConfig", bedrock({**good, "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]}}))
expect("wrong role", 400, "role", bedrock({"messages": [{"role": "robot", "content": [{"text": "x"}]}]}))
expect("no messages", 400, "messages", bedrock({"messages": []}))
for field, values in {
    "maxTokens": [0, -1, 2**31, 1.5, "4", 1e308, None],
    "temperature": [-0.1, 1e308, "hot", [], 2.5],
    "topP": [-1, 1.5, "x", 1e308],
    "stopSequences": ["x", [1], ["a"] * 10_000, ["y" * 100_000]],
}.items():
    for value in values:
        if value is None:
            continue
        expect(f"{field}={str(value)[:20]}", 400, field, bedrock({**good, "inferenceConfig": {field: value}}))
expect("prompt over the context", 400, "", bedrock({"messages": [{"role": "user", "content": [{"text": "word " * 50_000}]}]}))
expect("body over the limit", (413, 400), "", bedrock(b" " * (30 << 20)))

# OpenAI's own form of errors.
bearer = {"authorization": f"Bearer {site.api_key}", "content-type": "application/json"}
chat = {"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}


def openai(body, headers=bearer):
    return site.call("", "POST", "/v1/chat/completions", body, headers=headers)


expect("openai good", 200, "choices", openai(chat))
expect("openai bad key", 401, "invalid_api_key", openai(chat, {**bearer, "authorization": "Bearer hf-wrong"}))
expect("openai no key", 401, "error", openai(chat, {"content-type": "application/json"}))
expect("openai unknown model", 404, "model", openai({**chat, "model": "nope"}))
for field, value in {"temperature": 9, "top_p": 3, "max_tokens": -1, "n": 5, "stream": "yes", "messages": {}, "seed": "x",
                     "tools": [{"type": "function", "function": {"name": "f"}}], "unknown_field": 1}.items():
    expect(f"openai {field}", 400, field, openai({**chat, field: value}))

# SageMaker, S3.
for body, text in [({}, "TrainingJobName"), ({"TrainingJobName": "bad name!"}, "TrainingJobName"),
                   ({"TrainingJobName": 5}, "TrainingJobName")]:
    status, answer = site.sagemaker("CreateTrainingJob", body)
    expect("CreateTrainingJob", 400, text, (status, {}, json.dumps(answer).encode()))
status, answer = site.sagemaker("DescribeTrainingJob", {"TrainingJobName": "absent"})
expect("DescribeTrainingJob", 400, "ValidationException", (status, {}, json.dumps(answer).encode()))
status, answer = site.sagemaker("NoSuchOperation", {})
expect("unknown operation", (400, 404, 501), "", (status, {}, json.dumps(answer).encode()))
expect("bucket name", 400, "InvalidBucketName", site.call("s3", "PUT", "/No_Such!"))
expect("no such bucket", 404, "NoSuchBucket", site.call("s3", "GET", "/absent-bucket"))
expect("no such key", (404,), "NoSuch", site.call("s3", "GET", "/absent-bucket/key"))
expect("ACL", (400, 501), "", site.call("s3", "PUT", "/some-bucket", headers={"x-amz-acl": "public-read-write"}))
expect("a wrong MD5", 400, "", (lambda: (site.call("s3", "PUT", "/md5-bucket"), site.call(
    "s3", "PUT", "/md5-bucket/k", b"abc", headers={"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}))[1])())
expect("a wrong checksum", 400, "", site.call("s3", "PUT", "/md5-bucket/k", b"abc", headers={"x-amz-checksum-crc32": "AAAAAA=="}))
expect("neither was stored", 404, "NoSuchKey", site.call("s3", "GET", "/md5-bucket/k"))

# Authentication: nothing, wrong secret, wrong clock.
expect("anonymous", 403, "", site.call("", "POST", converse, good))
wrong = Site(site.endpoint, site.access_key, "wrong", site.region)
expect("wrong secret", 403, "InvalidSignature", wrong.call("bedrock", "POST", converse, good))
expect("wrong secret, S3", 403, "SignatureDoesNotMatch", wrong.call("s3", "GET", "/"))
unknown = Site(site.endpoint, "AKIAXXXXXXXXXXXXXXXX", "x", site.region)
expect("unknown key", 403, "", unknown.call("bedrock", "POST", converse, good))

# Broken framing over the wire, and clients that go away.
head = f"POST {converse} HTTP/1.1\r\nhost: {site.host}:{site.port}\r\n"
for data in [b"GET\r\n\r\n", b"\x00\x01\x02", b"GET / HTTP/9.9\r\n\r\n", head.encode() + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
             head.encode() + b"content-length: -1\r\n\r\n", head.encode() + b"content-length: 99999\r\n\r\n{", b"A" * 200_000,
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64, b"\x16\x03\x01\x00\x05hello"]:
    count += 1
    site.raw(data, timeout=2, shut=True)


def cut():
    try:
        site.call("bedrock", "POST", f"/model/{model}/converse-stream", {**good, "inferenceConfig": {"maxTokens": 200}}, timeout=0.02)
    except OSError:
        pass


threads = [threading.Thread(target=cut) for _ in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
count += 16
expect("good after all that", 200, "output", bedrock(good))
print(f"{count} requests, all refused or served as they should be")
