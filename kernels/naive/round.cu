// kernels/round.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "product.h"

KERNEL(naive_round_rows, RoundParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    naive_store(p.out, (size_t)row * p.out.pitch + channel,
                global<const float>(p.x.data)[(size_t)row * p.x.pitch + channel]);
}
