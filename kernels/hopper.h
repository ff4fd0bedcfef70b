// Instructions of sm_90a, one function each: mbarriers, tensor-map copies (TMA) and warpgroup matrix products (wgmma),
// PTX for the device and directly below it what it means. Clusters have one block. Kernels that use this header stand
// under `#if HAS_WGMMA`.
#pragma once
#include "tensor_core.h"

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HAS_WGMMA 1
#else
#define HAS_WGMMA 0
#endif

// Which address bits are xored: bits 4.. with bits 7.., over as many 16-byte chunks as the row has (PTX ISA, "Matrix
// Descriptor Format"). Tiles start at multiples of 8 rows of that width.
enum class Swizzle : uint32_t { None = 0, Bytes128 = 1, Bytes64 = 2, Bytes32 = 3 };

#ifdef __CUDACC__
// Encoded by cuTensorMapEncodeTiled.
struct alignas(64) TensorMap {
    unsigned char opaque[128];
};
#else
// The host's own encoding, filled by the launcher; the device's is opaque and as large.
struct alignas(64) TensorMap {
    uint64_t base, columns, rows, pitch;  // elements, rows, bytes between rows
    uint32_t box_columns, box_rows, element_bytes;
    Swizzle swizzle;
    uint32_t reserved[20];
};
#endif
static_assert(sizeof(TensorMap) == 128);

