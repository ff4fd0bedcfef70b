"""Whole steps of Huginn, GPT-2 and Llama in compact PyTorch: static keys and values, bf16, N rows of one position each."""
import os
import statistics
import time

import torch
import torch.nn.functional as F

from cpu import Missing
from gpu_kernels import DEVICE, near, one_call, random, seconds, two_calls, way_of

HUGINN = dict(h=5280, inner=17920, heads=55, kv=55, d=96, ends=(2, 4, 2), vocabulary=65536)
GPT2 = dict(h=768, inner=3072, heads=12, kv=12, d=64, layers=12)
LLAMA = dict(h=2048, inner=8192, heads=32, kv=8, d=64, layers=16, vocabulary=128258)


def shrink():
    """Shapes for a self-test."""
    HUGINN.update(h=32, inner=64, heads=2, kv=2, d=16, ends=(1, 1, 1), vocabulary=64)
    GPT2.update(h=32, inner=64, heads=2, kv=2, d=16, layers=2)
    LLAMA.update(h=32, inner=64, heads=4, kv=2, d=8, layers=2, vocabulary=64)


def weights(h, inner, heads, kv, d, gated, bias):
    of = lambda n, k: random(n, k, scale=k**-0.5)
    extra = (lambda n: random(n, scale=0.02)) if bias else lambda n: None
    up = 2 * inner if gated else inner
    return dict(
        qkv=(of((heads + 2 * kv) * d, h), extra((heads + 2 * kv) * d)),
        out=(of(h, heads * d), extra(h)),
        up=(of(up, h), extra(up)),
        down=(of(h, inner), extra(h)),
        norms=[1 + random(h, scale=0.05) for _ in range(4)],
    )


class Cache:
    """Keys and values of all calls of layers: a prefix that trajectories share, and a suffix of each."""

    def __init__(self, calls, n, kv, d, prompt, own, shared):
        self.shared, self.length = shared, own
        if shared:
            self.prefix, self.suffix = random(calls, 2, kv, prompt, d), random(calls, 2, n, kv, own, d)
        else:
            self.whole = random(calls, 2, n, kv, prompt + own, d)

    def attend(self, call, q, k, v):
        if self.shared:
            suffix = self.suffix[call]
            suffix[0, :, :, -1], suffix[1, :, :, -1] = k, v
            return two_calls(q, self.prefix[call], suffix)
        whole = self.whole[call]
        whole[0, :, :, -1], whole[1, :, :, -1] = k, v
        return one_call(q, whole[0], whole[1])


def turned(x, angles):
    a, b = x.float().chunk(2, dim=-1)
    cos, sin = angles
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def attended(w, x, shape, call, cache, angles):
    n, heads, kv, d = x.shape[0], shape["heads"], shape["kv"], shape["d"]
    q, k, v = F.linear(x, *w["qkv"]).split([heads * d, kv * d, kv * d], dim=1)
    q, k, v = q.view(n, heads, d), k.view(n, kv, d), v.view(n, kv, d)
    if angles is not None:
        q, k = turned(q, angles), turned(k, angles)
    return F.linear(cache.attend(call, q, k, v).reshape(n, heads * d), *w["out"])


def gated(w, x):
    gate, up = F.linear(x, *w["up"]).chunk(2, dim=1)
    return F.linear(F.silu(gate) * up, *w["down"])


def angles_of(d, position):
    turns = position / 10000 ** (torch.arange(0, d, 2, device=DEVICE) / d)
    return turns.cos(), turns.sin()


