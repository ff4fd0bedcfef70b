// Single instructions, each in a kernel that shows what it does to a warp's registers.
#include "hopper.h"
#include "params.h"

// Each thread counts itself into the word of its place, and writes its sizes once.
KERNEL(places, WordsParams, 1024) {
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    atomicAdd(&global<uint32_t>(p.out)[block * threads + thread], 1u);
    __syncthreads();
}

// out[mode · 32 + lane], of in[lane].
KERNEL(shuffles, WordsParams, 32) {
    const int lane = threadIdx.x;
    const uint32_t v = global<const uint32_t>(p.in)[lane];
    Global<uint32_t> out = global<uint32_t>(p.out) + lane;
    out[0 * 32] = __shfl_sync(FULL_WARP, v, 5);
    out[1 * 32] = __shfl_sync(FULL_WARP, v, lane + 1);
    out[2 * 32] = __shfl_sync(FULL_WARP, v, 1, 8);
    out[3 * 32] = __shfl_xor_sync(FULL_WARP, v, 3);
    out[4 * 32] = __shfl_up_sync(FULL_WARP, v, 2);
    out[5 * 32] = __shfl_down_sync(FULL_WARP, v, 2, 16);
    out[6 * 32] = __ballot_sync(FULL_WARP, v & 1);
    out[7 * 32] = __any_sync(FULL_WARP, v == 7);
    out[8 * 32] = __all_sync(FULL_WARP, v == 7);
    out[9 * 32] = __reduce_add_sync(FULL_WARP, v);
    out[10 * 32] = __reduce_max_sync(FULL_WARP, v);
    out[11 * 32] = (uint32_t)__reduce_min_sync(FULL_WARP, -(int)v);
    // Halves of a warp may come together on their own.
    if (lane < 16)
        out[12 * 32] = __shfl_sync(0x0000ffffu, v, 0);
    else
        out[12 * 32] = __shfl_sync(0xffff0000u, v, 31);
    __syncwarp();
    out[13 * 32] = __reduce_xor_sync(FULL_WARP, v);
}

// Shared memory holds 0, 1, 2, … as 16-bit words in rows of 8; each register of each form goes to out.
KERNEL(load_matrices, WordsParams, 32) {
    DYNAMIC_SHARED(arena);
    Shared<uint16_t> words = arena.take<uint16_t>(256, 16);
    const int lane = threadIdx.x;
    for (int i = lane; i < 256; i += 32) words[i] = (uint16_t)i;
    __syncwarp();
    Shared<uint16_t> row = words + lane * 8;
    uint32_t r1[1], r2[2], r4[4], t1[1], t2[2], t4[4];
    ldmatrix_x1(r1, row);
    ldmatrix_x2(r2, row);
    ldmatrix_x4(r4, row);
    ldmatrix_x1_trans(t1, row);
    ldmatrix_x2_trans(t2, row);
    ldmatrix_x4_trans(t4, row);
    Global<uint32_t> out = global<uint32_t>(p.out) + lane;
    out[0] = r1[0];
    for (int i = 0; i < 2; i++) out[(1 + i) * 32] = r2[i];
    for (int i = 0; i < 4; i++) out[(3 + i) * 32] = r4[i];
    out[7 * 32] = t1[0];
    for (int i = 0; i < 2; i++) out[(8 + i) * 32] = t2[i];
    for (int i = 0; i < 4; i++) out[(10 + i) * 32] = t4[i];
}

