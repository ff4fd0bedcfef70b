// kernels/cosine.cu, a thread an output: grid (ceil(rows / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_cosine, CosineParams, 256) {
    const uint32_t i = blockIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= p.rows) return;
    const Global<const float> a = global<const float>(p.x.data) + (size_t)i * p.x.pitch;
    const Global<const float> b = global<const float>(p.x.data) + (size_t)j * p.x.pitch;
    float ab = 0.0f, aa = 0.0f, bb = 0.0f;
    for (uint32_t k = 0; k < p.width; k++) {
        ab += a[k] * b[k];
        aa += a[k] * a[k];
        bb += b[k] * b[k];
    }
    const float norms = sqrtf(aa) * sqrtf(bb);
    global<float>(p.out.data)[(size_t)i * p.out.pitch + j] = norms == 0.0f ? 0.0f : ab / norms;
}
