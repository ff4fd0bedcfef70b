// C = A · Bᵀ: 64×64×32 tiles, four warps of 32×32, three cp.async stages; chunks of 16 bytes xored so that the eight
// rows of an ldmatrix matrix lie on distinct banks.
#include "tensor_core.h"
#include "params.h"

enum Bug : uint32_t { NONE, NO_BARRIER, WAIT_OFF_BY_ONE, LOAD_BEFORE_BARRIER, NO_SWIZZLE };
constexpr int TILE = 64, DEPTH = 32, STAGES = 3, THREADS = 128;
constexpr int STAGE = 2 * TILE * DEPTH;  // elements of A and B

DEVICE int at(int row, int chunk, uint32_t bug) {
    return row * DEPTH + (bug == NO_SWIZZLE ? chunk : chunk ^ (row >> 1 & 3)) * 8;
}

DEVICE void load(Shared<__nv_bfloat16> stage, const GemmParams& p, int step) {
    Global<const __nv_bfloat16> a = global<const __nv_bfloat16>(p.a), b = global<const __nv_bfloat16>(p.b);
#pragma unroll
    for (int i = 0; i < TILE * DEPTH / 8 / THREADS; i++) {
        const int c = threadIdx.x + i * THREADS, row = c / 4, chunk = c % 4, k = step * DEPTH + chunk * 8;
        const int m = blockIdx.y * TILE + row, n = blockIdx.x * TILE + row;
        const int place = at(row, chunk, p.bug);
        cp_async<16>(stage + place, a + ((size_t)min(m, (int)p.m - 1) * p.k + k), m < (int)p.m ? 16 : 0);
        cp_async<16>(stage + TILE * DEPTH + place, b + ((size_t)min(n, (int)p.n - 1) * p.k + k), n < (int)p.n ? 16 : 0);
    }
}

KERNEL(gemm_mma, GemmParams, THREADS) {
    DYNAMIC_SHARED(arena);
    Shared<__nv_bfloat16> stages = arena.take<__nv_bfloat16>(STAGES * STAGE, 128);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, wm = warp % 2 * 32, wn = warp / 2 * 32;
    const int steps = p.k / DEPTH;
    float acc[2][4][4] = {};
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) load(stages + s * STAGE, p, s);
        cp_async_commit();
    }
    for (int step = 0; step < steps; step++) {
        if (p.bug == WAIT_OFF_BY_ONE)
            cp_async_wait<STAGES - 1>();
        else
            cp_async_wait<STAGES - 2>();
        const int next = step + STAGES - 1;
        if (p.bug == LOAD_BEFORE_BARRIER && next < steps) load(stages + next % STAGES * STAGE, p, next);
        if (p.bug != NO_BARRIER) __syncthreads();
        if (p.bug != LOAD_BEFORE_BARRIER && next < steps) load(stages + next % STAGES * STAGE, p, next);
        cp_async_commit();
        Shared<__nv_bfloat16> a = stages + step % STAGES * STAGE, b = a + TILE * DEPTH;
#pragma unroll
        for (int kk = 0; kk < DEPTH / 16; kk++) {
            uint32_t fa[2][4], fb[4][2];
#pragma unroll
            for (int i = 0; i < 2; i++)
                ldmatrix_x4(fa[i], a + at(wm + i * 16 + lane % 16, kk * 2 + lane / 16, p.bug));
#pragma unroll
            for (int j = 0; j < 2; j++) {
                uint32_t r[4];
                ldmatrix_x4(r, b + at(wn + j * 16 + lane % 8 + lane / 16 * 8, kk * 2 + lane / 8 % 2, p.bug));
                fb[2 * j][0] = r[0], fb[2 * j][1] = r[1], fb[2 * j + 1][0] = r[2], fb[2 * j + 1][1] = r[3];
            }
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) mma_m16n8k16(acc[i][j], fa[i], fb[j]);
        }
    }
    Global<float> c = global<float>(p.c);
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int h = 0; h < 4; h++) {
                const int m = blockIdx.y * TILE + wm + i * 16 + lane / 4 + h / 2 * 8;
                const int n = blockIdx.x * TILE + wn + j * 8 + lane % 4 * 2 + h % 2;
                if (m < (int)p.m && n < (int)p.n) c[(size_t)m * p.n + n] = acc[i][j][h];
            }
}
