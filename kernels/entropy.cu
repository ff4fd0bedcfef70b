// Of the softmax p of each row of logits and the softmax q of the row before it (uniform without one): the entropy
// -sum p ln(p + 1e-10), and KL(q | p), for which probabilities below min_p of their row's largest count as 1/w and both
// rows are normalised again (arXiv 2502.05171, the exit criteria of its code).
//
// A block a row, in three passes over both rows of w logits: the largest, the sums, the terms. The first brings 8 w
// bytes from memory, the fewest possible; the others find them in the second-level cache as far as it holds the rows
// of the blocks under way (half a megabyte each at 65536 logits).
//
// Once states settle KL is far below the rounding of its terms q ln(q/p), which cancel. Since p and q both sum to one,
// the terms are taken as q ln(q/p) - q + p, of which none is negative: what is left of rounding is relative to the terms.
#include "row.h"

// A row's softmax: weights e^(logit - largest), their sum, and where small ones are raised ln of the new sum and ln of
// what a raised one counts as.
struct Softmax {
    float largest, sum, log_total, log_raised;

    DEVICE float log_weight(float logit) const { return logit - largest; }
    DEVICE float log_probability(float logit, float min_p) const {
        const float log = log_weight(logit);
        return (expf(log) < min_p ? log_raised : log) - log_total;
    }
};

// q ln(q/p) - q + p from the logarithms: with u = ln(p/q), q (e^u - 1 - u).
DEVICE float divergence(float log_q, float log_p) {
    const float q = expf(log_q), u = log_p - log_q;
    if (!(q > 0.0f)) return expf(log_p);
    if (fabsf(u) > 0.5f) return q * (-1.0f - u) + expf(log_p);
    float series = 1.0f / 40320.0f;  // of (e^u - 1 - u) / u^2
    series = fmaf(series, u, 1.0f / 5040.0f);
    series = fmaf(series, u, 1.0f / 720.0f);
    series = fmaf(series, u, 1.0f / 120.0f);
    series = fmaf(series, u, 1.0f / 24.0f);
    series = fmaf(series, u, 1.0f / 6.0f);
    series = fmaf(series, u, 0.5f);
    return q * (u * u * series);
}

KERNEL(entropy, EntropyParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<float> slots = arena.take<float>(10 * FOLD_SLOTS);
    const bool uniform = p.before.data == 0;
    const Global<const float> logits = row_of<const float>(p.logits, blockIdx.x);
    const Global<const float> before = row_of<const float>(p.before, uniform ? 0 : blockIdx.x);
    struct Both {
        Four row[2];  // now and before
    };
    const auto load = [&](uint32_t channel, uint32_t count) {
        Both both = {{load_four(logits + channel, count), {}}};
        if (!uniform) both.row[1] = load_four(before + channel, count);
        return both;
    };

    float largest[2] = {-INFINITY, -INFINITY};
    each_four(p.width, load, [&](uint32_t, uint32_t count, const Both& both) {
#pragma unroll
        for (uint32_t i = 0; i < 8; i++)
            if (i % 4 < count) largest[i / 4] = fmaxf(largest[i / 4], both.row[i / 4].of[i % 4]);
    });
    Softmax softmax[2];
#pragma unroll
    for (uint32_t j = 0; j < 2; j++) softmax[j].largest = block_max(largest[j], slots + j * FOLD_SLOTS);

    float sum[2] = {}, kept[2] = {}, raised[2] = {};
    each_four(p.width, load, [&](uint32_t, uint32_t count, const Both& both) {
#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            if (i % 4 >= count) continue;
            const float weight = expf(softmax[i / 4].log_weight(both.row[i / 4].of[i % 4]));
            sum[i / 4] += weight;
            kept[i / 4] += weight < p.min_p ? 0.0f : weight;
            raised[i / 4] += weight < p.min_p ? 1.0f : 0.0f;
        }
    });
#pragma unroll
    for (uint32_t j = 0; j < 2; j++) {
        const Shared<float> own = slots + (2 + 3 * j) * FOLD_SLOTS;
        softmax[j].sum = block_sum(sum[j], own);
        const float each = __fdiv_rn(softmax[j].sum, (float)p.width);
        softmax[j].log_raised = logf(each);
        softmax[j].log_total =
            logf(fmaf(block_sum(raised[j], own + FOLD_SLOTS), each, block_sum(kept[j], own + 2 * FOLD_SLOTS)));
    }

    float information = 0.0f, apart = 0.0f;
    const float share = __frcp_rn(softmax[0].sum);
    each_four(p.width, load, [&](uint32_t, uint32_t count, const Both& both) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            if (i >= count) continue;
            const float now = both.row[0].of[i], probability = expf(softmax[0].log_weight(now)) * share;
            information = fmaf(-probability, logf(probability + 1e-10f), information);
            apart += divergence(softmax[1].log_probability(both.row[1].of[i], p.min_p),
                                softmax[0].log_probability(now, p.min_p));
        }
    });
    information = block_sum(information, slots + 8 * FOLD_SLOTS);
    apart = block_sum(apart, slots + 9 * FOLD_SLOTS);
    if (threadIdx.x == 0) view<float2>(row_of<float>(p.out, blockIdx.x))[0] = make_float2(information, apart);
}
