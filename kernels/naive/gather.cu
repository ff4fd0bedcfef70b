// kernels/gather.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_gather, GatherParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const float v = global<const float>(global<const uint64_t>(p.from)[row])[channel];
    global<float>(p.out.data)[(size_t)row * p.out.pitch + channel] = v;
}
