"""The peer of Fathom's training on a CPU: the same steps in compact PyTorch, forward, backward, clipped, fused AdamW. Random weights and
tokens; needs torch.

Reads one case a line, answers each with the median seconds of a step (see crates/train/benches/step.rs):

    coconut LAYERS WIDTH HEADS VOCAB ROWS PROMPT THOUGHTS TAIL THREADS
    recurrent WIDTH HEADS INNER PRELUDE CORE CODA VOCAB ROWS LENGTH WITHOUT WITH THREADS    iterations are recomputed, as published
    kept ...                                                                                as recurrent, all activations kept
    versions

    echo "coconut 3 128 4 152 96 33 3 4 1" | python benches/peers/train.py
"""
import math

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from cpu import Missing, serve


def parameters(shapes):
    """Weights by name: matrices at random, norms 1, biases 0."""
    def of(name, shape):
        if name.endswith("norm"):
            return torch.ones(shape)
        return torch.zeros(shape) if name.endswith("bias") else torch.randn(shape) * 0.02
    return {name: of(name, shape).requires_grad_() for name, shape in shapes.items()}


def training(weights, loss):
    """A step over `loss`."""
    values = list(weights.values())
    optimizer = torch.optim.AdamW(values, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(values, 1.0)
        optimizer.step()

    return step


def coconut(layers, width, heads, vocabulary, rows, prompt, thoughts, tail):
    shapes = {"tokens": (vocabulary, width), "positions": (prompt + thoughts + tail, width), "norm": (width,), "bias": (width,)}
    for i in range(layers):
        for name, inner, outer in (("qkv", width, 3 * width), ("out", width, width), ("up", width, 4 * width), ("down", 4 * width, width)):
            shapes |= {f"{i}.{name}": (outer, inner), f"{i}.{name}.bias": (outer,)}
        for norm in (1, 2):
            shapes |= {f"{i}.{norm}.norm": (width,), f"{i}.{norm}.bias": (width,)}
    w = parameters(shapes)
    prompts, tails = torch.randint(vocabulary, (rows, prompt)), torch.randint(vocabulary, (rows, tail))

    def body(x, cache, first):
        """States behind the final norm, of inputs at positions `first` and up; `cache` has keys and values of each layer."""
        count = x.shape[1]
        x = x + w["positions"][first : first + count]
        mask = None if count == 1 or first == 0 else torch.ones(count, first + count, dtype=torch.bool).tril(first)
        for i in range(layers):
            y = F.layer_norm(x, (width,), w[f"{i}.1.norm"], w[f"{i}.1.bias"])
            q, k, v = F.linear(y, w[f"{i}.qkv"], w[f"{i}.qkv.bias"]).view(rows, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
            if cache[i]:
                k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
            cache[i] = k, v
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=first == 0)
            x = x + F.linear(a.transpose(1, 2).reshape(rows, count, width), w[f"{i}.out"], w[f"{i}.out.bias"])
            y = F.layer_norm(x, (width,), w[f"{i}.2.norm"], w[f"{i}.2.bias"])
            y = F.gelu(F.linear(y, w[f"{i}.up"], w[f"{i}.up.bias"]), approximate="tanh")
            x = x + F.linear(y, w[f"{i}.down"], w[f"{i}.down.bias"])
        return F.layer_norm(x, (width,), w["norm"], w["bias"])

    def loss():
        cache = [None] * layers
        thought = body(F.embedding(prompts, w["tokens"]), cache, 0)[:, -1:]
        for i in range(1, thoughts):
            thought = body(thought, cache, prompt + i - 1)
        x = torch.cat([thought, F.embedding(tails[:, :-1], w["tokens"])], 1)
        logits = F.linear(body(x, cache, prompt + thoughts - 1)[:, 1:], w["tokens"])
        return F.cross_entropy(logits.flatten(0, 1), tails[:, 1:].flatten())

    return training(w, loss)


def recurrent(recompute, width, heads, inner, prelude, core, coda, vocabulary, rows, length, without, with_):
    shapes = {"tokens": (vocabulary, width), "adapter": (width, 2 * width), "norm": (width,)}
    stacks = {"prelude": prelude, "core": core, "coda": coda}
    for stack, i in ((stack, i) for stack, count in stacks.items() for i in range(count)):
        b = f"{stack}.{i}."
        shapes |= {b + "qkv": (3 * width, width), b + "qk.bias": (2, heads, 1, width // heads), b + "out": (width, width)}
        shapes |= {b + "fc": (2 * inner, width), b + "down": (width, inner)}
        shapes |= {f"{b}{norm}.norm": (width,) for norm in range(1, 5)}
    w = parameters(shapes)
    texts, dim = torch.randint(vocabulary, (rows, length + 1)), width // heads
    turns = torch.arange(length).outer(5e4 ** (-torch.arange(0, dim, 2) / dim))
    turns = torch.polar(torch.ones_like(turns), turns)

    def rotated(x):
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turns).flatten(-2)

    def norm(x, name):
        return F.rms_norm(x, (width,), w[name], 1e-6)

    def block(x, b):
        q, k, v = F.linear(norm(x, b + "1.norm"), w[b + "qkv"]).view(rows, length, 3, heads, dim).permute(2, 0, 3, 1, 4)
        q, k = rotated(q + w[b + "qk.bias"][0]), rotated(k + w[b + "qk.bias"][1])
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, length, width)
        x = norm(F.linear(a, w[b + "out"]) + x, b + "2.norm")
        gate, up = F.linear(norm(x, b + "3.norm"), w[b + "fc"]).chunk(2, -1)
        return norm(F.linear(F.silu(gate) * up, w[b + "down"]) + x, b + "4.norm")

    def blocks(x, stack):
        for i in range(stacks[stack]):
            x = block(x, f"{stack}.{i}.")
        return x

    def iterate(state, embedded):
        return blocks(F.linear(torch.cat([state, embedded], -1), w["adapter"]), "core")

    def loss():
        embedded = blocks(F.embedding(texts[:, :-1], w["tokens"]) * math.sqrt(width), "prelude")
        state = torch.zeros(rows, length, width)
        with torch.no_grad():
            for _ in range(without):
                state = iterate(state, embedded)
        for _ in range(with_):
            state = checkpoint(iterate, state, embedded, use_reentrant=False) if recompute else iterate(state, embedded)
        x = norm(blocks(norm(state, "norm"), "coda"), "norm")
        return F.cross_entropy(F.linear(x, w["tokens"]).flatten(0, 1), texts[:, 1:].flatten())

    return training(w, loss)


def prepare(kind, *numbers):
    *shape, _ = map(int, numbers)
    match kind:
        case "coconut":
            return coconut(*shape)
        case "recurrent" | "kept":
            return recurrent(kind == "recurrent", *shape)
    raise Missing(f"no case of this side: {kind}")


if __name__ == "__main__":
    serve(prepare, warm=1, runs=1)
