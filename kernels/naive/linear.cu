// kernels/linear.cu, a thread an output: grid (ceil(width of out / 256), rows), 256 threads.
#include "activation.h"
#include "perturbation.h"
#include "product.h"

template <class T> DEVICE void naive_linear(const LinearParams& p) {
    const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (column < p.n) {
        const size_t at = (size_t)row * p.out.pitch + column;
        float y = naive_product<T>(p.x, row, p.weight, column, p.k);
        if (p.bias) y += global<const float>(p.bias)[column];
        if (p.epilogue == EPILOGUE_GELU_TANH) {
            y = gelu_tanh(y);
        } else if (p.epilogue == EPILOGUE_GELU_ERF) {
            y = gelu_erf(y);
        } else if (p.epilogue == EPILOGUE_RESIDUAL) {
            const float2 pair = perturb_pair(p.perturbation, row, column & ~1u, make_float2(y, y));
            y = global<const float>(p.out.data)[at] + (column & 1 ? pair.y : pair.x);
        }
        naive_store(p.out, at, y);
    }
}

template <class T> DEVICE void naive_linear_swiglu(const LinearParams& p) {
    const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (2 * column < p.n) {
        const float gate = naive_product<T>(p.x, row, p.weight, 2 * column, p.k);
        const float up = naive_product<T>(p.x, row, p.weight, 2 * column + 1, p.k);
        naive_store(p.out, (size_t)row * p.out.pitch + column, swiglu(gate, up));
    }
}

KERNEL(naive_linear_f32, LinearParams, 256) { naive_linear<float>(p); }
KERNEL(naive_linear_bf16, LinearParams, 256) { naive_linear<__nv_bfloat16>(p); }
KERNEL(naive_linear_swiglu_f32, LinearParams, 256) { naive_linear_swiglu<float>(p); }
KERNEL(naive_linear_swiglu_bf16, LinearParams, 256) { naive_linear_swiglu<__nv_bfloat16>(p); }
