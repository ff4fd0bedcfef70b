"""The peers of Fathom's kernels and steps on a GPU: compact PyTorch in bf16, as one would write it by hand. Random weights and rows.

Reads `WAY CASE` a line, answers with the median seconds of a launch or step, or `none: why`. CASE is as in
crates/model/benches/gpu/case.rs; WAY is

    eager       as PyTorch runs it, static caches
    compile     torch.compile, max-autotune
    graph       eager, in a CUDA graph
    best        of products the fastest cuBLASLt algorithm, without what follows them; of attention and steps two calls, prefix and suffix, merged, in a graph
    published   Huginn's own code and cache, from the folder that HUGINN names (transformers 4.52.4)

and `versions` tells what runs. Results are checked against f32 first.

    echo "graph linear 64 768 768" | python benches/peers/gpu.py
    python benches/peers/gpu.py --self-test         # every case, small, on the CPU and not timed
"""
import sys

import torch

import gpu_steps
from cpu import Missing
from gpu_kernels import CUDA, attention, norm, product


def main():
    def answer(line):
        words = line.split()
        if words == ["versions"]:
            return f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name() if CUDA else 'no GPU'}"
        way, kind, *numbers = words
        numbers = [int(number) for number in numbers]
        if way == "published" and kind != "huginn":
            raise Missing("nothing was published for it alone")
        if kind in ("linear", "swiglu", "residual"):
            return product(way, kind, *numbers)
        if kind in ("norm", "attention"):
            return {"norm": norm, "attention": attention}[kind](way, *numbers)
        return gpu_steps.step(way, kind, *numbers)

    with torch.inference_mode():
        if sys.argv[1:] == ["--self-test"]:
            cases = ["linear 5 64 32", "swiglu 3 64 32", "residual 4 32 64", "norm 3 64", "attention 4 2 16 9 3 5",
                     "huginn 3 9 4 3", "latent 9 4 3", "colar 9 4 3"]
            gpu_steps.shrink()
            for case in cases:
                for way in ("eager", "compile", "graph", "best"):
                    try:
                        answer(f"{way} {case}")
                        print(f"{way} {case}: right")
                    except Missing as missing:
                        print(f"{way} {case}: none: {missing}")
                        if "wrong" in str(missing):
                            sys.exit(1)
            return
        for line in sys.stdin:
            try:
                print(answer(line.strip()), flush=True)
            except Missing as missing:
                print(f"none: {missing}", flush=True)
            except (RuntimeError, ValueError, TypeError, KeyError) as error:
                print(f"none: {' '.join(str(error).split())[:200]}", flush=True)


if __name__ == "__main__":
    main()
