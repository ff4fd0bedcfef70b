// kernels/rope.cu, a thread a pair: grid (ceil(heads * head_dim / 2 / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_rope, RopeParams, 256) {
    const uint32_t half = p.head_dim / 2, item = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (item >= p.heads * half) return;
    const uint32_t pair = item % half;
    const bool interleaved = p.rotate == ROTATE_INTERLEAVED;
    const Global<float> head = global<float>(p.x.data) + (size_t)row * p.x.pitch + item / half * p.head_dim;
    const Global<const float> angles = global<const float>(p.angles) + (size_t)row * p.angles_pitch;
    float& first = head[interleaved ? 2 * pair : pair];
    float& second = head[interleaved ? 2 * pair + 1 : pair + half];
    const float a = first, b = second, cos = angles[pair], sin = p.direction * angles[half + pair];
    first = __fsub_rn(__fmul_rn(a, cos), __fmul_rn(b, sin));
    second = __fadd_rn(__fmul_rn(b, cos), __fmul_rn(a, sin));
}
