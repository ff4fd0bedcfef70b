//! Bytes that a launch has to move, from its parameters: every operand once, every result once. What a kernel reads again
//! comes from L2 and is not counted (docs/performance.md, Kernels).

use std::collections::HashMap;

use bytemuck::Pod;

use super::Tables;
use crate::gpu::{
    Launch,
    params::{
        self, AdapterParams, ArgMaxHopperParams, ArgMaxParams, ArgMaxPartial, AttentionGroup,
        AttentionMember, AttentionParams, AttentionRun, AttentionTile, EmbeddingParams, GatherParams, KvSpan,
        LinearHopperParams, LinearParams, NormParams, PerturbParams, Perturbation, QkvParams, RopeParams,
        RoundParams, Rows, ScaleParams,
    },
};

/// Bytes between memory and processors, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Weights, biases, norms' vectors, rows of embeddings.
    pub weights: u64,
    /// Keys and values, read and written.
    pub cache: u64,
    /// Everything else that is computed with, read and written.
    pub activations: u64,
}

impl Moved {
    /// All of them.
    pub fn total(self) -> u64 {
        self.weights + self.cache + self.activations
    }
}

impl std::ops::Add for Moved {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            cache: self.cache + other.cache,
            activations: self.activations + other.activations,
        }
    }
}

/// By a launch of a kernel that is stated here; tables hold what its parameters point to.
pub(super) fn by(launch: &Launch<'_>, tables: &Tables) -> Option<Moved> {
    let Launch { kernel, params, grid, .. } = *launch;
    match kernel.file {
        "linear" => Some(linear(read(params)?, kernel.name)),
        "linear_hopper" => Some(linear(read::<LinearHopperParams>(params)?.linear, kernel.name)),
        "adapter" => Some(adapter(read(params)?)),
        "qkv" => Some(qkv(read(params)?)),
        "attention" => attention(read(params)?, kernel.name, grid[0] as usize, tables),
        "arg_max" => Some(arg_max(read(params)?, kernel.name)),
        "arg_max_hopper" => Some(arg_max(read::<ArgMaxHopperParams>(params)?.arg_max, kernel.name)),
        "rms_norm" | "layer_norm" => Some(norm(read(params)?)),
        "embedding" => embedding(read(params)?, tables),
        "gather" => read(params).map(|GatherParams { rows, width, .. }| activations(rows, width, 8)),
        "scale" => read(params).map(|ScaleParams { rows, width, .. }| activations(rows, width, 8)),
        "round" => read(params)
            .map(|RoundParams { x, out, rows, width }| activations(rows, width, element(x) + element(out))),
        "perturb" => read(params).map(|PerturbParams { rows, width, perturbation, .. }| {
            activations(rows, width, 8) + recorded(perturbation, rows, width)
        }),
        "rope" => read(params).map(|RopeParams { rows, heads, head_dim, .. }| {
            activations(rows, heads * head_dim, 8) + activations(rows, head_dim, 4)
        }),
        _ => None,
    }
}

fn read<T: Pod>(params: &[u8]) -> Option<T> {
    bytemuck::try_pod_read_unaligned(params).ok()
}

/// Bytes an element.
fn element(rows: Rows) -> u64 {
    if rows.dtype == params::DTYPE_BF16 { 2 } else { 4 }
}

/// Bytes of f32 of a vector that is there.
fn vector(address: u64, elements: u32) -> u64 {
    if address == 0 { 0 } else { 4 * u64::from(elements) }
}

fn weights(bytes: u64) -> Moved {
    Moved { weights: bytes, ..Moved::default() }
}

/// Elements of so many bytes each.
fn activations(rows: u32, width: u32, bytes: u64) -> Moved {
    Moved { activations: u64::from(rows) * u64::from(width) * bytes, ..Moved::default() }
}

/// A weight of n rows of k, read.
fn matrix(weight: Rows, n: u32, k: u32) -> Moved {
    weights(u64::from(n) * u64::from(k) * element(weight))
}

/// What a perturbation reads: what is drawn needs coordinates alone, which are not counted.
fn recorded(perturbation: Perturbation, rows: u32, width: u32) -> Moved {
    match perturbation.kind {
        params::PERTURB_SCALE | params::PERTURB_ADD => activations(rows, width, 4),
        _ => Moved::default(),
    }
}

fn linear(p: LinearParams, name: &str) -> Moved {
    let out = if name.contains("swiglu") { p.n / 2 } else { p.n };
    let product = matrix(p.weight, p.n, p.k) + weights(vector(p.bias, p.n));
    let rows = activations(p.rows, p.k, element(p.x)) + activations(p.rows, out, element(p.out));
    let stream = if p.epilogue == params::EPILOGUE_RESIDUAL { 4 } else { 0 };
    product + rows + activations(p.rows, out, stream) + recorded(p.perturbation, p.rows, out)
}

