// kernels/embedding.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

DEVICE float element(const Rows& rows, size_t row, uint32_t channel) {
    const size_t at = row * rows.pitch + channel;
    return rows.dtype == DTYPE_F32 ? global<const float>(rows.data)[at]
                                   : __bfloat162float(global<const __nv_bfloat16>(rows.data)[at]);
}

// A chosen id is checked here alone: the host does not see it.
DEVICE uint32_t token_of(const EmbeddingParams& p, uint32_t row) {
    const uint32_t id = global<const uint32_t>(p.ids)[row];
    return id & TOKEN_CHOSEN ? min(global<const uint32_t>(p.chosen)[id & ~TOKEN_CHOSEN], p.vocabulary - 1) : id;
}

KERNEL(naive_embedding, EmbeddingParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const uint64_t latent = p.latents ? global<const uint64_t>(p.latents)[row] : 0;
    float v = latent ? global<const float>(latent)[channel]
                     : __fmul_rn(p.scale, element(p.table, token_of(p, row), channel));
    if (p.position_table.data)
        v = __fadd_rn(v, element(p.position_table, global<const uint32_t>(p.positions)[row], channel));
    global<float>(p.out.data)[(size_t)row * p.out.pitch + channel] = v;
}
