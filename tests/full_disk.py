"""Fills the state folder's file system: a write fails cleanly, nothing acknowledged is lost, and it recovers by itself."""
import hashlib
import os

from aws import Site

site = Site.from_env()
assert site.call("s3", "PUT", "/full")[0] == 200
stored = {}
refused = None
for i in range(200):
    data = os.urandom(1 << 20)
    status, _, body = site.call("s3", "PUT", f"/full/{i}", data)
    if status == 200:
        stored[i] = hashlib.sha256(data).hexdigest()
    else:
        refused = (status, body)
        break
assert refused and refused[0] in (503, 507), refused
for i, digest in stored.items():
    status, _, body = site.call("s3", "GET", f"/full/{i}")
    assert status == 200 and hashlib.sha256(body).hexdigest() == digest, (i, status)
victims = list(stored)[: len(stored) // 2]
for i in victims:
    status, _, body = site.call("s3", "DELETE", f"/full/{i}")
    assert status == 204, (i, status, body)
    del stored[i]
data = os.urandom(1 << 20)
status, _, body = site.call("s3", "PUT", "/full/after", data)
assert status == 200, (status, body)
assert site.call("s3", "GET", "/full/after")[2] == data
print(f"{len(stored)} objects kept, refused with {refused[0]}, deletes worked, recovered without a restart")
