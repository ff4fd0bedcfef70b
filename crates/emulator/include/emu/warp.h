// Warp collectives: each lane posts its operand, and the lane that comes last computes for all of them.
#pragma once
#include <string.h>
#include "abi.h"
#include "bf16.h"

namespace emu {

// What the lanes of a collective posted; each still stands in its own fiber.
template <class Operand> struct Lanes {
    void* const* posted;
    uint32_t mask;
    bool has(int lane) const { return mask >> lane & 1; }
    Operand& operator[](int lane) const { return *(Operand*)posted[lane]; }
};

// Posts `operand` and returns once `Operand::lead` has seen those of every lane in `mask`.
template <class Operand> inline void collective(uint32_t mask, const Site& site, Operand& operand) {
    block->api->collective(block, mask, &site, &operand, [](void* const* posted, uint32_t m) {
        Operand::lead(Lanes<Operand>{posted, m});
    });
}

struct Shuffle {
    uint64_t value, result;
    int source;
    const Site* site;
    static void lead(Lanes<Shuffle> lanes) {
        for (int l = 0; l < 32; l++) {
            if (!lanes.has(l)) continue;
            if (!lanes.has(lanes[l].source)) block->api->misuse(block, lanes[l].site, "reads a lane outside the mask");
            lanes[l].result = lanes[lanes[l].source].value;
        }
    }
};
template <class T> inline T shuffle(uint32_t mask, T value, int source, const Site& site) {
    static_assert(sizeof(T) <= 8, "a shuffle moves up to eight bytes");
    Shuffle operand{0, 0, source, &site};
    memcpy(&operand.value, &value, sizeof(T));
    collective(mask, site, operand);
    memcpy(&value, &operand.result, sizeof(T));
    return value;
}

// Folds the values of all lanes, lowest lane first.
template <class T, class Fold> struct Reduction {
    T value;
    static void lead(Lanes<Reduction> lanes) {
        const int low = __builtin_ctz(lanes.mask);
        T total = lanes[low].value;
        for (int l = low + 1; l < 32; l++)
            if (lanes.has(l)) total = Fold{}(total, lanes[l].value);
        for (int l = low; l < 32; l++)
            if (lanes.has(l)) lanes[l].value = total;
    }
};
template <class Fold, class T> inline T reduce(uint32_t mask, T value, const Site& site) {
    Reduction<T, Fold> operand{value};
    collective(mask, site, operand);
    return operand.value;
}

struct Sum { template <class T> T operator()(T a, T b) const { return (T)((uint64_t)a + (uint64_t)b); } };
struct Min { template <class T> T operator()(T a, T b) const { return b < a ? b : a; } };
struct Max { template <class T> T operator()(T a, T b) const { return a < b ? b : a; } };
struct And { template <class T> T operator()(T a, T b) const { return a & b; } };
struct Or { template <class T> T operator()(T a, T b) const { return a | b; } };
struct Xor { template <class T> T operator()(T a, T b) const { return a ^ b; } };

inline int lane() { return (int)block->current->lane; }

}  // namespace emu

inline void __syncwarp(uint32_t mask = 0xffffffffu EMU_HERE) {
    EMU_SITE("__syncwarp");
    if (emu::block->api->removed(emu::block, &site, true)) return;
    emu::block->api->collective(emu::block, mask, &site, nullptr, nullptr);
}
template <class T> inline T __shfl_sync(uint32_t mask, T value, int source, int width = 32 EMU_HERE) {
    EMU_SITE("__shfl_sync");
    return emu::shuffle(mask, value, (emu::lane() & ~(width - 1)) | (source & (width - 1)), site);
}
template <class T> inline T __shfl_xor_sync(uint32_t mask, T value, int with, int width = 32 EMU_HERE) {
    EMU_SITE("__shfl_xor_sync");
    const int lane = emu::lane(), source = lane ^ with;
    return emu::shuffle(mask, value, source / width > lane / width ? lane : source, site);
}
template <class T> inline T __shfl_down_sync(uint32_t mask, T value, unsigned by, int width = 32 EMU_HERE) {
    EMU_SITE("__shfl_down_sync");
    const int lane = emu::lane();
    return emu::shuffle(mask, value, (lane & (width - 1)) + (int)by < width ? lane + (int)by : lane, site);
}
template <class T> inline T __shfl_up_sync(uint32_t mask, T value, unsigned by, int width = 32 EMU_HERE) {
    EMU_SITE("__shfl_up_sync");
    const int lane = emu::lane();
    return emu::shuffle(mask, value, (lane & (width - 1)) >= (int)by ? lane - (int)by : lane, site);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate EMU_HERE) {
    EMU_SITE("__ballot_sync");
    return emu::reduce<emu::Or>(mask, predicate ? 1u << emu::lane() : 0u, site);
}
inline int __any_sync(uint32_t mask, int predicate EMU_HERE) {
    EMU_SITE("__any_sync");
    return emu::reduce<emu::Or>(mask, (int)(predicate != 0), site);
}
inline int __all_sync(uint32_t mask, int predicate EMU_HERE) {
    EMU_SITE("__all_sync");
    return emu::reduce<emu::And>(mask, (int)(predicate != 0), site);
}
#define EMU_REDUCE(name, T, Fold)               \
    inline T name(uint32_t mask, T value EMU_HERE) { \
        EMU_SITE(#name);                        \
        return emu::reduce<emu::Fold>(mask, value, site); \
    }
EMU_REDUCE(__reduce_add_sync, unsigned, Sum)
EMU_REDUCE(__reduce_min_sync, unsigned, Min)
EMU_REDUCE(__reduce_max_sync, unsigned, Max)
EMU_REDUCE(__reduce_and_sync, unsigned, And)
EMU_REDUCE(__reduce_or_sync, unsigned, Or)
EMU_REDUCE(__reduce_xor_sync, unsigned, Xor)
EMU_REDUCE(__reduce_add_sync, int, Sum)
EMU_REDUCE(__reduce_min_sync, int, Min)
EMU_REDUCE(__reduce_max_sync, int, Max)
#undef EMU_REDUCE
