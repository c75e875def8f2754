"""Fills the state folder's file system: a write fails cleanly, nothing acknowledged is lost, and it recovers by itself.
A training job tells of a checkpoint that has no room and goes on; where its weights have none it fails and says so; what it wrote is gone, and the next job works."""
import hashlib
import json
import os
import time

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


def train(name, **settings):
    """The ended job's description."""
    status, answer = site.sagemaker("CreateTrainingJob", {
        "TrainingJobName": name, "RoleArn": f"arn:aws:iam::{site.account}:role/any",
        "AlgorithmSpecification": {"AlgorithmName": "holdfast-decoder", "TrainingInputMode": "File"},
        "HyperParameters": {"steps": "2", "vocabulary": "300", "batch_tokens": "128", "checkpoint_every": "1",
                            **{k: str(v) for k, v in settings.items()}},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://full/data.jsonl"}}}],
        "OutputDataConfig": {"S3OutputPath": "s3://full/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600}})
    assert status == 200, (status, answer)
    for _ in range(1200):
        status, job = site.sagemaker("DescribeTrainingJob", {"TrainingJobName": name})
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def free():
    at = os.statvfs(os.environ["HOLDFAST_STATE"])
    return at.f_bavail * at.f_frsize


lines = "".join(json.dumps({"prompt": f"ticket {i}", "completion": "billing"}) + "\n" for i in range(50))
assert site.call("s3", "PUT", "/full/data.jsonl", lines)[0] == 200
before = free()
job = train("large", layers=16, width=512)   # weights of over 128 MiB, and so are the checkpoints
assert job["TrainingJobStatus"] == "Failed" and "space" in job["FailureReason"], job
messages = [t["StatusMessage"] for t in job["SecondaryStatusTransitions"]]
assert any("the checkpoint of step" in m and "could not be written" in m and "space" in m for m in messages), messages
assert free() > before - (8 << 20), (free(), before)
for i, digest in stored.items():
    status, _, body = site.call("s3", "GET", f"/full/{i}")
    assert status == 200 and hashlib.sha256(body).hexdigest() == digest, (i, status)
print("weights without room:", job["FailureReason"])
job = train("small", layers=1, width=64)
assert job["TrainingJobStatus"] == "Completed", job
print(f"{len(stored)} objects kept, refused with {refused[0]}, deletes worked, recovered without a restart")
