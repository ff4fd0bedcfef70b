// The first launch of kernels/square_sum.cu, a thread a row: grid (ceil(rows / 64)), 64 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_square_sum, SquareSumParams, 64) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows) return;
    double sum = 0.0;
    for (uint32_t i = 0; i < p.width; i++) {
        const double x = global<const float>(p.x.data)[(size_t)row * p.x.pitch + i];
        sum += x * x;
    }
    global<double>(p.partials)[row] = sum;
}
