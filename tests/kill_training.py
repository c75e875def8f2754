"""kill -9 of a training's worker, three times, and of the whole site, while the job trains: it goes on from its last
checkpoint, and its weights are the bytes of a run that nothing broke off."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

from aws import Site

holdfast, state = sys.argv[1], os.environ["HOLDFAST_STATE"]
STEPS, EVERY = 120, 10


def site():
    """From the environment that the running site prints: its port may be another after a restart."""
    env = json.loads(subprocess.run([holdfast, "env", "--state", state, "--json"], capture_output=True, check=True).stdout)
    os.environ.update({k: str(v) for k, v in env.items()})
    return Site.from_env()


def pids():
    """The site's, and those of its workers."""
    serving = s.json("holdfast", "GET", "/holdfast/v1/status")[1]["worker_pid"]
    parent = int(open(f"/proc/{serving}/stat").read().rsplit(")", 1)[1].split()[1])
    children = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1]) == parent:
                children.append(int(entry))
        except OSError:
            pass
    keeper = lambda p: open(f"/proc/{p}/comm").read().strip() == "hf-doorkeeper"
    return parent, [p for p in children if p != serving and not keeper(p)]


def create(name, **settings):
    status, answer = s.sagemaker("CreateTrainingJob", {
        "TrainingJobName": name, "RoleArn": f"arn:aws:iam::{s.account}:role/any",
        "AlgorithmSpecification": {"AlgorithmName": "holdfast-decoder", "TrainingInputMode": "File"},
        "HyperParameters": {"steps": str(STEPS), "vocabulary": "400", "batch_tokens": "2048", "layers": "2", "seed": "7",
                            **settings},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://train/data.jsonl"}}}],
        "OutputDataConfig": {"S3OutputPath": "s3://train/out", "CompressionType": "NONE"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600}})
    assert status == 200, (status, answer)


def describe(name):
    return s.sagemaker("DescribeTrainingJob", {"TrainingJobName": name})[1]


def wait_for_step(name, step):
    """Until the job has got to the step; False: it was over before."""
    for _ in range(3000):
        at = s.json("holdfast", "GET", f"/holdfast/v1/training-jobs/{name}/progress")[1]
        if at.get("phase") == "training" and at.get("step", 0) >= step:
            return True
        if describe(name)["TrainingJobStatus"] != "InProgress":
            return False
        time.sleep(0.02)
    raise AssertionError(at)


def weights(name):
    """The digest of the ended job's weights."""
    for _ in range(3000):
        job = describe(name)
        if job["TrainingJobStatus"] != "InProgress":
            break
        time.sleep(0.05)
    assert job["TrainingJobStatus"] == "Completed", job
    status, _, data = s.call("s3", "GET", f"/train/out/{name}/output/model/model.safetensors")
    assert status == 200, status
    return hashlib.sha256(data).hexdigest(), job


s = site()
assert s.call("s3", "PUT", "/train")[0] == 200
lines = "".join(json.dumps({"prompt": f"ticket {i}: the {'red' if i % 3 else 'blue'} door {i * 7} is stuck",
                            "completion": f"door {i % 3}"}) + "\n" for i in range(2000))
assert s.call("s3", "PUT", "/train/data.jsonl", lines)[0] == 200
create("whole")
want, _ = weights("whole")

create("interrupted", checkpoint_every=str(EVERY))
killed = 0
for step in (15, 45, 75):
    assert wait_for_step("interrupted", step), f"the job was over before step {step}: make it longer"
    for pid in pids()[1]:
        os.kill(pid, signal.SIGKILL)
        killed += 1
found, job = weights("interrupted")
states = [t["Status"] for t in job["SecondaryStatusTransitions"]]
assert killed == 3 and states.count("Restarting") == 3, (killed, job["SecondaryStatusTransitions"])
assert any("goes on from the checkpoint of step" in t["StatusMessage"] for t in job["SecondaryStatusTransitions"]), job
assert found == want, "other weights than those of the run that nothing broke off"

create("cut", checkpoint_every=str(EVERY))
assert wait_for_step("cut", 35)
parent, workers = pids()
os.kill(parent, signal.SIGKILL)
for pid in workers:  # they end with the site
    for _ in range(500):
        if not os.path.exists(f"/proc/{pid}"):
            break
        time.sleep(0.02)
    else:
        raise AssertionError(f"worker {pid} outlived its site")
subprocess.run([holdfast, "up", "--state", state], check=True, capture_output=True)
s = site()
found, job = weights("cut")
assert "Pending" in [t["Status"] for t in job["SecondaryStatusTransitions"]], job["SecondaryStatusTransitions"]
assert any("goes on from the checkpoint of step" in t["StatusMessage"] for t in job["SecondaryStatusTransitions"]), job
assert found == want, "after a restart of the site: other weights"
# They are removed once the end is on record, so a moment after it is seen.
for _ in range(250):
    left = [n for n in os.listdir(f"{state}/scratch") if "checkpoint" in n]
    if not left:
        break
    time.sleep(0.02)
assert left == [], left
print(f"{killed} workers and the site killed in {STEPS} steps with a checkpoint each {EVERY}: the weights are bit-equal")
