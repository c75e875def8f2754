#!/usr/bin/env python3
"""Makes tests/sigv4_vectors.json: requests signed by a signer that shares no code with the program's.

Written from the text of the AWS General Reference alone. The cases are of our own making and the output is the same
on each run; the file is committed, so the tests need no Python. Run it again after a change:  tests/sigv4_vectors.py
"""
import hashlib
import hmac
import json
import pathlib
import random
import urllib.parse

SECRET, KEY, WHEN = "oF/5ecret+Of-Our/OwnMaking0123456789abcd", "AKIAOWNVECTOR0000001", "20261122T074925Z"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def encode(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


def signing_key(region, service):
    key = b"AWS4" + SECRET.encode()
    for part in (WHEN[:8], region, service, "aws4_request"):
        key = mac(key, part).digest()
    return key


def signature(case, names, payload, query):
    service, region = case["service"], case["region"]
    path = case["path"] if service == "s3" else encode(case["path"], "-_.~/")
    pairs = sorted((encode(urllib.parse.unquote_to_bytes(k)), encode(urllib.parse.unquote_to_bytes(v)))
                   for k, _, v in (p.partition("=") for p in query.split("&") if p))
    lines = []
    for name in names:
        if name in ("host", ":authority"):
            values = [case["authority"]]
        else:
            values = [v for k, v in case["headers"] if k == name]
        lines.append(name + ":" + ",".join(" ".join(v.split()) for v in values) + "\n")
    canonical = "\n".join([case["method"], path, "&".join(k + "=" + v for k, v in pairs), "".join(lines),
                           ";".join(names), payload])
    scope = "/".join((WHEN[:8], region, service, "aws4_request"))
    to_sign = "\n".join(["AWS4-HMAC-SHA256", WHEN, scope, sha(canonical.encode())])
    return mac(signing_key(region, service), to_sign).hexdigest(), scope


def header_case(name, method="GET", path="/", query="", service="bedrock", region="site-1", headers=(), body=b"",
                authority="factory.example:8443", authority_name="host", payload=None, unsigned=(), separator=", "):
    case = dict(name=name, method=method, path=path, query=query, service=service, region=region, now=WHEN,
                authority=authority, headers=[list(h) for h in headers] + [["x-amz-date", WHEN]])
    if payload:
        case["headers"].append(["x-amz-content-sha256", payload])
    names = sorted({k for k, _ in case["headers"]} - set(unsigned) | {authority_name})
    sig, scope = signature(case, names, payload or sha(body), query)
    case["headers"].append(["authorization", "AWS4-HMAC-SHA256 " + separator.join(
        [f"Credential={KEY}/{scope}", "SignedHeaders=" + ";".join(names), f"Signature={sig}"])])
    case["body"] = body.hex()
    return case, sig, scope


def query_case(name, method="GET", path="/bucket/key", query="", service="s3", region="site-1", headers=(),
               expires=900, token=None):
    case = dict(name=name, method=method, path=path, service=service, region=region, now=WHEN,
                authority="factory.example", headers=[list(h) for h in headers], body="")
    names = sorted({k for k, _ in case["headers"]} | {"host"})
    scope = "/".join((WHEN[:8], region, service, "aws4_request"))
    extra = [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", KEY + "/" + scope), ("X-Amz-Date", WHEN),
             ("X-Amz-Expires", str(expires)), ("X-Amz-SignedHeaders", ";".join(names))]
    if token:
        extra.append(("X-Amz-Security-Token", token))
    query = "&".join([query] * bool(query) + [k + "=" + encode(v) for k, v in extra])
    sig, _ = signature(case, names, "UNSIGNED-PAYLOAD" if service == "s3" else sha(b""), query)
    case["query"] = query + "&X-Amz-Signature=" + sig
    return case


def streaming_case(name, chunks, trailers, trailer_line_end="\r\n"):
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailers else "")
    decoded = b"".join(chunks)
    headers = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", str(len(decoded)))]
    if trailers:
        headers.append(("x-amz-trailer", ",".join(k for k, _ in trailers)))
    case, previous, scope = header_case(name, "PUT", "/bucket/streamed", service="s3", headers=headers, payload=mode)
    key, raw = signing_key("site-1", "s3"), b""
    for chunk in [*chunks, b""]:
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", WHEN, scope, previous, sha(b""), sha(chunk)])
        previous = mac(key, text).hexdigest()
        raw += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers:
        lines = "".join(f"{k}:{v}\n" for k, v in trailers)
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", WHEN, scope, previous, sha(lines.encode())])
        raw += "".join(f"{k}:{v}{trailer_line_end}" for k, v in trailers).encode()
        raw += f"x-amz-trailer-signature:{mac(key, text).hexdigest()}\r\n".encode()
    raw += b"\r\n"
    case.update(raw=raw.hex(), decoded=decoded.hex(), trailers=[list(t) for t in trailers])
    return case


