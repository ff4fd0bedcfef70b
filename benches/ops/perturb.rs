//! Dropout and noise on their own: what drawing costs.

use std::hint::black_box;

use fathom::{
    DType, Keep, Perturb,
    ops::perturb::perturb,
    random::{Coordinates, Draw, Site, Stream, key},
};

use crate::{
    data::tensor,
    suite::{Suite, Work},
};

const WIDTH: usize = 768;
const SITE: Site = Site::Mlp(3);

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("perturb", |group| {
        for rows in [1, 64] {
            let key = key(0, &[1, 2, 3], Stream::Trajectory);
            let at = |trajectory| Coordinates { draw: Draw { key, trajectory }, position: 70, iteration: 0 };
            let coordinates: Vec<Coordinates> = (0..rows as u32).map(at).collect();
            let (keep, coordinates) = (Keep::new(0.1), &coordinates[..]);
            for (name, perturbation) in [
                ("dropout", Perturb::Dropout { keep, site: SITE, rows: coordinates }),
                ("noise", Perturb::Noise { std: 0.1, site: SITE, rows: coordinates }),
            ] {
                let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * WIDTH };
                group.case(format!("{name} [{rows}, {WIDTH}]"), work, || {
                    // Dropout empties it before long, which takes no less time: nothing depends on the values.
                    let mut x = tensor(rows, WIDTH);
                    move || perturb(black_box(&mut x), perturbation).expect("shapes fit")
                });
            }
        }
    });
}
