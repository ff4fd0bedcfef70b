// Warp-level matrix instructions and asynchronous copies of sm_80 and up, one function each: PTX for the device, and
// directly below it what it means. Fragment layouts are PTX ISA's ("Matrix Fragments for mma.m16n8k16"), in terms of
// g = lane / 4 and t = lane % 4.
#pragma once
#include "kernel.h"

#ifndef __CUDACC__
namespace emu {

inline float bf16_low(uint32_t pair) { return __uint_as_float(pair << 16); }
inline float bf16_high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

// C[16, 8] += A[16, K] · B[K, 8], products added one by one in the order of k.
template <int K> inline void multiply(float (&c)[16][8], const float (&a)[16][K], const float (&b)[K][8]) {
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < K; k++)
            for (int n = 0; n < 8; n++) c[m][n] += a[m][k] * b[k][n];
}

struct Mma {
    float* d;
    const uint32_t *a, *b;
    // Runs `load(lane's fragments, g, t)` on every lane, multiplies, and hands each lane its part of D.
    template <int K, class Load> static void run(Lanes<Mma> lanes, Load load) {
        float a[16][K], b[K][8], c[16][8];
        for (int l = 0; l < 32; l++) {
            const int g = l / 4, t = l % 4;
            load(lanes[l], a, b, g, t);
            for (int i = 0; i < 4; i++) c[g + i / 2 * 8][2 * t + i % 2] = lanes[l].d[i];
        }
        multiply(c, a, b);
        for (int l = 0; l < 32; l++)
            for (int i = 0; i < 4; i++) lanes[l].d[i] = c[l / 4 + i / 2 * 8][l % 4 * 2 + i % 2];
    }
};
struct MmaBf16 : Mma {
    static void lead(Lanes<MmaBf16> lanes) {
        run<16>({lanes.posted, lanes.mask}, [](const Mma& f, float(&a)[16][16], float(&b)[16][8], int g, int t) {
            for (int i = 0; i < 4; i++) {  // registers: rows g and g + 8, then the same of the right half
                a[g + i % 2 * 8][2 * t + i / 2 * 8] = bf16_low(f.a[i]);
                a[g + i % 2 * 8][2 * t + i / 2 * 8 + 1] = bf16_high(f.a[i]);
            }
            for (int i = 0; i < 2; i++) {
                b[2 * t + i * 8][g] = bf16_low(f.b[i]);
                b[2 * t + i * 8 + 1][g] = bf16_high(f.b[i]);
            }
        });
    }
};
struct MmaTf32 : Mma {
    static void lead(Lanes<MmaTf32> lanes) {
        run<8>({lanes.posted, lanes.mask}, [](const Mma& f, float(&a)[16][8], float(&b)[8][8], int g, int t) {
            for (int i = 0; i < 4; i++) a[g + i % 2 * 8][t + i / 2 * 4] = __uint_as_float(f.a[i] & ~0x1fffu);
            for (int i = 0; i < 2; i++) b[t + i * 4][g] = __uint_as_float(f.b[i] & ~0x1fffu);
        });
    }
};

// Lane 8i + r gives the address of row r of matrix i: 8 rows of 8 16-bit elements.
struct LoadMatrix {
    const unsigned char* row;
    uint32_t* registers;
    template <int Count, bool Transposed> static void run(Lanes<LoadMatrix> lanes) {
        for (int i = 0; i < Count; i++) {
            const unsigned char* rows[8];
            for (int r = 0; r < 8; r++) rows[r] = lanes[8 * i + r].row;
            if (block->profile) block->api->request(block, Space::Shared, (const void* const*)rows, 8, 16);
            for (int l = 0; l < 32; l++) {
                uint16_t pair[2];
                for (int j = 0; j < 2; j++) {
                    const int row = Transposed ? l % 4 * 2 + j : l / 4, column = Transposed ? l / 4 : l % 4 * 2 + j;
                    memcpy(&pair[j], rows[row] + 2 * column, 2);
                }
                memcpy(&lanes[l].registers[i], pair, 4);
            }
        }
    }
};
template <int Count, bool Transposed> struct LoadMatrices : LoadMatrix {
    static void lead(Lanes<LoadMatrices> lanes) { run<Count, Transposed>({lanes.posted, lanes.mask}); }
};
template <int Count, bool Transposed, class T>
inline void load_matrices(uint32_t (&r)[Count], Shared<T> row, const Site& site) {
    if (lane() < 8 * Count) row.span(16, 16, site);
    LoadMatrices<Count, Transposed> operand{{(const unsigned char*)row.get(), r}};
    collective(FULL_WARP, site, operand);
}