#ifndef __CUDACC__
namespace emu {

inline uint32_t swizzled(uint32_t address, Swizzle swizzle) {
    const uint32_t chunks = swizzle == Swizzle::None ? 0 : 16u >> (uint32_t)swizzle;
    return chunks ? address ^ (address >> 7 & (chunks - 1)) << 4 : address;
}

struct BulkCopy {
    const TensorMap* map;
    unsigned char* to;
    const void* barrier;
    int x, y;
    Site site;
    static void run(Block* block, const void* payload) {
        const BulkCopy& c = *(const BulkCopy*)payload;
        const TensorMap& m = *c.map;
        const uint32_t width = m.box_columns * m.element_bytes, start = (uint32_t)(c.to - block->shared);
        const int64_t left = max<int64_t>(c.x, 0), right = min<int64_t>((int64_t)c.x + m.box_columns, m.columns);
        for (uint32_t r = 0; r < m.box_rows; r++) {
            unsigned char row[1024] = {};  // what lies outside the tensor reads as zero
            const int64_t y = (int64_t)c.y + r;
            if (y >= 0 && y < (int64_t)m.rows && left < right)
                memcpy(row + (left - c.x) * m.element_bytes,
                       (const unsigned char*)m.base + y * m.pitch + left * m.element_bytes,
                       (right - left) * m.element_bytes);
            for (uint32_t chunk = 0; chunk < width; chunk += 16) {
                const uint32_t at = swizzled(start + r * width + chunk, m.swizzle);
                memcpy(block->shared + at, row + chunk, 16);
                memcpy(block->async_view + at, row + chunk, 16);
            }
        }
        block->api->mbarrier_complete(block, c.barrier, width * m.box_rows, &c.site);
    }
};

// Eight elements, k = 8·half ..., of a row of the K-major operand that `descriptor` describes.
inline const unsigned char* operand_chunk(Block* block, uint64_t descriptor, uint32_t row, uint32_t half,
                                          const Site& site) {
    const auto field = [descriptor](int at) { return (uint32_t)(descriptor >> at & 0x3fff) << 4; };
    const Swizzle swizzle = (Swizzle)(descriptor >> 62);
    uint32_t address = field(0) + row / 8 * field(32);
    if (swizzle == Swizzle::None)
        address += half * field(16) + row % 8 * 16;
    else
        address = swizzled(address + row % 8 * (256u >> (uint32_t)swizzle) + half * 16, swizzle);
    if (address + 16 > block->shared_bytes) block->api->out_of_bounds(block, &site, address, 16, block->shared_bytes);
    return block->async_view + address;
}
inline void operand_row(float* to, int stride, Block* block, uint64_t descriptor, uint32_t row, const Site& site) {
    for (uint32_t half = 0; half < 2; half++) {
        uint16_t chunk[8];
        memcpy(chunk, operand_chunk(block, descriptor, row, half, site), 16);
        for (uint32_t k = 0; k < 8; k++) to[(half * 8 + k) * stride] = __uint_as_float((uint32_t)chunk[k] << 16);
    }
}

// One warp's sixteen rows of a warpgroup's product.
struct WarpProduct {
    float* d[32];
    uint64_t a, b;
    uint32_t warp, accumulate;
    Site site;
    template <int N> static void run(Block* block, const void* payload) {
        const WarpProduct& p = *(const WarpProduct*)payload;
        float a[16][16], b[16][N], c[16][N];
        for (int m = 0; m < 16; m++) operand_row(a[m], 1, block, p.a, p.warp % 4 * 16 + m, p.site);
        for (int n = 0; n < N; n++) operand_row(&b[0][n], N, block, p.b, n, p.site);
        // Register 4j + 2h + e of a lane holds row g + 8h, column 8j + 2t + e.
        for (int l = 0; l < 32; l++)
            for (int i = 0; i < N / 2; i++)
                c[l / 4 + i / 2 % 2 * 8][i / 4 * 8 + l % 4 * 2 + i % 2] = p.accumulate ? p.d[l][i] : 0.0f;
        for (int m = 0; m < 16; m++)
            for (int k = 0; k < 16; k++)
                for (int n = 0; n < N; n++) c[m][n] += a[m][k] * b[k][n];
        for (int l = 0; l < 32; l++)
            for (int i = 0; i < N / 2; i++) p.d[l][i] = c[l / 4 + i / 2 % 2 * 8][i / 4 * 8 + l % 4 * 2 + i % 2];
    }
};
template <int N> struct Wgmma {
    float* d;
    uint64_t a, b;
    bool accumulate;
    const Site* site;
    static void lead(Lanes<Wgmma> lanes) {
        const Wgmma& op = lanes[0];
        WarpProduct product{{}, op.a, op.b, block->current->warp, op.accumulate, *op.site};
        for (int l = 0; l < 32; l++) {
            if (lanes[l].a != op.a || lanes[l].b != op.b || lanes[l].accumulate != op.accumulate)
                block->api->misuse(block, op.site, "operands differ between lanes");
            product.d[l] = lanes[l].d;
        }
        block->api->matrix_issue(block, op.site);
        block->api->defer(block, Queue::Matrix, WarpProduct::run<N>, &product, sizeof product, op.site);
    }
};
struct MatrixFence {
    const Site* site;
    static void lead(Lanes<MatrixFence> lanes) { block->api->matrix_fence(block, lanes[0].site); }
};
struct MatrixCommit {
    const Site* site;
    static void lead(Lanes<MatrixCommit> lanes) { block->api->commit(block, Queue::Matrix, lanes[0].site); }
};
template <int Pending> struct MatrixWait {
    const Site* site;
    static void lead(Lanes<MatrixWait> lanes) { block->api->wait(block, Queue::Matrix, Pending, lanes[0].site); }
};

}  // namespace emu
#endif

// Makes ready a barrier whose phases end after `count` arrivals and the bytes they announce.
DEVICE void mbarrier_init(Shared<uint64_t> barrier, uint32_t count HERE) {
#ifdef __CUDACC__
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
#else
    EMU_SITE("mbarrier.init");
    barrier.span(8, 8, site);
    emu::block->api->mbarrier_init(emu::block, barrier.get(), count, &site);
#endif
}

// Shows this thread's mbarrier_init to the asynchronous copies that will complete them.
DEVICE void mbarrier_init_fence(HERE0) {
#ifdef __CUDACC__
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
    EMU_SITE("fence.mbarrier_init");
    emu::block->api->mbarrier_fence(emu::block, &site);
#endif
}

