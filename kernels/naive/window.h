// What the naive kernels of attention over windows share: of a row and head, scores and probabilities one by one.
#pragma once
#include "kernel.h"
#include "params.h"

struct NaiveWindow {
    const WindowAttentionParams& p;
    uint32_t row, head, first, visible;
    float largest, total;

    DEVICE float dot(const Rows& a, uint32_t i, const Rows& b, uint32_t j) const {
        const uint32_t dim = p.head_dim, offset = head / (p.query_heads / p.kv_heads) * dim;
        float sum = 0.0f;
        for (uint32_t c = 0; c < dim; c++)
            sum = fmaf(global<const float>(a.data)[(size_t)i * a.pitch + head * dim + c],
                       global<const float>(b.data)[(size_t)j * b.pitch + offset + c], sum);
        return sum;
    }
    DEVICE float score(uint32_t at) const { return dot(p.q, row, p.k, first + at) * p.scale; }

    // `firsts`: of each row the first position that it sees, in place of tiles.
    DEVICE NaiveWindow(const WindowAttentionParams& p, uint32_t row, uint32_t head)
        : p(p), row(row), head(head), first(global<const uint32_t>(p.tiles)[row]),
          visible(global<const uint32_t>(p.visible)[row]), largest(-INFINITY), total(0.0f) {
        for (uint32_t at = 0; at < visible; at++) largest = fmaxf(largest, score(at));
        for (uint32_t at = 0; at < visible; at++) total += expf(score(at) - largest);
    }
    DEVICE float probability(uint32_t at) const { return expf(score(at) - largest) / total; }
    // The gradient of a score.
    DEVICE float slope(uint32_t at) const {
        float level = 0.0f;
        for (uint32_t c = 0; c < p.head_dim; c++)
            level = fmaf(global<const float>(p.dout.data)[(size_t)row * p.dout.pitch + head * p.head_dim + c],
                         global<const float>(p.out.data)[(size_t)row * p.out.pitch + head * p.head_dim + c], level);
        return probability(at) * (dot(p.dout, row, p.v, first + at) - level) * p.scale;
    }
};
