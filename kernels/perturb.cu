// x = perturb(x), f32 in place: dropout x m / (1 - p), noise x + sigma e, or recorded factors or terms.
//
// A block a row; a thread draws one Philox counter for four channels. 4 w bytes of w channels are read and written once,
// and 4 w of recorded values read: the fewest possible for a perturbation on its own. Where another kernel produces the
// values, its epilogue perturbs them and these bytes are saved.
#include "perturbation.h"
#include "row.h"

KERNEL(perturb, PerturbParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t count, const Four& v) {
            const float4 y = perturb_quad(p.perturbation, blockIdx.x, channel,
                                          make_float4(v.of[0], v.of[1], v.of[2], v.of[3]));
            store_four(x + channel, {{y.x, y.y, y.z, y.w}}, count);
        });
}
