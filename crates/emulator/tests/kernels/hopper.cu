// C = A · Bᵀ by TMA and wgmma: a producer fills three stages of 64×64 tiles, a warpgroup multiplies them. The producer's
// warp has a warpgroup of its own, since registers move between warpgroups.
#include "hopper.h"

#if HAS_WGMMA
struct HopperParams {
    TensorMap a, b;
    uint64_t c;
    uint32_t m, n, k, bug;
    uint64_t padding[4];
};

enum Bug : uint32_t { NONE, NO_EMPTY_WAIT, WRONG_PARITY, NO_ARRIVE, NO_FULL_WAIT, NO_PRODUCT_WAIT, NO_INIT_FENCE };
constexpr int TILE = 64, STAGES = 3, TILE_BYTES = TILE * TILE * 2, THREADS = 256;

template <bool Faulty> DEVICE void gemm(const HopperParams& p) {
    const uint32_t bug = Faulty ? p.bug : NONE;
    DYNAMIC_SHARED(arena);
    Shared<__nv_bfloat16> tiles = arena.take<__nv_bfloat16>(STAGES * 2 * TILE * TILE, 1024);
    Shared<uint64_t> full = arena.take<uint64_t>(STAGES), empty = arena.take<uint64_t>(STAGES);
    const int tid = threadIdx.x, steps = p.k / TILE;
    if (tid == 0) {
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(full + s, 1);
            mbarrier_init(empty + s, 128);
        }
        if (bug != NO_INIT_FENCE) mbarrier_init_fence();
    }
    __syncthreads();
    if (tid >= 128) {
        registers_decrease<40>();
        if (tid == 128) {
            for (int step = 0; step < steps; step++) {
                const int s = step % STAGES, round = step / STAGES;
                if (round > 0 && bug != NO_EMPTY_WAIT) mbarrier_wait(empty + s, (round - 1) & 1);
                Shared<__nv_bfloat16> a = tiles + s * 2 * TILE * TILE;
                mbarrier_arrive_expect(full + s, 2 * TILE_BYTES);
                tma_load_2d(a, &p.a, step * TILE, blockIdx.y * TILE, full + s);
                tma_load_2d(a + TILE * TILE, &p.b, step * TILE, blockIdx.x * TILE, full + s);
            }
        }
        return;
    }
    registers_increase<232>();
    float acc[TILE / 2];
    for (int step = 0; step < steps; step++) {
        const int s = step % STAGES, parity = step / STAGES & 1;
        if (bug != NO_FULL_WAIT) mbarrier_wait(full + s, bug == WRONG_PARITY ? parity ^ 1 : parity);
        Shared<__nv_bfloat16> tile = tiles + s * 2 * TILE * TILE;
        const uint64_t a = wgmma_descriptor(tile, Swizzle::Bytes128, 1024);
        const uint64_t b = wgmma_descriptor(tile + TILE * TILE, Swizzle::Bytes128, 1024);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < TILE / 16; k++)
            wgmma_m64k16<TILE>(acc, wgmma_advance(a, k * 32), wgmma_advance(b, k * 32), step + k > 0);
        wgmma_commit();
        if (bug != NO_PRODUCT_WAIT) wgmma_wait<0>();
        if (bug != NO_ARRIVE) mbarrier_arrive(empty + s);
    }
    Global<float> c = global<float>(p.c);
    const int lane = tid % 32, warp = tid / 32;
#pragma unroll
    for (int i = 0; i < TILE / 2; i++) {
        const int m = blockIdx.y * TILE + warp * 16 + lane / 4 + i / 2 % 2 * 8;
        const int n = blockIdx.x * TILE + i / 4 * 8 + lane % 4 * 2 + i % 2;
        if (m < (int)p.m && n < (int)p.n) c[(size_t)m * p.n + n] = acc[i];
    }
}

KERNEL(gemm_wgmma, HopperParams, THREADS, 1) { gemm<false>(p); }
// With a branch around each barrier, which the device's compiler serialises products for.
KERNEL(gemm_wgmma_faulty, HopperParams, THREADS, 1) { gemm<true>(p); }
#endif
