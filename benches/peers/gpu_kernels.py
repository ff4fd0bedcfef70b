"""Products, norms and attention in PyTorch, one launch or call at a time; how they are checked and timed."""
import statistics

import torch
import torch.nn.functional as F

import cublaslt
from cpu import Missing, in_turn

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
STREAMED = 256 << 20 if CUDA else 1 << 16
LAUNCHES, LISTS, SECONDS = 20, 20, 0.25
ALLOWED = 1e-2


def random(*shape, scale=1.0):
    return (torch.randn(*shape, device=DEVICE) * scale).to(torch.bfloat16)


def near(got, expected):
    error = ((got.float() - expected.float()).norm() / expected.float().norm()).item()
    if not error <= ALLOWED:
        raise Missing(f"wrong by {error:.1e} of the reference")


def copies(*tensors):
    """As many sets of operands as make memory the source, each launch taking the next."""
    count = max(1, min(10 * LAUNCHES, STREAMED // max(1, sum(t.nbytes for t in tensors))))
    return in_turn([tuple(t.clone() for t in tensors) for _ in range(count)])


def seconds(way, run, count=1):
    """Median seconds of `run`, of which a list of launches is `count`."""
    if not CUDA:
        run()
        return float("nan")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(4):
            run()
        if way in ("graph", "best"):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                run()
            run = graph.replay
        times = []
        while len(times) < LISTS or sum(times) < SECONDS:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            times.append(1e-3 * start.elapsed_time(end))
    return statistics.median(times) / count


def way_of(way, function):
    return torch.compile(function, mode="max-autotune", dynamic=False) if way == "compile" and CUDA else function


def product(way, kind, m, k, n):
    x, weight, out = random(m, k), random(n, k, scale=k**-0.5), random(m, n)

    def multiply(weight):
        y = F.linear(x, weight)
        if kind == "swiglu":
            gate, up = y.chunk(2, dim=1)
            return F.silu(gate) * up
        return out + y if kind == "residual" else y

    if way == "best":
        return cublaslt.best(x, copies(weight), SECONDS)
    multiply = way_of(way, multiply)
    exact = F.linear(x.float(), weight.float())
    if kind == "swiglu":
        gate, up = exact.chunk(2, dim=1)
        exact = F.silu(gate) * up
    near(multiply(weight), exact + out.float() if kind == "residual" else exact)
    following = copies(weight)
    return seconds(way, lambda: [multiply(*following()) for _ in range(LAUNCHES)], LAUNCHES)


def norm(way, m, h):
    stream, first, second = random(m, h).float(), random(h).float(), random(h).float()

    def both(stream):
        stream = F.rms_norm(stream, (h,), first, 1e-6)
        return stream, F.rms_norm(stream, (h,), second, 1e-6).to(torch.bfloat16)

    both = way_of(way, both)
    following = copies(stream)
    return seconds(way, lambda: [both(*following()) for _ in range(LAUNCHES)], LAUNCHES)


def with_sums(q, k, v):
    """softmax(q·kᵀ/√d)·v and the logarithms of the sums, [batch, heads, rows]."""
    if CUDA:
        out, sums, *_ = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)
        return out, sums[:, :, : q.shape[2]]
    scores = (q.float() @ k.float().transpose(-1, -2)) * q.shape[-1] ** -0.5
    return (scores.softmax(-1) @ v.float()).to(q.dtype), scores.logsumexp(-1)


def two_calls(q, prefix, suffix):
    """One row of q [n, heads, d] a trajectory, over a prefix of all (K, V [kv, p, d]) and a suffix of each ([n, kv, s, d])."""
    n, heads, d = q.shape
    kv = prefix[0].shape[0]
    group = heads // kv
    of_prefix = q.view(n, kv, group, d).permute(1, 0, 2, 3).reshape(1, kv, n * group, d)
    a, la = with_sums(of_prefix, prefix[0][None], prefix[1][None])
    a = a.view(kv, n, group, d).permute(1, 0, 2, 3)
    la = la.reshape(kv, n, group).permute(1, 0, 2)
    b, lb = with_sums(q.view(n, kv, group, d), *suffix)
    weight = torch.sigmoid(la.float() - lb.float())[..., None]
    return (a * weight + b * (1 - weight)).reshape(n, heads, d).to(q.dtype)


def one_call(q, k, v):
    """The same over keys and values of each trajectory's own, [n, kv, p + s, d]."""
    return F.scaled_dot_product_attention(q[:, :, None], k, v, enable_gqa=q.shape[1] != k.shape[1])[:, :, 0]


def attention(way, heads, kv, d, prefix, suffix, n):
    q = random(n, heads, d)
    shared, own = [random(kv, prefix, d) for _ in range(2)], [random(n, kv, suffix, d) for _ in range(2)]
    whole = [torch.cat([s.expand(n, -1, -1, -1), o], dim=2) for s, o in zip(shared, own)]
    exact = one_call(q.float(), *(w.float() for w in whole))
    if way == "best":
        near(two_calls(q, shared, own), exact)
        following = copies(*shared, *own)

        def run():
            for _ in range(LAUNCHES):
                a, b, c, d = following()
                two_calls(q, (a, b), (c, d))
    else:
        call = way_of(way, one_call)
        near(call(q, *whole), exact)
        following = copies(*whole)

        def run():
            for _ in range(LAUNCHES):
                call(q, *following())
    return seconds(way, run, LAUNCHES)
