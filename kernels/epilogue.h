// What becomes of a product while it is hot. An epilogue is a functor
//
//     float2 before(row, column)                   what it reads of memory for a pair of columns
//     void pair(row, column, float2 v, float2 b)   v: the pair's sums, b: what `before` read
//
// over two neighbouring columns of one row, the first of them even. It knows nothing of tiles and fragments: the main
// loops leave their sums in shared memory, and `finish` hands them over, so that a warp writes whole lines of a row.
// Functions have one exit: on early returns in inlined code nvcc 13.0 (cicc) runs without end.
#pragma once
#include "activation.h"
#include "pair.h"
#include "perturbation.h"

// The product's extents: x [rows][k], weight [n][k].
struct Shape {
    uint32_t rows, n, k;
};

DEVICE float2 load_pair(Global<const float> from) { return view<const float2>(from)[0]; }
DEVICE float2 add_pair(float2 a, float2 b) { return make_float2(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y)); }

// Sums of a tile of N columns stand so far apart in shared memory that neither fragments (mma's, wgmma's) nor rows meet
// on a bank.
template <uint32_t N> constexpr uint32_t SUMS_PITCH = N + 8;

// Hands the sums [M][SUMS_PITCH<N>] of the tile at (first_row, first_column) to the epilogue, multiplied by their row's
// factor where there are factors. Several pairs a thread are read before the first is written, and the reads of
// different threads lie side by side.
template <uint32_t M, uint32_t N, uint32_t THREADS, bool SCALED, class Epilogue>
DEVICE void finish(Shared<const float> sums, Shared<const float> factors, const Shape& shape, uint32_t first_row,
                   uint32_t first_column, const Epilogue& epilogue) {
    constexpr uint32_t PAIRS = N / 2, BATCH = M * PAIRS / THREADS < 4 ? M * PAIRS / THREADS : 4;
    static_assert(M * PAIRS % (BATCH * THREADS) == 0, "whole batches");
    const uint32_t rows = min(shape.rows - first_row, M), columns = min(shape.n - first_column, N);
#pragma unroll 1
    for (uint32_t first = threadIdx.x; first < rows * PAIRS; first += BATCH * THREADS) {
        float2 before[BATCH];
#pragma unroll
        for (uint32_t i = 0; i < BATCH; i++) {
            const uint32_t row = (first + i * THREADS) / PAIRS, column = (first + i * THREADS) % PAIRS * 2;
            if (row < rows && column < columns) before[i] = epilogue.before(first_row + row, first_column + column);
        }
#pragma unroll
        for (uint32_t i = 0; i < BATCH; i++) {
            const uint32_t row = (first + i * THREADS) / PAIRS, column = (first + i * THREADS) % PAIRS * 2;
            if (row < rows && column < columns) {
                float2 v = view<const float2>(sums + (row * SUMS_PITCH<N> + column))[0];
                if constexpr (SCALED) v = make_float2(__fmul_rn(v.x, factors[row]), __fmul_rn(v.y, factors[row]));
                epilogue.pair(first_row + row, first_column + column, v, before[i]);
            }
        }
    }
}

// Everything that keeps the width.
struct LinearEpilogue {
    const LinearParams& p;

    DEVICE float2 before(uint32_t row, uint32_t column) const {
        float2 v = make_float2(0.0f, 0.0f);
        if (p.epilogue == EPILOGUE_RESIDUAL)
            v = load_pair(global<const float>(p.out.data) + ((size_t)row * p.out.pitch + column));
        return v;
    }

    DEVICE void pair(uint32_t row, uint32_t column, float2 v, float2 before) const {
        if (p.bias) v = add_pair(v, load_pair(global<const float>(p.bias) + column));
        if (p.epilogue == EPILOGUE_GELU_TANH)
            v = make_float2(gelu_tanh(v.x), gelu_tanh(v.y));
        else if (p.epilogue == EPILOGUE_GELU_ERF)
            v = make_float2(gelu_erf(v.x), gelu_erf(v.y));
        else if (p.epilogue == EPILOGUE_RESIDUAL)
            v = add_pair(before, perturb_pair(p.perturbation, row, column, v));
        store_pair(p.out.data, p.out.dtype, (size_t)row * p.out.pitch + column, v);
    }
};