def cases():
    rng = random.Random(20261122)
    some = bytes(rng.randrange(256) for _ in range(3000))
    json_type = ("content-type", "application/json")
    plain = [
        header_case("get, nothing but host"),
        header_case("hash of the body, no header", "POST", "/model/m/converse", headers=[json_type], body=b'{"a":1}'),
        header_case("hash header", "POST", "/model/m/converse", headers=[json_type], body=b"{}", payload=sha(b"{}")),
        header_case("authority signed", "POST", "/model/m/invoke", headers=[json_type], authority_name=":authority"),
        header_case("path encoded twice", path="/model/arn%3Aaws%3Abedrock%3Asite-1%3A000000000001%3Amodel%2Fx/invoke"),
        header_case("colon in the path", path="/model/family.name-v1:0/invoke"),
        header_case("utf-8 in the path", path="/model/%C3%A9t%C3%A9/invoke"),
        header_case("s3 path as sent", path="/bucket/a%20b/%2B/%C3%A9//c/../d", service="s3"),
        header_case("query without value", path="/bucket", query="uploads", service="s3"),
        header_case("query with empty value", path="/bucket", query="uploads=&x-id=A", service="s3"),
        header_case("query sorted by value too", path="/b", query="b=2&a=%7E&a=+&B=1&a=1&%C3%A9=z", service="s3"),
        header_case("header repeated, with blanks", headers=[("x-amz-meta-a", "  two   words "), ("x-amz-meta-a", "b")]),
        header_case("empty header value", headers=[("x-amz-meta-empty", "")]),
        header_case("no blanks after the commas", separator=",", service="s3"),
        header_case("session token", headers=[("x-amz-security-token", "a/b+c==")]),
        header_case("unsigned payload", "PUT", "/b/k", service="s3", payload="UNSIGNED-PAYLOAD"),
        header_case("content-md5", "PUT", "/b/k", service="s3", headers=[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")]),
        header_case("user agent unsigned", headers=[("user-agent", "x/1"), ("expect", "100-continue")],
                    unsigned=("user-agent", "expect")),
        header_case("form of the query protocol", "POST", service="sts", headers=[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body=b"Action=GetCallerIdentity&Version=2011-06-15"),
    ]
    return {
        "secret": SECRET,
        "access_key_id": KEY,
        "header": [case for case, _, _ in plain],
        "query": [
            query_case("get an object"),
            query_case("with parameters", query="x-id=GetObject&response-content-type=text%2Fplain&versionId"),
            query_case("with a signed header", method="PUT", headers=[("x-amz-meta-a", "b")]),
            query_case("another service", path="/model/a%3Ab/invoke", service="bedrock"),
            query_case("token, seven days", expires=604800, token="a/b+c=="),
        ],
        "streaming": [
            streaming_case("one chunk", [b"hello"], []),
            streaming_case("empty", [], []),
            streaming_case("three chunks", [some[:1024], some[1024:2048], some[2048:]], []),
            streaming_case("trailer", [some[:100], b"x"], [("x-amz-checksum-crc32c", "sOO8/Q==")]),
            streaming_case("two trailers", [b"abc"], [("x-amz-checksum-crc32", "NSRBwg=="), ("x-amz-meta-b", "1 2")]),
            streaming_case("a trailer that ends with LF CRLF", [b"abc"], [("x-amz-checksum-crc32", "NSRBwg==")], "\n\r\n"),
        ],
    }


if __name__ == "__main__":
    target = pathlib.Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(cases(), indent=1) + "\n")
    print(target)
