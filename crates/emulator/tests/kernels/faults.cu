// What must end in a report, by `mode`.
#include "hopper.h"
#include "params.h"

#if HAS_WGMMA
enum Mode : uint32_t {
    OUT_OF_BOUNDS,
    BEFORE_BOUNDS,
    ARENA_TOO_SMALL,
    MISALIGNED,
    LDMATRIX_OUT_OF_BOUNDS,
    MASK_WITHOUT_SELF,
    SHUFFLE_OUTSIDE_MASK,
    DIVERGENT_BARRIER,
    WARP_WAITS_FOR_RETURNED,
    BARRIER_COUNTS_DIFFER,
    NAMED_BARRIER_NEVER_FULL,
    NO_MBARRIER_INIT,
    TOO_MANY_ARRIVALS,
    MBARRIER_NEVER_COMPLETE,
    RUNAWAY,
    PRODUCT_WITHOUT_FENCE,
    PRODUCT_OF_THREE_WARPS,
    ONE_BLOCK_OF_MANY,
    HALVES_WAIT_FOR_EACH_OTHER,
};

KERNEL(fault, WordsParams, 128) {
    DYNAMIC_SHARED(arena);
    Shared<float> words = arena.take<float>(64, 128);
    Shared<uint64_t> barrier = arena.take<uint64_t>(1);
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    uint32_t r[4];
    float acc[4] = {};
    switch (p.mode) {
        case OUT_OF_BOUNDS: if (tid == 70) words[64] = 1.0f; break;
        case BEFORE_BOUNDS: if (tid == 3) words[-1] = 1.0f; break;
        case ARENA_TOO_SMALL: arena.take<float>(1000); break;
        case MISALIGNED: if (tid == 1) view<float4>(words + 1)[0].x = 1.0f; break;
        case LDMATRIX_OUT_OF_BOUNDS: ldmatrix_x4(r, words + lane * 4); break;
        case MASK_WITHOUT_SELF: if (warp == 1) __syncwarp(0x7fffffffu); break;
        case SHUFFLE_OUTSIDE_MASK: if (lane < 4) __shfl_sync(0xfu, lane, 4); break;
        case DIVERGENT_BARRIER:
            if (lane < 7)
                __syncthreads();
            else
                __syncthreads();
            break;
        case WARP_WAITS_FOR_RETURNED: if (tid != 33) __syncwarp(); break;
        case BARRIER_COUNTS_DIFFER: named_barrier_sync(2, warp == 3 ? 96 : 128); break;
        case NAMED_BARRIER_NEVER_FULL: if (warp != 2) named_barrier_sync(3, 128); break;
        case NO_MBARRIER_INIT: if (tid == 0) mbarrier_arrive(barrier); break;
        case TOO_MANY_ARRIVALS:
            if (tid == 0) {
                mbarrier_init(barrier, 2);
                mbarrier_arrive_expect(barrier, 0);
                mbarrier_init_fence();
                mbarrier_arrive_expect(barrier, 16);
                mbarrier_arrive(barrier);
            }
            break;
        case MBARRIER_NEVER_COMPLETE:
            if (tid == 0) mbarrier_init(barrier, 3);
            __syncthreads();
            if (tid < 2) mbarrier_arrive(barrier);
            mbarrier_wait(barrier, 0);
            break;
        case RUNAWAY: while (true) __syncthreads();
        case PRODUCT_WITHOUT_FENCE: wgmma_m64k16<8>(acc, 0, 0, false); break;
        case PRODUCT_OF_THREE_WARPS:
            if (warp < 3) {
                wgmma_fence();
                wgmma_m64k16<8>(acc, 0, 0, false);
                wgmma_commit();
                wgmma_wait<0>();
            }
            break;
        case ONE_BLOCK_OF_MANY: if (blockIdx.x >= 5 && tid == 0) words[100] = 0.0f; break;
        case HALVES_WAIT_FOR_EACH_OTHER:
            if (warp == 0)
                named_barrier_sync(1, 64), named_barrier_sync(2, 64);
            else if (warp == 1)
                named_barrier_sync(2, 64), named_barrier_sync(1, 64);
            break;
    }
    if (acc[0] + (float)r[0] == 3.0f) global<float>(p.out)[0] = 1.0f;
}
#endif
