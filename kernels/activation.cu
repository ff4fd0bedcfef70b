// out = f(x), f GELU of either form or silu(even channel) odd channel; and out = f'(x) dy. f32.
//
// A block a row; each element is read and written once, 8 w bytes of w channels, or 12 w of a gradient, and of SwiGLU 12 w and
// 20 w of the w that come out: the fewest possible where the product before could not take it in its epilogue, since its
// gradient needs what came in.
#include "activation.h"
#include "row.h"

// Two channels in for each that comes out, `count` of these.
struct Pairs {
    Four low, high;
};
DEVICE Pairs load_pairs(Global<const float> from, uint32_t count) {
    return {load_four(from, min(2 * count, 4u)), load_four(from + 4, count > 2 ? 2 * count - 4 : 0)};
}
DEVICE float2 pair_of(const Pairs& x, uint32_t i) {
    const Four& half = i < 2 ? x.low : x.high;
    return make_float2(half.of[2 * (i % 2)], half.of[2 * (i % 2) + 1]);
}

DEVICE float activated(uint32_t kind, float x) { return kind == ACTIVATION_GELU_TANH ? gelu_tanh(x) : gelu_erf(x); }
DEVICE float slope(uint32_t kind, float x) {
    return kind == ACTIVATION_GELU_TANH ? gelu_tanh_slope(x) : gelu_erf_slope(x);
}

KERNEL(activation, ActivationParams, 512) {
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x);
    const Global<float> out = row_of<float>(p.out, blockIdx.x);
    if (p.kind == ACTIVATION_SWIGLU) {
        each_four(
            p.width, [&](uint32_t channel, uint32_t count) { return load_pairs(x + 2 * channel, count); },
            [&](uint32_t channel, uint32_t count, const Pairs& pairs) {
                Four v;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) v.of[i] = swiglu(pair_of(pairs, i).x, pair_of(pairs, i).y);
                store_four(out + channel, v, count);
            });
    } else {
        each_four(
            p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
            [&](uint32_t channel, uint32_t count, Four v) {
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) v.of[i] = activated(p.kind, v.of[i]);
                store_four(out + channel, v, count);
            });
    }
}

KERNEL(activation_backward, ActivationParams, 512) {
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x), dy = row_of<const float>(p.dy, blockIdx.x);
    const Global<float> dx = row_of<float>(p.out, blockIdx.x);
    if (p.kind == ACTIVATION_SWIGLU) {
        struct Loaded {
            Pairs x;
            Four dy;
        };
        each_four(
            p.width,
            [&](uint32_t channel, uint32_t count) {
                return Loaded{load_pairs(x + 2 * channel, count), load_four(dy + channel, count)};
            },
            [&](uint32_t channel, uint32_t count, const Loaded& loaded) {
                Four low, high;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) {
                    const float2 pair = pair_of(loaded.x, i), slopes = swiglu_slopes(pair.x, pair.y);
                    Four& half = i < 2 ? low : high;
                    half.of[2 * (i % 2)] = __fmul_rn(loaded.dy.of[i], slopes.x);
                    half.of[2 * (i % 2) + 1] = __fmul_rn(loaded.dy.of[i], slopes.y);
                }
                store_four(dx + 2 * channel, low, min(2 * count, 4u));
                store_four(dx + (2 * channel + 4), high, count > 2 ? 2 * count - 4 : 0);
            });
    } else {
        struct Both {
            Four x, dy;
        };
        each_four(
            p.width,
            [&](uint32_t channel, uint32_t count) {
                return Both{load_four(x + channel, count), load_four(dy + channel, count)};
            },
            [&](uint32_t channel, uint32_t count, const Both& both) {
                Four v;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) v.of[i] = __fmul_rn(both.dy.of[i], slope(p.kind, both.x.of[i]));
                store_four(dx + channel, v, count);
            });
    }
}
