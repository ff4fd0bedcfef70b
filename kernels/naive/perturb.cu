// kernels/perturb.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "perturbation.h"

KERNEL(naive_perturb, PerturbParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    float& x = global<float>(p.x.data)[(size_t)row * p.x.pitch + channel];
    const Perturbation& how = p.perturbation;
    if (how.kind == PERTURB_SCALE || how.kind == PERTURB_ADD) {
        const float recorded = global<const float>(how.rows)[(size_t)row * how.pitch + channel];
        x = how.kind == PERTURB_SCALE ? __fmul_rn(x, recorded) : __fadd_rn(x, recorded);
    } else if (how.kind != PERTURB_NONE) {
        const RowCoordinates at = global<const RowCoordinates>(how.rows)[row];
        const uint4 words =
            philox4x32(make_uint4(channel / 4 | how.site << 20, at.position, at.iteration, at.trajectory), at.key);
        const uint32_t first = channel & 2 ? words.z : words.x, second = channel & 2 ? words.w : words.y;
        const uint32_t word = channel & 1 ? second : first;
        const float2 normal = normals(first, second);
        x = how.kind == PERTURB_NOISE ? __fmaf_rn(how.factor, channel & 1 ? normal.y : normal.x, x)
            : word < how.threshold    ? __fmul_rn(x, how.factor)
                                      : 0.0f;
    }
}
