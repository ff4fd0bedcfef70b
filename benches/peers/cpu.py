"""The peer of Fathom's CPU device: GPT-2 small in compact PyTorch with a static key/value cache, and matrix products of PyTorch and
ONNX Runtime. Random weights; needs torch, and for its part onnxruntime and onnx.

Reads one case a line, answers each with the median seconds of a run, or with "none: " and why there is none:

    private DTYPE ROWS PROMPT THREADS    one latent step (12 layers, h 768, no LM head), each trajectory with its own prompt
    linear DTYPE M K N THREADS           x·W, as torch.nn.functional.linear
    onnx DTYPE M K N THREADS             x·W, as a MatMul of ONNX Runtime with constant weights
    versions                             of the libraries, instead of seconds

    echo "private bf16 64 64 1" | python benches/peers/cpu.py
"""
import statistics
import sys
import time

import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, HIDDEN = 12, 768, 12, 3072
LATENTS = 6  # Before the step's own position.
STREAMED = 128 << 20  # Bytes of weights that products walk through, so that each comes from memory.
SECONDS, RUNS = 0.25, 5  # A case runs this long at least, and one of inference this often.


class Missing(Exception):
    """A library that is not installed, or a data type that it does not have."""


def random(dtype, *shape):
    return (torch.randn(*shape) * 0.02).to(dtype)


def weights(dtype):
    return [
        dict(
            qkv=(random(dtype, 3 * WIDTH, WIDTH), random(dtype, 3 * WIDTH)),
            out=(random(dtype, WIDTH, WIDTH), random(dtype, WIDTH)),
            up=(random(dtype, HIDDEN, WIDTH), random(dtype, HIDDEN)),
            down=(random(dtype, WIDTH, HIDDEN), random(dtype, WIDTH)),
            norm=(torch.ones(WIDTH, dtype=dtype), torch.zeros(WIDTH, dtype=dtype)),
        )
        for _ in range(LAYERS)
    ]


def latent_step(model, x, keys, values, position):
    rows = x.shape[0]
    for layer, w in enumerate(model):
        q, k, v = F.linear(F.layer_norm(x, (WIDTH,), *w["norm"]), *w["qkv"]).split(WIDTH, dim=1)
        keys[layer, :, :, position] = k.view(rows, HEADS, -1)
        values[layer, :, :, position] = v.view(rows, HEADS, -1)
        past = slice(0, position + 1)
        a = F.scaled_dot_product_attention(q.view(rows, HEADS, 1, -1), keys[layer][:, :, past], values[layer][:, :, past])
        x = x + F.linear(a.reshape(rows, WIDTH), *w["out"])
        x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, (WIDTH,), *w["norm"]), *w["up"]), approximate="tanh"), *w["down"])
    return F.layer_norm(x, (WIDTH,), *model[0]["norm"])


def step(dtype, rows, prompt):
    dtype = getattr(torch, dtype)
    model, x = weights(dtype), torch.randn(rows, WIDTH).to(dtype)
    shape = LAYERS, rows, HEADS, prompt + 32, WIDTH // HEADS
    keys, values = torch.randn(*shape).to(dtype), torch.randn(*shape).to(dtype)
    return lambda: latent_step(model, x, keys, values, prompt + LATENTS)


def in_turn(items):
    """A function that returns the items one after another, for ever."""
    def following():
        following.at = (following.at + 1) % len(items)
        return items[following.at]

    following.at = 0
    return following


def copies(size):
    return -(-STREAMED // size)


def linear(dtype, m, k, n):
    x, weight = torch.randn(m, k).to(getattr(torch, dtype)), random(getattr(torch, dtype), n, k)
    following = in_turn([weight.clone() for _ in range(copies(weight.nbytes))])
    return lambda: F.linear(x, following())


def onnx_linear(dtype, m, k, n, threads):
    if dtype != "float32":
        raise Missing(f"ONNX Runtime has no {dtype} product on this device")
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise Missing(str(error)) from error
    weight = random(torch.float32, k, n).numpy()
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [m, k])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [m, n])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 21)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    x = onnxruntime.OrtValue.ortvalue_from_numpy(torch.randn(m, k).numpy())

    def bound():
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_shape_and_type([m, n], "float32"))
        return session, binding

    following = in_turn([bound() for _ in range(copies(weight.nbytes))])

    def run():
        session, binding = following()
        session.run_with_iobinding(binding)

    return run


def prepare(kind, dtype, *numbers):
    dtype = {"f32": "float32", "bf16": "bfloat16"}[dtype]
    *shape, threads = map(int, numbers)
    match kind:
        case "private":
            return step(dtype, *shape)
        case "linear":
            return linear(dtype, *shape)
        case "onnx":
            return onnx_linear(dtype, *shape, threads)
    raise Missing(f"no case of this side: {kind}")


def timed(run, runs):
    seconds = []
    while len(seconds) < runs or sum(seconds) < SECONDS:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def versions():
    found = [f"PyTorch {torch.__version__}"]
    try:
        import onnxruntime

        import onnx  # noqa: F401

        found.append(f"ONNX Runtime {onnxruntime.__version__}")
    except ImportError:
        found.append("no ONNX Runtime (wants onnxruntime and onnx)")
    return ", ".join(found)


def serve(prepare, warm, runs):
    """Answers the cases of the input, whose threads are their last word."""
    torch.manual_seed(0)
    newest = {}  # By kind: the newest case and what it runs.
    for line in sys.stdin:
        words = tuple(line.split())
        try:
            if words == ("versions",):
                answer = versions()
            else:
                torch.set_num_threads(int(words[-1]))
                if newest.get(words[0], (None,))[0] != words:
                    newest.pop(words[0], None)
                    run = prepare(*words)
                    for _ in range(warm):
                        run()
                    newest[words[0]] = words, run
                answer = f"{timed(newest[words[0]][1], runs):e}"
        except Missing as why:
            answer = f"none: {why}"
        print(answer, flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        serve(prepare, warm=3, runs=RUNS)