// silu(even column) * odd column.
struct SwigluEpilogue {
    const LinearParams& p;

    DEVICE float2 before(uint32_t, uint32_t) const { return make_float2(0.0f, 0.0f); }
    DEVICE void pair(uint32_t row, uint32_t column, float2 v, float2) const {
        store_one(p.out.data, p.out.dtype, (size_t)row * p.out.pitch + column / 2, swiglu(v.x, v.y));
    }
};

// injected + sum.
struct AdapterEpilogue {
    const AdapterParams& p;

    DEVICE float2 before(uint32_t row, uint32_t column) const {
        return load_pair(global<const float>(p.injected.data) + ((size_t)row * p.injected.pitch + column));
    }
    DEVICE void pair(uint32_t row, uint32_t column, float2 v, float2 before) const {
        store_pair(p.out.data, p.out.dtype, (size_t)row * p.out.pitch + column, add_pair(before, v));
    }
};

// Which channel of the result a column of the product is. Channels i and i + d/2 of a head are neighbouring columns
// where they are rotated together, so that every rotation is one pair's; weights are rows, and rows may come in any order.
struct HeadColumns {
    uint32_t head_dim, split;  // columns below `split` belong to heads in that order

    DEVICE explicit HeadColumns(const QkvParams& p)
        : head_dim(p.head_dim),
          split(p.rotate == ROTATE_HALF_SPLIT ? (p.query_heads + p.kv_heads) * p.head_dim : 0) {}
    DEVICE uint32_t operator()(uint32_t column) const {
        const uint32_t within = column % head_dim, paired = within / 2 + within % 2 * (head_dim / 2);
        return column < split ? column - within + paired : column;
    }
};

// Bias, rotation, and every channel to its place: queries to `out`, keys and values to the row's slot.
struct QkvEpilogue {
    const QkvParams& p;

    DEVICE uint32_t queries() const { return p.query_heads * p.head_dim; }
    DEVICE uint32_t keys() const { return p.kv_heads * p.head_dim; }
    DEVICE bool rotates(uint32_t column) const { return p.rotate != ROTATE_NONE && column < queries() + keys(); }

    // Cosine and sine of the pair's angle; selections, not a branch, which nvcc 13.0 does not come to an end with.
    DEVICE float2 before(uint32_t row, uint32_t column) const {
        const bool turns = rotates(column);
        const Global<const float> angles =
            global<const float>(p.angles) + (turns ? (size_t)row * p.angles_pitch + column % p.head_dim / 2 : 0);
        return make_float2(turns ? angles[0] : 0.0f, turns ? angles[p.head_dim / 2] : 0.0f);
    }

    DEVICE void pair(uint32_t row, uint32_t column, float2 v, float2 angle) const {
        const HeadColumns channel_of(p);
        const uint32_t n = queries() + 2 * keys();
        const uint32_t one = channel_of(column), other = column + 1 < n ? channel_of(column + 1) : one;
        if (p.bias) {
            const Global<const float> bias = global<const float>(p.bias);
            v = add_pair(v, make_float2(bias[one], bias[other]));
        }
        if (rotates(column))
            v = make_float2(__fsub_rn(__fmul_rn(v.x, angle.x), __fmul_rn(v.y, angle.y)),
                            __fadd_rn(__fmul_rn(v.y, angle.x), __fmul_rn(v.x, angle.y)));
        const Place place = place_of(row, one);
        if (other == one + 1 && p.head_dim % 2 == 0) {
            store_pair(place.data, place.dtype, place.at, v);
        } else {
            store_one(place.data, place.dtype, place.at, v.x);
            const Place second = place_of(row, other);
            if (other != one) store_one(second.data, second.dtype, second.at, v.y);
        }
    }

  private:
    struct Place {
        uint64_t data;
        size_t at;
        uint32_t dtype;
    };
    DEVICE Place place_of(uint32_t row, uint32_t channel) const {
        Place place{p.out.data, (size_t)row * p.out.pitch + channel, p.out.dtype};
        if (channel >= queries()) {
            const KvPlace kv = global<const KvPlace>(p.places)[row];
            const uint32_t within = channel - queries();
            const bool key = within < keys();
            place = {(key ? kv.keys : kv.values) + p.slot * kv.slot_stride, key ? within : within - keys(), p.kv_dtype};
        }
        return place;
    }
};