DEVICE void mbarrier_arrive(Shared<uint64_t> barrier HERE) {
#ifdef __CUDACC__
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
#else
    EMU_SITE("mbarrier.arrive");
    barrier.span(8, 8, site);
    emu::block->api->mbarrier_arrive(emu::block, barrier.get(), 0, &site);
#endif
}

// Arrives and announces `bytes` that asynchronous copies will bring in this phase.
DEVICE void mbarrier_arrive_expect(Shared<uint64_t> barrier, uint32_t bytes HERE) {
#ifdef __CUDACC__
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
#else
    EMU_SITE("mbarrier.arrive.expect_tx");
    barrier.span(8, 8, site);
    emu::block->api->mbarrier_arrive(emu::block, barrier.get(), bytes, &site);
#endif
}

// Waits until the phase of this parity has ended: 0 for the first, then 1, 0, …
DEVICE void mbarrier_wait(Shared<uint64_t> barrier, uint32_t parity HERE) {
#ifdef __CUDACC__
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra AGAIN;\n"
        "}" ::"r"(shared_address(barrier)), "r"(parity)
        : "memory");
#else
    EMU_SITE("mbarrier.try_wait.parity");
    barrier.span(8, 8, site);
    emu::block->api->mbarrier_wait(emu::block, barrier.get(), parity, &site);
#endif
}

// Starts copying the map's box at (element `x`, row `y`) to `tile`, 128-byte aligned; its bytes complete on `barrier`.
template <class T>
DEVICE void tma_load_2d(Shared<T> tile, const TensorMap* map, int x, int y, Shared<uint64_t> barrier HERE) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
        :
        : "r"(shared_address(tile)), "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y)
        : "memory");
#else
    EMU_SITE("cp.async.bulk.tensor.2d");
    const uint32_t bytes = map->box_columns * map->element_bytes * map->box_rows;
    tile.span(bytes, map->swizzle == Swizzle::Bytes128 ? 1024 : 128, site);
    barrier.span(8, 8, site);
    const emu::BulkCopy copy{map, (unsigned char*)tile.get(), barrier.get(), x, y, site};
    emu::block->api->defer(emu::block, emu::Queue::Bulk, emu::BulkCopy::run, &copy, sizeof copy, &site);
    emu::block->api->copied(emu::block, bytes);
#endif
}

// Orders this thread's ordinary accesses to shared memory before later asynchronous ones (wgmma, TMA).
DEVICE void async_proxy_fence(HERE0) {
#ifdef __CUDACC__
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
    EMU_SITE("fence.proxy.async");
    emu::block->api->proxy_fence(emu::block, &site);
#endif
}

// Moves registers between warpgroups; every warp of the group calls it, at the head of its role's branch.
template <int Registers> DEVICE void registers_increase() {
#ifdef __CUDACC__
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}
template <int Registers> DEVICE void registers_decrease() {
#ifdef __CUDACC__
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}

// Describes a K-major operand tile of bf16 to wgmma. Swizzled: rows of the swizzle's width, `stride` bytes from one group
// of 8 rows to the next, `leading` unused. Unswizzled: 8 rows × 16 bytes make a contiguous core matrix, `leading` bytes
// from one to the next along K, `stride` along the rows.
template <class T>
DEVICE uint64_t wgmma_descriptor(Shared<T> tile, Swizzle swizzle, uint32_t stride, uint32_t leading = 16) {
    return (uint64_t)(shared_address(tile) >> 4 & 0x3fff) | (uint64_t)(leading >> 4 & 0x3fff) << 16 |
           (uint64_t)(stride >> 4 & 0x3fff) << 32 | (uint64_t)swizzle << 62;
}
// The same tile, `bytes` further along K.
DEVICE uint64_t wgmma_advance(uint64_t descriptor, uint32_t bytes) { return descriptor + (bytes >> 4); }

// Orders accesses to accumulators before the products that follow; needed at first and after every wait.
DEVICE void wgmma_fence(HERE0) {
#ifdef __CUDACC__
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
    EMU_SITE("wgmma.fence");
    emu::MatrixFence operand{&site};
    emu::collective(FULL_WARP, site, operand);
#endif
}

