// The largest of values and the lowest of its columns. NaN loses to every number; among nothing but NaN there is no column.
#pragma once
#include "epilogue.h"

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

// In an epilogue's place: of each row of a tile of sums the best alone is kept, for arg_max_finish.
struct ArgMaxEpilogue {
    const ArgMaxParams& p;
};

// As for every epilogue (epilogue.h), but row by row, each a warp's.
template <uint32_t M, uint32_t N, uint32_t THREADS, bool SCALED>
DEVICE void finish(Shared<const float> sums, Shared<const float>, const Shape& shape, uint32_t first_row,
                   uint32_t first_column, const ArgMaxEpilogue& epilogue) {
    static_assert(!SCALED && N % 32 == 0, "a warp's lanes side by side");
    const uint32_t lane = threadIdx.x % 32, rows = min(shape.rows - first_row, M);
    const uint32_t columns = min(shape.n - first_column, N), tiles = epilogue.p.tiles;
    const Global<ArgMaxPartial> partials = global<ArgMaxPartial>(epilogue.p.partials);
    for (uint32_t row = threadIdx.x / 32; row < rows; row += THREADS / 32) {
        Best best = nothing();
#pragma unroll
        for (uint32_t i = 0; i < N / 32; i++) {
            const uint32_t column = i * 32 + lane;
            if (column < columns) keep(best, sums[row * SUMS_PITCH<N> + column], first_column + column);
        }
        best = best_of_lanes<32>(best);
        if (lane == 0) partials[(size_t)(first_row + row) * tiles + first_column / N] = {best.value, best.column};
    }
}
