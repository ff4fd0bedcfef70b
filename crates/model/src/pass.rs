//! One pass over ragged rows: which sequences they extend, and what perturbs them.

use fathom::{
    Error, Keep, Perturb, Result, Tensor, Weight,
    ops::{
        attention::{Heads, Query, attention},
        linear::{Epilogue, linear},
        perturb::perturb,
        qkv::{Input, Projection, Rotation, qkv},
        rope::Layout,
    },
    random::{Coordinates, Draw, Site},
};

use crate::scratch::Scratch;

pub use fathom::kv::Run;

/// Absolute positions of all rows.
pub(crate) fn positions(runs: &[Run<'_>]) -> impl Iterator<Item = usize> {
    runs.iter().flat_map(Run::positions)
}

/// Index of each run's last row.
pub(crate) fn last_rows(runs: &[Run<'_>]) -> Vec<usize> {
    let mut end = 0;
    let ends = runs.iter().map(|run| {
        end += run.count();
        end - 1
    });
    ends.collect()
}

/// Coordinates of all rows, one draw a run.
pub(crate) fn coordinates(runs: &[Run<'_>], draws: &[Draw], iteration: usize) -> Vec<Coordinates> {
    let rows =
        runs.iter().zip(draws).flat_map(|(run, &draw)| run.positions().map(move |position| (draw, position)));
    rows.map(|(draw, position)| Coordinates { draw, position: position as u32, iteration: iteration as u32 })
        .collect()
}

/// Checks that a pass has a row for each position of its runs, coordinates for each row, and the rows that are wanted.
pub(crate) fn check(
    rows: usize,
    runs: &[Run<'_>],
    disturbance: &Disturbance<'_>,
    wanted: Wanted,
) -> Result<()> {
    let positions: usize = runs.iter().map(Run::count).sum();
    let placed = match disturbance {
        Disturbance::Dropout { rows, .. } | Disturbance::Noise { rows, .. } => rows.len(),
        Disturbance::None | Disturbance::Recorded(_) => rows,
    };
    let ends = wanted == Wanted::All || runs.iter().all(|run| run.count() > 0);
    if rows == positions && placed == positions && ends {
        return Ok(());
    }
    let what =
        format!("{rows} rows and coordinates of {placed} for {positions} positions of {} runs", runs.len());
    Err(Error::Shape { operation: "pass", what })
}

/// Which rows of a pass are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    All,
    /// The last of each run: what precedes it leaves keys and values alone behind.
    Last,
}

/// A pass of which the last row of each run alone is wanted: the others end with the keys and values of the last layer.
struct Narrowed {
    last: Vec<usize>,
    /// As it acts on the last rows.
    disturbance: Disturbance<'static>,
}

impl Narrowed {
    /// `None` where all rows are wanted, or each run has but one.
    ///
    /// # Errors
    /// A recorded perturbation, which has values for all rows.
    fn new(runs: &[Run<'_>], disturbance: &Disturbance<'_>, wanted: Wanted) -> Result<Option<Self>> {
        if wanted == Wanted::All || runs.iter().all(|run| run.count() == 1) {
            return Ok(None);
        }
        let last = last_rows(runs);
        let what = || "a recorded perturbation has values for all rows".to_owned();
        let disturbance =
            disturbance.of_rows(&last).ok_or_else(|| Error::Shape { operation: "pass", what: what() })?;
        Ok(Some(Self { last, disturbance }))
    }

    /// Keeps of x, the rows of all runs or of one that stands for all, the last of each run.
    fn select(&self, copies: usize, x: &mut Tensor, aside: &mut Tensor) -> Result<()> {
        let rows = if copies == 1 { &self.last[..] } else { &self.last[..1] };
        x.select(rows, aside)?;
        std::mem::swap(x, aside);
        Ok(())
    }
}

/// Attends from the queries in `scratch.qkv` into `scratch.mixed`: every row, or the last of each run if `narrowed`. The
/// rows of one run stand for all runs if they are `alike`.
fn attend(
    runs: &[Run<'_>],
    layer: usize,
    heads: Heads,
    narrowed: bool,
    alike: bool,
    scratch: &mut Scratch,
) -> Result<()> {
    let Scratch { qkv, mixed, picked, queries, positions: rows, .. } = scratch;
    queries.clear();
    rows.clear();
    let mut first = 0;
    for (sequence, run) in runs.iter().enumerate().take(if alike { 1 } else { runs.len() }) {
        let skipped = if narrowed { run.count() - 1 } else { 0 };
        rows.extend(first + skipped..first + run.count());
        let visible = run.positions().skip(skipped).map(|position| position + 1);
        queries.extend(visible.map(|visible| Query { sequence, visible }));
        first += run.count();
    }
    let q = if rows.len() < qkv.rows() {
        qkv.select(rows, picked)?;
        &*picked
    } else {
        &*qkv
    };
    attention(q, heads, runs, &[layer], queries, mixed)
}

/// x ← x + y, on the CPU.
fn add(x: &mut Tensor, y: &Tensor) {
    x.data_mut().iter_mut().zip(y.data()).for_each(|(x, y)| *x += y);
}

/// The residual stream of a pass: which rows it has at a time, and what perturbs them.
pub(crate) struct Stream<'p, 'd> {
    disturbance: &'p Disturbance<'d>,
    narrowed: Option<Narrowed>,
    /// Whether the last row of each run alone is left.
    narrow: bool,
    /// Runs that each row stands for, while their rows are the same.
    pub(crate) copies: usize,
}

impl<'p, 'd> Stream<'p, 'd> {
    /// # Errors
    /// As [`Narrowed::new`].
    pub(crate) fn new(
        runs: &[Run<'_>],
        disturbance: &'p Disturbance<'d>,
        wanted: Wanted,
        copies: usize,
    ) -> Result<Self> {
        let narrowed = Narrowed::new(runs, disturbance, wanted)?;
        Ok(Self { disturbance, narrowed, narrow: false, copies })
    }

    /// Attention of one layer over `scratch.normed`; in the `last`, of the wanted rows alone, which are what is left of the
    /// stream.
    pub(crate) fn attend(
        &mut self,
        runs: &mut [Run<'_>],
        layer: usize,
        last: bool,
        projection: Projection<'_>,
        layout: Option<Layout>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { normed, qkv: out, turns, .. } = &mut *scratch;
        let rotation = layout.map(|layout| Rotation { angles: turns, layout });
        qkv(Input::Plain(normed), projection, rotation, runs, &[layer], out)?;
        let narrowed = self.narrowed.as_ref().filter(|_| last);
        attend(runs, layer, projection.heads, narrowed.is_some(), self.copies > 1, scratch)?;
        if let Some(narrowed) = narrowed {
            narrowed.select(self.copies, &mut scratch.x, &mut scratch.aside)?;
            self.narrow = true;
        }
        Ok(())
    }

    /// x ← x + perturb(input·W + b). What perturbs rows that were the same in several runs makes them differ: from there on
    /// x holds the rows of all.
    pub(crate) fn add_branch(
        &mut self,
        site: Site,
        input: &Tensor,
        (weight, bias): (&Weight, Option<&Tensor>),
        x: &mut Tensor,
        branch: &mut Tensor,
    ) -> Result<()> {
        let perturbation = match self.narrowed.as_ref().filter(|_| self.narrow) {
            Some(narrowed) => narrowed.disturbance.at(site),
            None => self.disturbance.at(site),
        };
        if self.copies == 1 || matches!(perturbation, Perturb::None) {
            return linear(input, weight, bias, Epilogue::Residual(perturbation), x);
        }
        linear(input, weight, bias, Epilogue::None, branch)?;
        branch.repeat(self.copies)?;
        x.repeat(self.copies)?;
        self.copies = 1;
        perturb(branch, perturbation)?;
        add(x, branch);
        Ok(())
    }
}

/// Which sites dropout touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropSites {
    /// The embedding.
    pub embedding: bool,
    /// Attention outputs.
    pub attention: bool,
    /// MLP outputs.
    pub mlp: bool,
    /// The recurrent state on its way into the adapter.
    pub latent: bool,
}

/// The perturbation of one pass, row by row.
#[derive(Default)]
pub enum Disturbance<'a> {
    /// Deterministic.
    #[default]
    None,
    /// Dropout at some sites.
    Dropout {
        /// Keep rate.
        keep: Keep,
        /// Where.
        sites: DropSites,
        /// Coordinates of the rows.
        rows: Vec<Coordinates>,
    },
    /// Additive noise on latents.
    Noise {
        /// σ.
        std: f32,
        /// Coordinates of the rows.
        rows: Vec<Coordinates>,
    },
    /// Recorded tensors, by site.
    Recorded(&'a dyn Fn(Site) -> Perturb<'a>),
}

impl Disturbance<'_> {
    /// As it acts on the chosen rows alone; `None` if it is recorded for all of them.
    fn of_rows(&self, chosen: &[usize]) -> Option<Disturbance<'static>> {
        let select = |rows: &[Coordinates]| chosen.iter().map(|&row| rows[row]).collect();
        match self {
            Disturbance::None => Some(Disturbance::None),
            Disturbance::Dropout { keep, sites, rows } => {
                Some(Disturbance::Dropout { keep: *keep, sites: *sites, rows: select(rows) })
            }
            Disturbance::Noise { std, rows } => Some(Disturbance::Noise { std: *std, rows: select(rows) }),
            Disturbance::Recorded(_) => None,
        }
    }

    /// What happens at `site`.
    pub fn at(&self, site: Site) -> Perturb<'_> {
        match self {
            Disturbance::None => Perturb::None,
            Disturbance::Dropout { keep, sites, rows } => {
                let active = match site {
                    Site::Embedding => sites.embedding,
                    Site::Attention(_) => sites.attention,
                    Site::Mlp(_) => sites.mlp,
                    Site::Latent => sites.latent,
                    Site::State => false,
                };
                if active { Perturb::Dropout { keep: *keep, site, rows } } else { Perturb::None }
            }
            Disturbance::Noise { std, rows } if site == Site::Latent => {
                Perturb::Noise { std: *std, site, rows }
            }
            Disturbance::Noise { .. } => Perturb::None,
            Disturbance::Recorded(tensors) => tensors(site),
        }
    }
}