struct Copy {
    void* to;
    const void* from;
    uint32_t bytes, filled;
    static void run(Block*, const void* payload) {
        const Copy* c = (const Copy*)payload;
        memcpy(c->to, c->from, c->bytes);
        memset((char*)c->to + c->bytes, 0, c->filled - c->bytes);
    }
};

}  // namespace emu
#endif

// D[16, 8] += A[16, 16] · B[16, 8], bf16 operands (A by rows, B by columns), f32 sums.
DEVICE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] HERE) {
#ifdef __CUDACC__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    EMU_SITE("mma.m16n8k16");
    emu::MmaBf16 operand{{d, a, b}};
    emu::collective(FULL_WARP, site, operand);
#endif
}

// D[16, 8] += A[16, 8] · B[8, 8], tf32 operands: f32 words whose lowest 13 bits are not looked at.
DEVICE void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] HERE) {
#ifdef __CUDACC__
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    EMU_SITE("mma.m16n8k8.tf32");
    emu::MmaTf32 operand{{d, a, b}};
    emu::collective(FULL_WARP, site, operand);
#endif
}

// Loads `1`, `2` or `4` 8×8 matrices of 16-bit elements; register i holds elements (g, 2t), (g, 2t + 1) of matrix i, or
// with `_trans` (2t, g), (2t + 1, g). Lane 8i + r points at row r of matrix i, 16-byte aligned.
#ifdef __CUDACC__
#define LDMATRIX_1(form, r, row)                                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" form ".shared.b16 {%0}, [%1];" \
                 : "=r"(r[0]) : "r"(shared_address(row)) : "memory")
#define LDMATRIX_2(form, r, row)                                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" form ".shared.b16 {%0,%1}, [%2];" \
                 : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory")
#define LDMATRIX_4(form, r, row)                                                        \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" form ".shared.b16 {%0,%1,%2,%3}, [%4];" \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory")
#define LDMATRIX(name, count, form, transposed) \
    template <class T> DEVICE void name(uint32_t (&r)[count], Shared<T> row) { LDMATRIX_##count(form, r, row); }
#else
#define LDMATRIX(name, count, form, transposed)                              \
    template <class T> DEVICE void name(uint32_t (&r)[count], Shared<T> row HERE) { \
        EMU_SITE("ldmatrix.x" #count form);                                  \
        emu::load_matrices<count, transposed>(r, row, site);                 \
    }
#endif
LDMATRIX(ldmatrix_x1, 1, "", false)
LDMATRIX(ldmatrix_x2, 2, "", false)
LDMATRIX(ldmatrix_x4, 4, "", false)
LDMATRIX(ldmatrix_x1_trans, 1, ".trans", true)
LDMATRIX(ldmatrix_x2_trans, 2, ".trans", true)
LDMATRIX(ldmatrix_x4_trans, 4, ".trans", true)

// Copies `bytes` (of `Bytes`: 4, 8 or 16, both sides so aligned) from global to shared memory and zeroes the rest,
// asynchronously: complete for this thread after a wait that covers its group. 16 bytes bypass L1.
template <int Bytes, class To, class From>
DEVICE void cp_async(Shared<To> to, Global<From> from, uint32_t bytes = Bytes HERE) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async moves 4, 8 or 16 bytes");
#ifdef __CUDACC__
    const uint32_t at = shared_address(to);
    if constexpr (Bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(from), "n"(Bytes), "r"(bytes)
                     : "memory");
#else
    EMU_SITE("cp.async");
    to.span(Bytes, Bytes, site);
    from.span(bytes, Bytes, site);
    if (bytes > Bytes) emu::block->api->misuse(emu::block, &site, "source longer than the copy");
    if (emu::block->profile) {
        emu::block->api->access(emu::block, emu::Space::Shared, to.get(), Bytes, &site);
        if (bytes) emu::block->api->access(emu::block, emu::Space::Global, from.get(), Bytes, &site);
    }
    const emu::Copy copy{(void*)to.get(), from.get(), bytes, Bytes};
    emu::block->api->defer(emu::block, emu::Queue::Copy, emu::Copy::run, &copy, sizeof copy, &site);
    emu::block->api->copied(emu::block, bytes);
#endif
}

// Closes a group of this thread's copies.
DEVICE void cp_async_commit(HERE0) {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    EMU_SITE("cp.async.commit_group");
    emu::block->api->commit(emu::block, emu::Queue::Copy, &site);
#endif
}

// Waits until at most the `Pending` latest groups of this thread are under way.
template <int Pending> DEVICE void cp_async_wait(HERE0) {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#else
    EMU_SITE("cp.async.wait_group");
    emu::block->api->wait(emu::block, emu::Queue::Copy, Pending, &site);
#endif
}
