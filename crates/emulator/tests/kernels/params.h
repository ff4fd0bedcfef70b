// Parameters of the tests' kernels; tests/suite/params.rs mirrors them.
#pragma once
#include <stdint.h>

// Sums rows of `width` f32 at x to y.
struct ReduceParams {
    uint64_t x, y;
    uint32_t width, bug;
};

// C[m, n] = A[m, k] · B[n, k]ᵀ, bf16 operands, f32 result.
struct GemmParams {
    uint64_t a, b, c;
    uint32_t m, n, k, bug;
};

// Words in, words out, and what to do.
struct WordsParams {
    uint64_t in, out;
    uint32_t mode, n;
};
