// kernels/distance.cu, a thread a row: grid ceil(rows / 32), 32 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_distance, DistanceParams, 32) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    const Global<const float> y = global<const float>(p.y.data) + (size_t)row * p.y.pitch;
    float apart = 0.0f, xx = 0.0f, yy = 0.0f, xy = 0.0f;
    for (uint32_t i = 0; i < p.width; i++) {
        apart += (x[i] - y[i]) * (x[i] - y[i]);
        xx += x[i] * x[i];
        yy += y[i] * y[i];
        xy += x[i] * y[i];
    }
    const Global<float> out = global<float>(p.out.data) + (size_t)row * p.out.pitch;
    out[0] = sqrtf(apart);
    out[1] = sqrtf(xx);
    out[2] = sqrtf(yy);
    out[3] = xy;
}