// D[16, 8] = A[16, 8] · B[8, 8] in tf32; A by rows at in, B by rows after it.
KERNEL(multiply_tf32, WordsParams, 32) {
    Global<const uint32_t> a = global<const uint32_t>(p.in), b = a + 128;
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    const uint32_t fa[4] = {a[g * 8 + t], a[(g + 8) * 8 + t], a[g * 8 + t + 4], a[(g + 8) * 8 + t + 4]};
    const uint32_t fb[2] = {b[t * 8 + g], b[(t + 4) * 8 + g]};
    float d[4] = {};
    mma_m16n8k8_tf32(d, fa, fb);
    Global<float> out = global<float>(p.out);
    for (int i = 0; i < 4; i++) out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

// Odd warps hand 32 words each to the even warp before them through a named barrier of the pair.
KERNEL(pairs, WordsParams, 128) {
    DYNAMIC_SHARED(arena);
    Shared<uint32_t> words = arena.take<uint32_t>(64);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, pair = warp / 2;
    if (warp % 2) {
        words[pair * 32 + lane] = global<const uint32_t>(p.in)[pair * 32 + lane];
        named_barrier_arrive(1 + pair, 64);
    } else {
        named_barrier_sync(1 + pair, 64);
        global<uint32_t>(p.out)[pair * 32 + lane] = words[pair * 32 + 31 - lane];
    }
}

// cp.async of 4, 8 and 16 bytes, of which the source has 4 less.
KERNEL(short_copies, WordsParams, 32) {
    DYNAMIC_SHARED(arena);
    Shared<uint32_t> words = arena.take<uint32_t>(7, 16);
    Global<const uint32_t> in = global<const uint32_t>(p.in);
    if (threadIdx.x == 0) {
        cp_async<16>(words, in, 12);
        cp_async<8>(words + 4, in + 4, 4);
        cp_async<4>(words + 6, in + 6, 0);
        cp_async_commit();
        cp_async_wait<0>();
        for (int i = 0; i < 7; i++) global<uint32_t>(p.out)[i] = words[i];
    }
}

KERNEL(atomics, WordsParams, 256) {
    DYNAMIC_SHARED(arena);
    Shared<uint32_t> words = arena.take<uint32_t>(2);
    const uint32_t tid = threadIdx.x;
    if (tid < 2) words[tid] = 0;
    __syncthreads();
    atomicAdd(&words[0], tid);
    atomicMax(&words[1], tid ^ 85u);
    __threadfence();
    __syncthreads();
    if (tid == 0) {
        atomicAdd(&global<uint32_t>(p.out)[0], words[0]);
        atomicMin(&global<uint32_t>(p.out)[1], words[1]);
        atomicAdd(&global<float>(p.out)[2], 0.5f);
        atomicCAS(&global<uint32_t>(p.out)[3], 9u, 10u + blockIdx.x);
    }
}

// out[i] = bf16 bits of in[i], and of the values that scalar functions give.
KERNEL(scalars, WordsParams, 32) {
    Global<const float> in = global<const float>(p.in);
    Global<uint32_t> out = global<uint32_t>(p.out);
    for (unsigned i = threadIdx.x; i < p.n; i += blockDim.x)
        out[i] = __bfloat16_as_ushort(__float2bfloat16_rn(in[i]));
    if (threadIdx.x == 0) {
        out = out + p.n;
        out[0] = __umulhi(0xd2511f53u, 0x12345678u);
        out[1] = __float_as_uint(__fsqrt_rn(2.0f));
        out[2] = __float_as_uint(fmaf(0.1f, 0.1f, -0.01f));
        out[3] = __popc(0xf0f01u) | __clz(1) << 8 | __ffs(8) << 16;
        out[4] = __byte_perm(0x33221100u, 0x77665544u, 0x7531u);
        out[5] = __brev(0x80000001u);
        out[6] = (uint32_t)__float2int_rn(2.5f);
        out[7] = __float_as_uint(__low2float(__floats2bfloat162_rn(1.0f, 2.0f)));
    }
}

#if HAS_WGMMA
struct BoxParams {
    TensorMap map;
    uint64_t out;
    int32_t x, y;
    uint32_t words, padding[11];
};

// Brings one box to shared memory and writes it out as it lies there.
KERNEL(load_box, BoxParams, 32) {
    DYNAMIC_SHARED(arena);
    Shared<uint32_t> tile = arena.take<uint32_t>(p.words, 1024);
    Shared<uint64_t> barrier = arena.take<uint64_t>(1);
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(barrier, p.words * 4);
        tma_load_2d(tile, &p.map, p.x, p.y, barrier);
    }
    __syncthreads();
    mbarrier_wait(barrier, 0);
    for (unsigned i = threadIdx.x; i < p.words; i += 32) global<uint32_t>(p.out)[i] = tile[i];
}

// D[64, N] = A[64, 16] · B[N, 16]ᵀ without swizzle: A by rows at in, B after it. Core matrices of 8 rows × 16 bytes, those
// along K one after the other.
template <int N> DEVICE void multiply_plain(const WordsParams& p) {
    DYNAMIC_SHARED(arena);
    Shared<uint16_t> a = arena.take<uint16_t>(64 * 16, 128), b = arena.take<uint16_t>(N * 16, 128);
    Global<const uint16_t> in = global<const uint16_t>(p.in);
    for (int i = threadIdx.x; i < (64 + N) * 16; i += 128) {
        const int row = i / 16 % 64, k = i % 16;
        const int n = i / 16 - 64;
        if (i < 64 * 16)
            a[row / 8 * 128 + k / 8 * 64 + row % 8 * 8 + k % 8] = in[i];
        else
            b[n / 8 * 128 + k / 8 * 64 + n % 8 * 8 + k % 8] = in[i];
    }
    async_proxy_fence();
    __syncthreads();
    float acc[N / 2];
    wgmma_fence();
    const uint64_t da = wgmma_descriptor(a, Swizzle::None, 256, 128), db = wgmma_descriptor(b, Swizzle::None, 256, 128);
    wgmma_m64k16<N>(acc, da, db, false);
    wgmma_commit();
    wgmma_wait<0>();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        const int m = warp * 16 + lane / 4 + i / 2 % 2 * 8, n = i / 4 * 8 + lane % 4 * 2 + i % 2;
        global<float>(p.out)[m * N + n] = acc[i];
    }
}
KERNEL(multiply_plain_8, WordsParams, 128) { multiply_plain<8>(p); }
KERNEL(multiply_plain_96, WordsParams, 128) { multiply_plain<96>(p); }
KERNEL(multiply_plain_256, WordsParams, 128) { multiply_plain<256>(p); }
#endif
