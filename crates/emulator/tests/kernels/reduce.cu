// y[row] = Σ x[row, :], a block a row: each thread a stride, then its warp by shuffles, then the warps by shared memory.
#include "kernel.h"
#include "params.h"

enum Bug : uint32_t { NONE, NO_BARRIER, DIVERGENT_SHUFFLE, EARLY_RETURN };

DEVICE float warp_sum(float v) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(FULL_WARP, v, offset);
    return v;
}

KERNEL(reduce_rows, ReduceParams, 256) {
    DYNAMIC_SHARED(arena);
    Shared<float> partial = arena.take<float>(32);
    Global<const float> x = global<const float>(p.x) + (size_t)blockIdx.x * p.width;
    const unsigned tid = threadIdx.x, lane = tid % 32, warp = tid / 32, warps = blockDim.x / 32;
    if (p.bug == EARLY_RETURN && tid == 40) return;
    float sum = 0.0f;
    for (unsigned i = tid; i < p.width; i += blockDim.x) sum += x[i];
    if (p.bug != DIVERGENT_SHUFFLE || lane < 16)
        sum = warp_sum(sum);
    else
        sum += __shfl_down_sync(FULL_WARP, sum, 1);
    if (lane == 0) partial[warp] = sum;
    if (p.bug != NO_BARRIER) __syncthreads();
    sum = warp_sum(lane < warps ? partial[lane] : 0.0f);
    if (tid == 0) global<float>(p.y)[blockIdx.x] = sum;
}

DEVICE float block_sum(float v, Shared<float> partial) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    v = warp_sum(v);
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    return warp_sum(lane < warps ? partial[lane] : 0.0f);
}

// y[row] = Σ (x[row, :] - mean)², both sums through the same shared words.
KERNEL(spread_rows, ReduceParams, 256) {
    DYNAMIC_SHARED(arena);
    Shared<float> partial = arena.take<float>(32);
    Global<const float> x = global<const float>(p.x) + (size_t)blockIdx.x * p.width;
    float sum = 0.0f, spread = 0.0f;
    for (unsigned i = threadIdx.x; i < p.width; i += blockDim.x) sum += x[i];
    const float mean = block_sum(sum, partial) / p.width;
    __syncthreads();  // all have read what the second sum overwrites
    for (unsigned i = threadIdx.x; i < p.width; i += blockDim.x) spread += (x[i] - mean) * (x[i] - mean);
    spread = block_sum(spread, partial);
    if (threadIdx.x == 0) global<float>(p.y)[blockIdx.x] = spread;
}
