//! Steps of optimizers on a matrix of GPT-2, which read four elements and write three for each.

use std::hint::black_box;

use fathom::{
    DType, Device,
    ops::adam::{AdamW, EllisAdam, Moments, Step, adamw, ellis_adam},
};

use crate::harness::{
    network::GPT2,
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("adam", DType::F32, |place, group| {
        if place.device != Device::Cpu {
            return;
        }
        let (rows, width) = (GPT2.hidden, GPT2.width);
        let (lr, betas, weight_decay) = (1e-3, [0.9, 0.95], 0.1);
        let at = Step { t: 3, factor: 1.0 };
        // ELLISAdam goes over the moments twice.
        let work = |elements: usize| Work { dtype: DType::F32, flop: 0, bytes: 4 * elements * rows * width };
        group.case(format!("AdamW, [{rows}, {width}]"), work(7), || {
            let (mut p, g) = (place.tensor(rows, width), place.tensor(rows, width));
            let mut moments = Moments::of(&p).expect("memory");
            let rule = AdamW { lr, betas, eps: 1e-8, weight_decay };
            move || adamw(black_box(&mut p), &g, &mut moments, rule, at).expect("shapes fit")
        });
        group.case(format!("ELLISAdam, [{rows}, {width}]"), work(9), || {
            let (mut p, g) = (place.tensor(rows, width), place.tensor(rows, width));
            let mut moments = Moments::of(&p).expect("memory");
            let rule = EllisAdam { lr, peak: lr, betas, eps: 1e-6, weight_decay };
            move || ellis_adam(black_box(&mut p), &g, &mut moments, rule, at).expect("shapes fit")
        });
    });
}
