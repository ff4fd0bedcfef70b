// kernels/entropy.cu, a thread a row: grid ceil(rows / 32), 32 threads.
#include "kernel.h"
#include "params.h"

struct Distribution {
    Global<const float> logits;
    uint32_t width;
    float min_p, largest, sum, total;

    DEVICE float logit(uint32_t i) const { return logits ? logits[i] : 0.0f; }
    DEVICE float probability(uint32_t i) const { return expf(logit(i) - largest) / sum; }
    DEVICE float raised(uint32_t i) const {
        const float p = probability(i);
        return p < min_p / sum ? 1.0f / width : p;
    }
    DEVICE Distribution(Global<const float> logits, uint32_t width, float min_p)
        : logits(logits), width(width), min_p(min_p), largest(-INFINITY), sum(0.0f), total(0.0f) {
        for (uint32_t i = 0; i < width; i++) largest = fmaxf(largest, logit(i));
        for (uint32_t i = 0; i < width; i++) sum += expf(logit(i) - largest);
        for (uint32_t i = 0; i < width; i++) total += raised(i);
    }
};

KERNEL(naive_entropy, EntropyParams, 32) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows) return;
    const uint64_t before = p.before.data ? p.before.data + 4 * (size_t)row * p.before.pitch : 0;
    const Distribution now(global<const float>(p.logits.data) + (size_t)row * p.logits.pitch, p.width, p.min_p);
    const Distribution last(global<const float>(before), p.width, p.min_p);
    float information = 0.0f, apart = 0.0f;
    for (uint32_t i = 0; i < p.width; i++) {
        information -= now.probability(i) * logf(now.probability(i) + 1e-10f);
        const float a = last.raised(i) / last.total, b = now.raised(i) / now.total;
        if (a > 0.0f) apart += a * (logf(a) - logf(b));
    }
    const Global<float> out = global<float>(p.out.data) + (size_t)row * p.out.pitch;
    out[0] = information;
    out[1] = apart;
}