def huginn(r, prompt, own, n, shared):
    h, (prelude, core, coda) = HUGINN["h"], HUGINN["ends"]
    blocks = [weights(**{k: HUGINN[k] for k in ("h", "inner", "heads", "kv", "d")}, gated=True, bias=False)
              for _ in range(prelude + core + coda)]
    adapter, head = random(h, 2 * h, scale=(2 * h) ** -0.5), random(HUGINN["vocabulary"], h, scale=h**-0.5)
    calls = prelude + r * core + coda
    size = 2 * 2 * calls * HUGINN["kv"] * HUGINN["d"] * ((prompt if shared else n * prompt) + n * own)
    if torch.cuda.is_available() and size > 0.9 * torch.cuda.mem_get_info()[0]:
        raise Missing(f"{size / 2**30:.0f} GiB of keys and values do not fit")
    cache, angles = Cache(calls, n, HUGINN["kv"], HUGINN["d"], prompt, own, shared), angles_of(HUGINN["d"], prompt + own)
    embedded, state = random(n, h), random(n, h)
    norm = lambda x, w: F.rms_norm(x, (h,), w, 1e-6)

    def block(w, x, call):
        x = norm(attended(w, norm(x, w["norms"][0]), HUGINN, call, cache, angles) + x, w["norms"][1])
        return norm(gated(w, norm(x, w["norms"][2])) + x, w["norms"][3])

    def token():
        e, x, call = embedded, state, 0
        for w in blocks[:prelude]:
            e, call = block(w, e, call), call + 1
        for _ in range(r):
            x = F.linear(torch.cat([x, e], dim=1), adapter)
            for w in blocks[prelude:prelude + core]:
                x, call = block(w, x, call), call + 1
        for w in blocks[prelude + core:]:
            x, call = block(w, x, call), call + 1
        return F.linear(norm(x, blocks[0]["norms"][0]), head).argmax(-1), x

    return token


def chain(shape, prompt, own, n, shared):
    rotary, h = "vocabulary" in shape, shape["h"]
    blocks = [weights(**{k: shape[k] for k in ("h", "inner", "heads", "kv", "d")}, gated=rotary, bias=not rotary)
              for _ in range(shape["layers"])]
    cache = Cache(shape["layers"], n, shape["kv"], shape["d"], prompt, own, shared)
    angles = angles_of(shape["d"], prompt + own) if rotary else None
    head = random(shape["vocabulary"], h, scale=h**-0.5) if rotary else None
    latent = [random(h, h, scale=h**-0.5) for _ in range(3)] if rotary else []
    start = random(n, h)

    def norm(x, w):
        return F.rms_norm(x, (h,), w, 1e-5) if rotary else F.layer_norm(x, (h,), w, None, 1e-5)

    def step():
        x = start
        for call, w in enumerate(blocks):
            x = x + attended(w, norm(x, w["norms"][0]), shape, call, cache, angles)
            y = norm(x, w["norms"][1])
            x = x + (gated(w, y) if rotary else F.linear(F.gelu(F.linear(y, *w["up"]), approximate="tanh"), *w["down"]))
        x = norm(x, blocks[0]["norms"][2])
        if not rotary:
            return None, x
        # CoLaR's head, and whether the thought ends.
        y = F.linear(F.layer_norm(F.linear(F.gelu(F.linear(x, latent[0])), latent[1]), (h,)), latent[2])
        return F.linear(x, head).argmax(-1), y

    return step


def step(way, kind, *numbers):
    if way == "published":
        return published(kind, *numbers)
    build = {"huginn": huginn, "latent": lambda *rest: chain(GPT2, *rest), "colar": lambda *rest: chain(LLAMA, *rest)}[kind]
    run = build(*numbers, way == "best")
    if way != "compile":
        # Twice the same: nothing in a cache is left behind but the last position.
        near(run()[1], run()[1])
    else:
        run = way_of(way, run)
    return seconds(way, run)


def published(kind, *numbers):
    """Seconds of a token of Huginn's own generation, random weights: twelve tokens less four."""
    folder = os.environ.get("HUGINN")
    if kind != "huginn" or not folder:
        raise Missing("HUGINN names no folder" if kind == "huginn" else "not run as published")
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    r, prompt, own, n = numbers
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=True, torch_dtype=torch.bfloat16).eval()
    ids = torch.randint(5, 60000, (n, prompt + own - 8), device="cuda")

    def run(tokens):
        torch.cuda.synchronize()
        start = time.perf_counter()
        model.generate(ids, GenerationConfig(max_new_tokens=tokens, do_sample=False, eos_token_id=-1), num_steps=r, use_cache=True)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    run(2)
    return statistics.median((run(12) - run(4)) / 8 for _ in range(3))
