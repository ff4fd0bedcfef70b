//! Causal self-attention over a batch, pass by pass.

use fathom::{
    Device, Tensor,
    ops::{
        attention::Heads,
        embedding::embedding_backward,
        heads::{join, split},
        linear::Epilogue,
        rope::{Layout, rope, rope_backward},
        window_attention::{self, window_attention, window_attention_backward},
    },
};

use super::linear::Linear;
use crate::{error::Result, parameters::Gradients, segment::Segment};

/// Keys and values of all positions of a batch in one layer, with their gradients.
#[derive(Debug)]
pub(crate) struct Cache {
    k: Tensor,
    v: Tensor,
    dk: Tensor,
    dv: Tensor,
}

impl Cache {
    /// Room for `places` positions of `width` channels, which windows see once they are written; gradients take theirs on the
    /// way back.
    pub(crate) fn new(device: &Device, places: usize, width: usize) -> Result<Self> {
        let [mut k, mut v, dk, dv] = [(); 4].map(|()| Tensor::empty(device));
        k.reshape(places, width)?;
        v.reshape(places, width)?;
        Ok(Self { k, v, dk, dv })
    }

    /// Gradients that nothing has been added to yet are 0.
    fn begin_backward(&mut self) -> Result<()> {
        let Self { k, v, dk, dv } = self;
        for (x, dx) in [(k, dk), (v, dv)] {
            if dx.rows() < x.rows() {
                *dx = Tensor::zeros(x.device(), x.rows(), x.width())?;
            }
        }
        Ok(())
    }

    /// Keys and values at `places`, pairs of a source and where it goes, become those of the sources: sequences that begin
    /// alike need one of them to be computed.
    pub(crate) fn spread(&mut self, places: &[(usize, usize)]) -> Result<()> {
        for x in [&mut self.k, &mut self.v] {
            let mut whole = Tensor::empty(x.device());
            let mut rows: Vec<(&Tensor, usize)> = (0..x.rows()).map(|row| (&*x, row)).collect();
            places.iter().for_each(|&(from, to)| rows[to] = (&*x, from));
            whole.gather(&rows)?;
            *x = whole;
        }
        Ok(())
    }

    /// The way back of [`Cache::spread`]: gradients at the places are added to those of their sources.
    pub(crate) fn collect(&mut self, places: &[(usize, usize)]) -> Result<()> {
        self.begin_backward()?;
        for x in [&mut self.dk, &mut self.dv] {
            let (sources, copies): (Vec<u32>, Vec<usize>) =
                places.iter().map(|&(from, to)| (from as u32, to)).unzip();
            let mut of_copies = Tensor::empty(x.device());
            x.select(&copies, &mut of_copies)?;
            embedding_backward(&sources, &of_copies, 1.0, x)?;
        }
        Ok(())
    }
}

/// Queries, keys and values from one projection, and attention over what passes so far have left.
#[derive(Debug)]
pub(crate) struct Attention {
    pub(crate) heads: Heads,
    pub(crate) projection: Linear,
    /// How queries and keys turn.
    pub(crate) layout: Option<Layout>,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    q: Tensor,
    pub(crate) mixed: Tensor,
}

impl Attention {
    /// Mixed values of every row of x, whose keys and values go to the cache; `angles` of the rows where they turn.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        angles: Option<&Tensor>,
        segment: &Segment,
        cache: &mut Cache,
    ) -> Result<Saved> {
        let mut qkv = Tensor::empty(x.device());
        self.projection.forward(x, Epilogue::None, &mut qkv)?;
        if let (Some(layout), Some(angles)) = (self.layout, angles) {
            rope(&mut qkv, self.heads.query + self.heads.kv, angles, layout)?;
        }
        let [mut q, mut mixed] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        split(&qkv, self.heads, &segment.places, &mut q, [&mut cache.k, &mut cache.v])?;
        window_attention(&q, &cache.k, &cache.v, self.heads, &segment.windows, &mut mixed)?;
        Ok(Saved { q, mixed })
    }

    /// Sets dx. Passes go back in the opposite order: what later ones left for keys and values of these rows is in the cache.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        saved: &Saved,
        dmixed: &Tensor,
        angles: Option<&Tensor>,
        segment: &Segment,
        cache: &mut Cache,
        gradients: &mut Gradients,
        dx: &mut Tensor,
    ) -> Result<()> {
        let [mut dq, mut dqkv] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        cache.begin_backward()?;
        let Cache { k, v, dk, dv } = cache;
        let into = window_attention::Gradients { dq: &mut dq, dk, dv };
        let both = [&saved.mixed, dmixed];
        window_attention_backward(&saved.q, k, v, both, self.heads, &segment.windows, into)?;
        join(&dq, [&cache.dk, &cache.dv], self.heads, &segment.places, &mut dqkv)?;
        if let (Some(layout), Some(angles)) = (self.layout, angles) {
            rope_backward(&mut dqkv, self.heads.query + self.heads.kv, angles, layout)?;
        }
        self.projection.backward(x, &dqkv, gradients, dx)
    }
}
