// Rotates pair i of each head by the row's angle i: a, b to a cos - b sin, b cos + a sin; in place, f32; or back, which is
// the gradient. Pairs are channels 2i and 2i + 1 (ROTATE_INTERLEAVED) or i and i + d/2 (ROTATE_HALF_SPLIT) of a head of d
// channels.
//
// A block a row; 4 w bytes of w rotated channels are read and written once and 4 d of angles read, the fewest possible.
// Where d is a multiple of 8 a thread takes four pairs at a time, in loads and stores of 16 bytes; otherwise one.
#include "row.h"

// Products and sums are rounded one by one, as on a CPU.
DEVICE void turn(float& a, float& b, float cos, float sin) {
    const float turned = __fsub_rn(__fmul_rn(a, cos), __fmul_rn(b, sin));
    b = __fadd_rn(__fmul_rn(b, cos), __fmul_rn(a, sin));
    a = turned;
}

KERNEL(rope, RopeParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    const uint32_t half = p.head_dim / 2;
    const Global<const float> cosines = global<const float>(p.angles) + (size_t)blockIdx.x * p.angles_pitch;
    const Global<const float> sines = cosines + half;
    const bool interleaved = p.rotate == ROTATE_INTERLEAVED;

    if (half % 4 == 0) {
        for (uint32_t item = threadIdx.x; item < p.heads * (half / 4); item += blockDim.x) {
            const uint32_t pair = item % (half / 4) * 4;
            const Global<float> head = x + item / (half / 4) * p.head_dim;
            const Global<Four> first = view<Four>(head + (interleaved ? 2 * pair : pair));
            const Global<Four> second = view<Four>(head + (interleaved ? 2 * pair + 4 : pair + half));
            const Four cos = view<const Four>(cosines + pair)[0];
            Four sin = view<const Four>(sines + pair)[0];
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) sin.of[i] = __fmul_rn(p.direction, sin.of[i]);
            Four a = first[0], b = second[0];
            if (interleaved) {
                turn(a.of[0], a.of[1], cos.of[0], sin.of[0]);
                turn(a.of[2], a.of[3], cos.of[1], sin.of[1]);
                turn(b.of[0], b.of[1], cos.of[2], sin.of[2]);
                turn(b.of[2], b.of[3], cos.of[3], sin.of[3]);
            } else {
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) turn(a.of[i], b.of[i], cos.of[i], sin.of[i]);
            }
            first[0] = a;
            second[0] = b;
        }
    } else {
        for (uint32_t item = threadIdx.x; item < p.heads * half; item += blockDim.x) {
            const uint32_t pair = item % half;
            const Global<float> head = x + item / half * p.head_dim;
            float& a = head[interleaved ? 2 * pair : pair];
            float& b = head[interleaved ? 2 * pair + 1 : pair + half];
            turn(a, b, cosines[pair], __fmul_rn(p.direction, sines[pair]));
        }
    }
}
