//! Dropout and noise on their own: what drawing costs.

use std::hint::black_box;

use fathom::{
    DType, Keep, Perturb,
    ops::perturb::perturb,
    random::{Coordinates, Draw, Site, Stream, key},
};

use crate::harness::{
    network::{GPT2, HUGINN},
    suite::{Suite, Work},
};

const SITE: Site = Site::Mlp(3);

/// Of as many trajectories, at one position.
pub(crate) fn coordinates(rows: usize) -> Vec<Coordinates> {
    let key = key(0, &[1, 2, 3], Stream::Trajectory);
    let at = |trajectory| Coordinates { draw: Draw { key, trajectory }, position: 70, iteration: 0 };
    (0..rows as u32).map(at).collect()
}

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("perturb", DType::F32, |place, group| {
        for (rows, width) in
            [GPT2.width, HUGINN.width].into_iter().flat_map(|width| [1, 64, 256].map(|rows| (rows, width)))
        {
            let coordinates = coordinates(rows);
            let (keep, coordinates) = (Keep::new(0.1), &coordinates[..]);
            for (name, perturbation) in [
                ("dropout", Perturb::Dropout { keep, site: SITE, rows: coordinates }),
                ("noise", Perturb::Noise { std: 0.1, site: SITE, rows: coordinates }),
            ] {
                let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * width };
                group.case(format!("{name} [{rows}, {width}]"), work, || {
                    // Dropout empties it before long, which takes no less time: nothing depends on the values.
                    let mut x = place.tensor(rows, width);
                    move || perturb(black_box(&mut x), perturbation).expect("shapes fit")
                });
            }
        }
    });
}
