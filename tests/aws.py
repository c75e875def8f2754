"""A small AWS client of the tests' own (Python's standard library): signs with SigV4, and shows every byte of the answer.

    from aws import Site; site = Site.from_env(); status, headers, body = site.call("bedrock", "POST", "/model/x/converse", b"{}")
"""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import struct
import urllib.parse
import zlib


class Site:
    def __init__(self, endpoint, access_key, secret, region, api_key="", account=""):
        self.endpoint, self.access_key, self.secret = endpoint, access_key, secret
        self.region, self.api_key, self.account = region, api_key, account
        url = urllib.parse.urlsplit(endpoint)
        self.host, self.port = url.hostname, url.port

    @staticmethod
    def from_env():
        e = os.environ
        return Site(e["HOLDFAST_HTTP_ENDPOINT"], e["AWS_ACCESS_KEY_ID"], e["AWS_SECRET_ACCESS_KEY"], e["AWS_REGION"],
                    e["OPENAI_API_KEY"], e["HOLDFAST_ACCOUNT"])

    def sign(self, service, method, path, query, headers, body, now=None, payload=None):
        now = now or datetime.datetime.now(datetime.timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        payload = payload or hashlib.sha256(body).hexdigest()
        headers = {k.lower(): v for k, v in headers.items()}
        headers.update({"host": f"{self.host}:{self.port}", "x-amz-date": stamp, "x-amz-content-sha256": payload})
        uri = path if service == "s3" else urllib.parse.quote(path, safe="/-_.~")
        pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
        canonical_query = "&".join(
            f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}" for k, v in pairs)
        names = sorted(headers)
        request = "\n".join([method, uri, canonical_query, *(f"{n}:{' '.join(headers[n].split())}" for n in names), "",
                             ";".join(names), payload])
        scope = f"{day}/{self.region}/{service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in (day, self.region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                                    f"SignedHeaders={';'.join(names)}, Signature={signature}")
        return headers

    def call(self, service, method, path, body=b"", query="", headers=None, timeout=60):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if isinstance(body, str):
            body = body.encode()
        headers = self.sign(service, method, path, query, headers or {}, body) if service else (headers or {})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path + ("?" + query if query else ""), body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the whole body was sent: the answer is there to be read
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    def json(self, service, method, path, body=None, **more):
        status, headers, data = self.call(service, method, path, b"" if body is None else body, **more)
        return status, (json.loads(data) if data else None)

    def sagemaker(self, operation, body):
        return self.json("sagemaker", "POST", "/", body, headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "SageMaker." + operation})

    def raw(self, data, timeout=10, shut=False):
        """Sends bytes as they are; returns what came back until the other side closed or nothing came for a second."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            out = b""
            s.settimeout(timeout)
            try:
                while chunk := s.recv(65536):
                    out += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return out


def frames(data):
    """The messages of an event stream: [(headers, payload)]; raises on a wrong checksum or a cut frame."""
    out = []
    while data:
        total, length, crc = struct.unpack(">III", data[:12])
        assert zlib.crc32(data[:8]) == crc and len(data) >= total, "broken frame"
        assert zlib.crc32(data[:total - 4]) == struct.unpack(">I", data[total - 4:total])[0]
        headers, raw = {}, data[12:12 + length]
        while raw:
            n = raw[0]
            name, kind, rest = raw[1:1 + n].decode(), raw[1 + n], raw[2 + n:]
            assert kind == 7, kind
            size = struct.unpack(">H", rest[:2])[0]
            headers[name], raw = rest[2:2 + size].decode(), rest[2 + size:]
        out.append((headers, data[12 + length:total - 4]))
        data = data[total:]
    return out
