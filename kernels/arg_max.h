// The largest of values and the lowest of its columns. NaN loses to every number; among nothing but NaN there is no column.
#pragma once
#include "kernel.h"
#include "params.h"

constexpr uint32_t NO_COLUMN = 0xffffffffu;

struct Best {
    float value;
    uint32_t column;
};
DEVICE Best nothing() { return {-INFINITY, NO_COLUMN}; }

// Of any values in any order: what is kept is the same.
DEVICE void keep(Best& best, float value, uint32_t column) {
    if (value > best.value || (value == best.value && column < best.column)) best = {value, column};
}

// The best of `LANES` neighbouring lanes, for each of them.
template <int LANES> DEVICE Best best_of_lanes(Best best) {
#pragma unroll
    for (int apart = 1; apart < LANES; apart *= 2) {
        const float value = __shfl_xor_sync(FULL_WARP, best.value, apart);
        const uint32_t column = __shfl_xor_sync(FULL_WARP, best.column, apart);
        keep(best, value, column);
    }
    return best;
}

// What a tile of columns leaves for `arg_max_finish`.
DEVICE void store_partial(const ArgMaxParams& p, uint32_t row, uint32_t tile, Best best) {
    global<ArgMaxPartial>(p.partials)[(size_t)row * p.tiles + tile] = {best.value, best.column};
}