// Closes a group of products.
DEVICE void wgmma_commit(HERE0) {
#ifdef __CUDACC__
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
    EMU_SITE("wgmma.commit_group");
    emu::MatrixCommit operand{&site};
    emu::collective(FULL_WARP, site, operand);
#endif
}

// Waits until at most the `Pending` latest groups are under way; only then may their tiles and accumulators be touched.
template <int Pending> DEVICE void wgmma_wait(HERE0) {
#ifdef __CUDACC__
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
#else
    EMU_SITE("wgmma.wait_group");
    emu::MatrixWait<Pending> operand{&site};
    emu::collective(FULL_WARP, site, operand);
#endif
}

#ifdef __CUDACC__
// Operand lists: W8(i) names eight accumulators from the i-th on, P(t) ten placeholders %t0 … %t9.
#define W4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define W8(i) W4(i), W4(i + 4)
#define W16(i) W8(i), W8(i + 8)
#define W32(i) W16(i), W16(i + 16)
#define W48(i) W32(i), W16(i + 32)
#define W64(i) W32(i), W32(i + 32)
#define W96(i) W64(i), W32(i + 64)
#define W128(i) W64(i), W64(i + 64)
#define P4(t) "%" #t "0,%" #t "1,%" #t "2,%" #t "3"
#define P6(t) P4(t) ",%" #t "4,%" #t "5"
#define P8(t) P6(t) ",%" #t "6,%" #t "7"
#define P10(t) P8(t) ",%" #t "8,%" #t "9"
#define P40 P10() "," P10(1) "," P10(2) "," P10(3)
#define P80 P40 "," P10(4) "," P10(5) "," P10(6) "," P10(7)
#define WGMMA(n, placeholders, outputs, a_, b_, scale_)                                                       \
    if constexpr (N == n)                                                                                     \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" scale_ ", 0;\n"                                     \
                     "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" placeholders "}, %" a_ ", %" b_ \
                     ", p, 1, 1, 0, 0;\n}"                                                                    \
                     : outputs                                                                                \
                     : "l"(a), "l"(b), "r"((int)accumulate)                                                   \
                     : "memory")
#endif

// D[64, N] (+)= A[64, 16] · B[N, 16]ᵀ over bf16 tiles in shared memory, asynchronously, by the four warps of a warpgroup
// (the first one's index a multiple of 4); f32 sums, started from zero where not `accumulate`. N: 8 to 256.
template <int N>
DEVICE void wgmma_m64k16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate HERE) {
    static_assert(N == 8 || N == 16 || N == 32 || N == 64 || N == 96 || N == 128 || N == 192 || N == 256);
#ifdef __CUDACC__
    WGMMA(8, P4(), W4(0), "4", "5", "6");
    WGMMA(16, P8(), W8(0), "8", "9", "10");
    WGMMA(32, P10() "," P6(1), W16(0), "16", "17", "18");
    WGMMA(64, P10() "," P10(1) "," P10(2) ",%30,%31", W32(0), "32", "33", "34");
    WGMMA(96, P40 "," P8(4), W48(0), "48", "49", "50");
    WGMMA(128, P40 "," P10(4) "," P10(5) "," P4(6), W64(0), "64", "65", "66");
    WGMMA(192, P80 "," P10(8) "," P6(9), W96(0), "96", "97", "98");
    WGMMA(256, P80 "," P10(8) "," P10(9) "," P10(10) "," P10(11) "," P8(12), W128(0), "128", "129", "130");
#else
    EMU_SITE("wgmma.mma_async");
    emu::Wgmma<N> operand{d, a, b, accumulate, &site};
    emu::collective(FULL_WARP, site, operand);
#endif
}
#ifdef __CUDACC__
#undef W4
#undef W8
#undef W16
#undef W32
#undef W48
#undef W64
#undef W96
#undef W128
#undef P4
#undef P6
#undef P8
#undef P10
#undef P40
#undef P80
#undef WGMMA
#endif
