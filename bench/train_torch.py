#!/usr/bin/python3
"""The model of train_speed in PyTorch: same shape, starting weights, batches and optimiser, float32.

    train_torch.py DIR    (DIR as train_speed wrote it); prints one JSON object as train_speed does.
"""
import json
import resource
import sys
import time

import numpy
import torch
import torch.nn.functional as F


def main():
    folder = sys.argv[1]
    meta = json.load(open(folder + "/meta.json"))
    torch.set_num_threads(meta["threads"])
    flat = torch.from_numpy(numpy.fromfile(folder + "/init.f32", dtype=numpy.float32))
    weights = {}
    for t in meta["tensors"]:
        count = int(numpy.prod(t["shape"]))
        weights[t["name"]] = flat[t["offset"]:t["offset"] + count].clone().reshape(t["shape"]).requires_grad_()
    rows = torch.from_numpy(numpy.fromfile(folder + "/batches.i32", dtype=numpy.int32)).long()
    rows = rows.reshape(meta["steps"], 2, meta["sequences"], meta["length"])

    heads, dim, length = meta["heads"], meta["head_dim"], meta["length"]
    wanted = meta["targets"]  # the last positions of each sequence: only they go through the head
    angles = torch.outer(torch.arange(length).double(), 10000.0 ** (-torch.arange(0, dim, 2).double() / dim))
    cosine, sine = angles.cos().float().repeat(1, 2), angles.sin().float().repeat(1, 2)
    hidden_future = torch.full((length, length), float("-inf")).triu(1)

    def norm(x, gain):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + meta["epsilon"]) * gain

    def rope(x):
        low, high = x.chunk(2, -1)
        return x * cosine + torch.cat((-high, low), -1) * sine

    def forward(tokens):
        x = F.embedding(tokens, weights["model.embed_tokens.weight"])
        b = x.shape[0]
        for layer in range(meta["layers"]):
            w = lambda name: weights[f"model.layers.{layer}.{name}.weight"]
            n = norm(x, w("input_layernorm"))
            q, k, v = (F.linear(n, w(f"self_attn.{p}_proj")).view(b, length, heads, dim).transpose(1, 2) for p in "qkv")
            scores = rope(q) @ rope(k).transpose(-1, -2) / dim ** 0.5 + hidden_future
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, length, heads * dim)
            x = x + F.linear(mixed, w("self_attn.o_proj"))
            n = norm(x, w("post_attention_layernorm"))
            x = x + F.linear(F.silu(F.linear(n, w("mlp.gate_proj"))) * F.linear(n, w("mlp.up_proj")), w("mlp.down_proj"))
        return F.linear(norm(x[:, -wanted:], weights["model.norm.weight"]), weights["model.embed_tokens.weight"])

    decays = [t for name, t in weights.items() if t.dim() == 2 and "embed" not in name]
    others = [t for name, t in weights.items() if t.dim() == 1 or "embed" in name]
    optimiser = torch.optim.AdamW([{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=meta["learning_rate"], betas=(0.9, 0.99), eps=1e-8, foreach=True)
    losses = []
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, start = usage.ru_utime + usage.ru_stime, time.monotonic()
    for tokens, targets in rows:
        loss = F.cross_entropy(forward(tokens).flatten(0, 1), targets[:, -wanted:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    seconds = time.monotonic() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"program": "torch " + torch.__version__, "threads": torch.get_num_threads(),
                      "tokens": meta["steps"] * meta["sequences"] * length, "seconds": seconds,
                      "cpu_seconds": usage.ru_utime + usage.ru_stime - cpu, "losses": losses}))


main()
