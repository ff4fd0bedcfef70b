// Steps of optimizers, element by element, f32 (src/ops/adam.rs): with g = factor gradient and the moments
// m += (1 - b1) (g - m), v += (1 - b2) (g^2 - v),
//
//   adamw        p = kept p - step m / (sqrt(v) / root + eps)
//   ellis_adam   v = max(v, eps); p = kept p - step / max(1, r) atan2(m, sqrt(v) / root), r = sqrt(mean(g^2 / v))
//
// A block a row. AdamW reads 16 w bytes of w elements and writes 12 w, the fewest possible. ELLISAdam's mean is over the whole
// tensor: one launch for the moments and each row's sum of ratios, 12 w read and 8 w written; one that adds the sums (`total`,
// square_sum.cu); one for the parameter, 12 w read and 4 w written.
#include "row.h"

DEVICE void gather(float g, float& m, float& v, const AdamParams& p) {
    m = __fmaf_rn(p.first_share, __fsub_rn(g, m), m);
    v = __fmaf_rn(p.second_share, __fsub_rn(__fmul_rn(g, g), v), v);
}

// The angle of (x, y), x > 0, within four units in the last place, the operations of src/cpu/adam.rs one for one: the smaller
// over the larger, turned by pi/8 where that shortens it, and Cephes' polynomial of the arc tangent.
DEVICE float angle_of(float y, float x) {
    constexpr float TURN = 0.41421357f;  // tan(pi/8)
    const float height = fabsf(y);
    const bool steep = height > x;
    const float small = steep ? x : height, large = steep ? height : x;
    const bool turned = small > __fmul_rn(TURN, large);
    const float over = turned ? __fsub_rn(small, large) : small, under = turned ? __fadd_rn(small, large) : large;
    const float ratio = __fdiv_rn(over, under), square = __fmul_rn(ratio, ratio);
    float sum = 8.0537445e-2f;
    sum = __fmaf_rn(square, sum, -1.3877686e-1f);
    sum = __fmaf_rn(square, sum, 1.9977711e-1f);
    sum = __fmaf_rn(square, sum, -3.333295e-1f);
    float angle = __fmaf_rn(__fmul_rn(sum, square), ratio, ratio);
    angle = turned ? __fadd_rn(0.78539816339744831f, angle) : angle;
    angle = steep ? __fsub_rn(1.5707963267948966f, angle) : angle;
    return copysignf(angle, y);
}

struct Element {
    Four p, g, m, v;
};

KERNEL(adamw, AdamParams, 512) {
    const Global<float> parameter = row_of<float>(p.parameter, blockIdx.x);
    const Global<float> first = row_of<float>(p.first, blockIdx.x), second = row_of<float>(p.second, blockIdx.x);
    const Global<const float> gradient = row_of<const float>(p.gradient, blockIdx.x);
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Element{load_four(Global<const float>(parameter + channel), count), load_four(gradient + channel, count),
                           load_four(Global<const float>(first + channel), count),
                           load_four(Global<const float>(second + channel), count)};
        },
        [&](uint32_t channel, uint32_t count, Element e) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                gather(__fmul_rn(p.factor, e.g.of[i]), e.m.of[i], e.v.of[i], p);
                const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(e.v.of[i]), p.root), p.eps);
                e.p.of[i] = __fsub_rn(__fmul_rn(p.kept, e.p.of[i]), __fmul_rn(p.step, __fdiv_rn(e.m.of[i], root)));
            }
            store_four(parameter + channel, e.p, count);
            store_four(first + channel, e.m, count);
            store_four(second + channel, e.v, count);
        });
}

KERNEL(ellis_adam_gather, AdamParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<double> slots = arena.take<double>(FOLD_SLOTS);
    const Global<float> first = row_of<float>(p.first, blockIdx.x), second = row_of<float>(p.second, blockIdx.x);
    const Global<const float> gradient = row_of<const float>(p.gradient, blockIdx.x);
    double ratios = 0.0;
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Element{{}, load_four(gradient + channel, count), load_four(Global<const float>(first + channel), count),
                           load_four(Global<const float>(second + channel), count)};
        },
        [&](uint32_t channel, uint32_t count, Element e) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float g = __fmul_rn(p.factor, e.g.of[i]);
                gather(g, e.m.of[i], e.v.of[i], p);
                e.v.of[i] = e.v.of[i] < p.eps ? p.eps : e.v.of[i];
                ratios += i < count ? (double)__fdiv_rn(__fmul_rn(g, g), e.v.of[i]) : 0.0;
            }
            store_four(first + channel, e.m, count);
            store_four(second + channel, e.v, count);
        });
    ratios = block_sum(ratios, slots);
    if (threadIdx.x == 0) global<double>(p.partials)[blockIdx.x] = ratios;
}

KERNEL(ellis_adam, AdamParams, 512) {
    const Global<float> parameter = row_of<float>(p.parameter, blockIdx.x);
    const Global<const float> first = row_of<const float>(p.first, blockIdx.x);
    const Global<const float> second = row_of<const float>(p.second, blockIdx.x);
    const double mean = global<const double>(p.total)[0] / ((double)p.rows * p.width);
    const double excess = sqrt(mean);
    const float step = (float)((double)p.step / (excess > 1.0 ? excess : 1.0));
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Element{load_four(Global<const float>(parameter + channel), count), {}, load_four(first + channel, count),
                           load_four(second + channel, count)};
        },
        [&](uint32_t channel, uint32_t count, Element e) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float angle = angle_of(e.m.of[i], __fdiv_rn(__fsqrt_rn(e.v.of[i]), p.root));
                e.p.of[i] = __fsub_rn(__fmul_rn(p.kept, e.p.of[i]), __fmul_rn(step, angle));
            }
            store_four(parameter + channel, e.p, count);
        });
}
