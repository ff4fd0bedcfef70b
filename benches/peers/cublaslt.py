"""The fastest cuBLASLt algorithm for a product in bf16, by trying all that its heuristic returns on weights that take turns."""
import ctypes
import statistics

import torch

from cpu import Missing

WANTED, WORKSPACE = 64, 64 << 20
# cudaDataType_t, cublasComputeType_t, attributes of cublasLt.h.
R_16BF, R_32F, COMPUTE_32F = 14, 0, 68
DESC_TRANSA, PREFERENCE_WORKSPACE = 3, 1


class Algorithm(ctypes.Structure):
    _fields_ = [("data", ctypes.c_uint64 * 8)]


class Found(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""
    _fields_ = [("algorithm", Algorithm), ("workspace", ctypes.c_size_t), ("state", ctypes.c_int), ("waves", ctypes.c_float),
                ("reserved", ctypes.c_int * 4)]


def said(status):
    if status:
        raise Missing(f"cuBLASLt says {status}")


def library():
    for name in ("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    raise Missing("no libcublasLt")


def best(x, following, enough):
    """Seconds of x [m, k] times Wᵀ for W [n, k], by the fastest algorithm; `following` returns the next (W,)."""
    if not torch.cuda.is_available():
        raise Missing("cuBLASLt wants a GPU")
    lt = library()
    (weight,) = following()
    (m, k), n = x.shape, weight.shape[0]
    out, space = torch.empty(m, n, device="cuda", dtype=torch.bfloat16), torch.empty(WORKSPACE, device="cuda", dtype=torch.uint8)
    handle, description, preference = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    said(lt.cublasLtCreate(ctypes.byref(handle)))
    said(lt.cublasLtMatmulDescCreate(ctypes.byref(description), COMPUTE_32F, R_32F))
    transposed = ctypes.c_int(1)
    said(lt.cublasLtMatmulDescSetAttribute(description, DESC_TRANSA, ctypes.byref(transposed), ctypes.c_size_t(4)))
    layouts = []
    # Columns first, as cuBLAS counts: outᵀ [n, m] = W [n, k] · xᵀ [k, m].
    for rows, columns in ((k, n), (k, m), (n, m)):
        layout = ctypes.c_void_p()
        said(lt.cublasLtMatrixLayoutCreate(ctypes.byref(layout), R_16BF, ctypes.c_uint64(rows), ctypes.c_uint64(columns), ctypes.c_int64(rows)))
        layouts.append(layout)
    said(lt.cublasLtMatmulPreferenceCreate(ctypes.byref(preference)))
    room = ctypes.c_size_t(WORKSPACE)
    said(lt.cublasLtMatmulPreferenceSetAttribute(preference, PREFERENCE_WORKSPACE, ctypes.byref(room), ctypes.c_size_t(8)))
    found, count = (Found * WANTED)(), ctypes.c_int()
    a, b, c = layouts
    said(lt.cublasLtMatmulAlgoGetHeuristic(handle, description, a, b, c, c, preference, WANTED, found, ctypes.byref(count)))
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    pointer = lambda tensor: ctypes.c_void_p(tensor.data_ptr())

    def multiply(algorithm, weight):
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        said(lt.cublasLtMatmul(handle, description, ctypes.byref(one), pointer(weight), a, pointer(x), b, ctypes.byref(zero), pointer(out), c,
                               pointer(out), c, ctypes.byref(algorithm), pointer(space), ctypes.c_size_t(WORKSPACE), stream))

    times = []
    for result in found[: count.value]:
        if result.state:
            continue
        out.zero_()
        multiply(result.algorithm, weight)
        exact = x.float() @ weight.float().T
        if not (out.float() - exact).norm() <= 1e-2 * exact.norm():
            continue
        times.append(timed(lambda: multiply(result.algorithm, *following()), enough / 4))
    if not times:
        raise Missing("no algorithm gives the product")
    return min(times)


def timed(run, enough, launches=20):
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        run()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(launches):
                run()
        taken = []
        while len(taken) < 5 or sum(taken) < enough:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            taken.append(1e-3 * start.elapsed_time(end))
    return statistics.median(taken) / launches
