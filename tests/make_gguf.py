"""Writes a small GGUF model with random Q8_0 weights (Qwen 3's architecture, a vocabulary of bytes): tests/make_gguf.py FILE"""
import random
import struct
import sys

WIDTH, HEADS, KV, DIM, FFN, LAYERS, CONTEXT = 128, 4, 2, 32, 256, 2, 512
dice = random.Random(7)


def text(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    kind, pack = (8, text) if v and isinstance(v[0], str) else (5, lambda n: struct.pack("<i", n))
    return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(map(pack, v))


def letter(byte):   # GPT-2's printable stand-in
    prints = lambda b: 33 <= b <= 126 or 161 <= b <= 172 or b >= 174
    return chr(byte if prints(byte) else 256 + sum(not prints(b) for b in range(byte)))


special = ["<|im_start|>", "<|im_end|>"]
tokens = [letter(b) for b in range(256)] + special
metadata = {
    "general.architecture": "qwen3", "qwen3.block_count": LAYERS, "qwen3.embedding_length": WIDTH,
    "qwen3.feed_forward_length": FFN, "qwen3.attention.head_count": HEADS, "qwen3.attention.head_count_kv": KV,
    "qwen3.attention.key_length": DIM, "qwen3.context_length": CONTEXT, "qwen3.rope.freq_base": 10000.0,
    "qwen3.attention.layer_norm_rms_epsilon": 1e-6, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [1] * 256 + [3] * 2,
    "tokenizer.ggml.merges": [letter(116) + " " + letter(104)], "tokenizer.ggml.eos_token_id": 257}
tokens.append(letter(116) + letter(104))   # "th", the one merge
metadata["tokenizer.ggml.token_type"].append(1)

shapes = {"token_embd.weight": (len(tokens), WIDTH), "output_norm.weight": (WIDTH,)}
for i in range(LAYERS):
    for name, shape in {"attn_norm": (WIDTH,), "attn_q": (HEADS * DIM, WIDTH), "attn_k": (KV * DIM, WIDTH),
                        "attn_v": (KV * DIM, WIDTH), "attn_q_norm": (DIM,), "attn_k_norm": (DIM,),
                        "attn_output": (WIDTH, HEADS * DIM), "ffn_norm": (WIDTH,), "ffn_gate": (FFN, WIDTH),
                        "ffn_up": (FFN, WIDTH), "ffn_down": (WIDTH, FFN)}.items():
        shapes[f"blk.{i}.{name}.weight"] = shape

head = struct.pack("<IIQQ", 0x46554747, 3, len(shapes), len(metadata))
head += b"".join(text(k) + value(v) for k, v in metadata.items())
data = b""
for name, shape in shapes.items():
    vector = len(shape) == 1
    head += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in reversed(shape))
    head += struct.pack("<IQ", 0 if vector else 8, len(data))
    if vector:
        data += struct.pack(f"<{shape[0]}f", *[1.0] * shape[0])
    else:
        data += b"".join(struct.pack("<e", 0.001) + dice.randbytes(32) for _ in range(shape[0] * shape[1] // 32))
    data += bytes(-len(data) % 32)
head += bytes(-len(head) % 32)
open(sys.argv[1], "wb").write(head + data)
