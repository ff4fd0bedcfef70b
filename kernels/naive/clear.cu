// kernels/clear.cu, a thread a word: grid (ceil(words / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_clear, ClearParams, 256) {
    const uint32_t word = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (word < p.words) global<uint32_t>(p.x.data)[(size_t)row * p.x.pitch + word] = 0;
}
