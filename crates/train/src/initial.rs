//! Parameters that begin at random.

use fathom::random::{Coordinates, Draw, Site, Stream, fill_normals, key, truncated_normals};

use crate::{
    error::Result,
    parameters::{Init, Source},
};

/// Draws every tensor from the seed and the tensor's name, whatever order they are asked for in.
#[derive(Debug, Clone, Copy)]
pub struct Initial {
    /// The seed.
    pub seed: u64,
}

/// Elements drawn at one position: within the channels of a counter.
const ROW: usize = 1 << 16;

impl Source for Initial {
    fn read(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let mut values = vec![0.0; shape.iter().product()];
        let letters: Vec<u32> = name.chars().map(u32::from).collect();
        let draw = Draw { key: key(self.seed, &letters, Stream::Initial), trajectory: 0 };
        let at = |position: usize| Coordinates { draw, position: position as u32, iteration: 0 };
        let rows = values.chunks_mut(ROW).enumerate();
        match init {
            Init::Zeros => {}
            Init::Ones => values.fill(1.0),
            Init::Normal(std) => rows.for_each(|(position, row)| {
                fill_normals(row, at(position), Site::State);
                row.iter_mut().for_each(|x| *x *= std);
            }),
            Init::Truncated(std) => rows.for_each(|(position, row)| {
                truncated_normals(row, at(position), Site::State);
                row.iter_mut().for_each(|x| *x *= std);
            }),
        }
        Ok(values)
    }

    fn name<'n>(&self, names: &[&'n str]) -> &'n str {
        names.first().copied().unwrap_or_default()
    }
}
