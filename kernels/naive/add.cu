// kernels/add.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_add, AddParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    global<float>(p.x.data)[(size_t)row * p.x.pitch + channel] +=
        global<const float>(p.y.data)[(size_t)row * p.y.pitch + channel];
}
