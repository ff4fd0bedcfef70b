//! Plain loops, compiled for the instruction set that is there.

use std::array;

/// Defines a function whose body is compiled three times on x86-64: for AVX-512, for AVX2 with FMA, and for the baseline.
/// A call takes the first that the processor has. The body uses plain operations and explicit fused multiply-adds, which
/// round the same in all, so that the bits do not depend on which one ran.
macro_rules! widest {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $n:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<const $n: usize>)? ($($arg: $type),*) {
            #[inline(always)]
            fn plain $(<const $n: usize>)? ($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512 $(<const $n: usize>)? ($($arg: $type),*) {
                    plain $(::<$n>)? ($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<const $n: usize>)? ($($arg: $type),*) {
                    plain $(::<$n>)? ($($arg),*);
                }
                if is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor was just seen to have these, and so AVX-512F.
                    return unsafe { avx512 $(::<$n>)? ($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor was just seen to have both.
                    return unsafe { avx2 $(::<$n>)? ($($arg),*) };
                }
            }
            plain $(::<$n>)? ($($arg),*);
        }
    };
}

pub(crate) use widest;

/// One value of sixteen lanes: halves onto halves, each a whole vector.
#[inline(always)]
pub(crate) fn halved(lanes: [f32; 16], onto: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = array::from_fn(|lane| onto(lanes[lane], lanes[lane + 8]));
    let four: [f32; 4] = array::from_fn(|lane| onto(eight[lane], eight[lane + 4]));
    onto(onto(four[0], four[2]), onto(four[1], four[3]))
}