fn adapter(p: AdapterParams) -> Moved {
    matrix(p.weight, p.n, p.k)
        + activations(p.rows, p.k, element(p.state))
        + activations(p.rows, p.n, element(p.injected) + element(p.out))
        + recorded(p.perturbation, p.rows, p.k)
}

fn qkv(p: QkvParams) -> Moved {
    let n = (p.query_heads + 2 * p.kv_heads) * p.head_dim;
    let stored = if p.kv_dtype == params::DTYPE_BF16 { 2 } else { 4 };
    let cache = u64::from(p.rows) * u64::from(2 * p.kv_heads * p.head_dim) * stored;
    let angles = if p.rotate == params::ROTATE_NONE { 0 } else { p.head_dim };
    matrix(p.weight, n, p.k)
        + weights(vector(p.bias, n) + vector(p.norm_weight, p.k))
        + activations(p.rows, p.k, element(p.x))
        + activations(p.rows, p.query_heads * p.head_dim, element(p.out))
        + activations(p.rows, angles, 4)
        + Moved { cache, ..Moved::default() }
}

/// What several rows read of one place is read once: a prompt that they share.
fn attention(p: AttentionParams, name: &str, blocks: usize, tables: &Tables) -> Option<Moved> {
    // Ranges of spans, and rows.
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut rows = 0;
    if name.contains("prefill") {
        let tiles: Vec<AttentionTile> = tables.read(p.tiles, blocks)?;
        let runs = tiles.iter().map(|tile| tile.run as usize + 1).max().unwrap_or(0);
        for run in tables.read::<AttentionRun>(p.runs, runs)? {
            ranges.push((run.first_span, run.spans));
            rows += run.rows;
        }
    } else {
        let members = if name.contains("decode") {
            let groups: Vec<AttentionGroup> = tables.read(p.groups, blocks)?;
            ranges.extend(groups.iter().map(|group| (group.first_span, group.spans)));
            groups.iter().map(|group| (group.first_member + group.members) as usize).max().unwrap_or(0)
        } else {
            blocks
        };
        let members: Vec<AttentionMember> = tables.read(p.members, members)?;
        ranges.extend(members.iter().map(|member| (member.first_span, member.spans)));
        rows = members.len() as u32;
    }
    let count = ranges.iter().map(|(first, count)| (first + count) as usize).max().unwrap_or(0);
    let spans: Vec<KvSpan> = tables.read(p.spans, count)?;
    let mut positions: HashMap<u64, u32> = HashMap::new();
    for (first, count) in ranges {
        for span in &spans[first as usize..(first + count) as usize] {
            let longest = positions.entry(span.keys).or_default();
            *longest = span.count.max(*longest);
        }
    }
    let positions: u64 = positions.into_values().map(u64::from).sum();
    let cache = positions * u64::from(2 * p.kv_heads * p.head_dim) * element(p.q);
    let moved = activations(rows, p.query_heads * p.head_dim, element(p.q) + element(p.out));
    Some(moved + Moved { cache, ..Moved::default() })
}

fn arg_max(p: ArgMaxParams, name: &str) -> Moved {
    let partials = activations(p.rows, p.tiles, size_of::<ArgMaxPartial>() as u64);
    match name {
        "arg_max_finish" => partials + activations(p.rows, 1, 4),
        _ => matrix(p.weight, p.n, p.k) + activations(p.rows, p.k, element(p.x)) + partials,
    }
}

fn norm(p: NormParams) -> Moved {
    let first = if p.first.data == 0 { 0 } else { element(p.first) };
    let vectors = [p.first_weight, p.weight, p.bias].map(|address| vector(address, p.width));
    weights(vectors.iter().sum()) + activations(p.rows, p.width, element(p.x) + first + element(p.out))
}

fn embedding(p: EmbeddingParams, tables: &Tables) -> Option<Moved> {
    let latents = match p.latents {
        0 => 0,
        latents => {
            let latents: Vec<u64> = tables.read(latents, p.rows as usize)?;
            latents.iter().filter(|address| **address != 0).count() as u32
        }
    };
    let position = if p.position_table.data == 0 { 0 } else { p.rows };
    let tables = matrix(p.table, p.rows - latents, p.width) + matrix(p.position_table, position, p.width);
    Some(tables + activations(latents, p.width, 4) + activations(p.rows, p.width, element(p.out)))
}
