//! Launches of `kernels/attention.cu`: which rows go together, and what they read.

use std::collections::HashMap;

use bytemuck::cast_slice;

use super::{
    Gpu, Kernel, Session, Table, dtype,
    params::{AttentionGroup, AttentionMember, AttentionParams, AttentionRun, AttentionTile, KvSpan},
};
use crate::{
    DType, Result, Tensor,
    error::check,
    kv::{Sequence, Slots},
    ops::attention::{Heads, Query},
};

/// Query rows of a tile of prefill.
const TILE_ROWS: usize = 64;

/// Members of a group of decode at most.
const GROUP_MEMBERS: usize = 16;

/// Channels of a head in f32 at most.
const F32_CHANNELS: usize = 256;

/// Channels of a head that the bf16 kernels come in, with their names; fewer channels run in the next larger one.
const FORMS: [(usize, &str, &str); 5] = [
    (16, "attention_prefill_bf16_16", "attention_decode_bf16_16"),
    (32, "attention_prefill_bf16_32", "attention_decode_bf16_32"),
    (64, "attention_prefill_bf16_64", "attention_decode_bf16_64"),
    (96, "attention_prefill_bf16_96", "attention_decode_bf16_96"),
    (128, "attention_prefill_bf16_128", "attention_decode_bf16_128"),
];

pub(crate) fn attention<S: AsRef<Sequence>>(
    gpu: &Gpu,
    q: &Tensor,
    heads: Heads,
    sequences: &[S],
    slots: Slots<'_>,
    rows: &[Query],
    out: &mut Tensor,
) -> Result<()> {
    let Some(sequence) = sequences.first() else { return Ok(()) };
    if rows.is_empty() {
        return Ok(());
    }
    let stored = sequence.as_ref().layout().dtype;
    let same = sequences.iter().all(|sequence| sequence.as_ref().layout().dtype == stored);
    check("attention", same, || "caches of different types".into())?;
    let out = match stored {
        DType::F32 => out.rows_of("attention", DType::F32)?,
        DType::Bf16 => out.device_rows(),
    };
    let mut session = gpu.session();
    let params = AttentionParams {
        q: session.operand("attention", q, stored)?,
        out,
        query_heads: heads.query as u32,
        kv_heads: heads.kv as u32,
        head_dim: heads.dim as u32,
        slot: slots.base() as u32,
        scale: (heads.dim as f32).sqrt().recip(),
        ..Default::default()
    };
    debug_assert_eq!(params.q.dtype, dtype(stored));
    let reads = Reads { sequences, slots, dtype: stored };
    match stored {
        DType::F32 => plain(&mut session, params, heads, &reads, rows),
        DType::Bf16 => tiled(&mut session, params, heads, &reads, rows),
    }
}

/// What query rows read.
struct Reads<'a, S> {
    sequences: &'a [S],
    slots: Slots<'a>,
    dtype: DType,
}

impl<S: AsRef<Sequence>> Reads<'_, S> {
    /// The spans of a sequence up to position `visible`, with whether each lies in a segment that others may share.
    fn spans(&self, sequence: usize, visible: usize) -> impl Iterator<Item = (KvSpan, bool)> {
        let spans = self.sequences[sequence].as_ref().spans(self.slots.of(sequence));
        let spans = spans.into_iter().map(move |span| span.until(visible)).filter(|span| span.count() > 0);
        let (slot, dtype) = (self.slots.base(), self.dtype);
        spans.map(move |span| (span.device(slot, dtype), span.shared()))
    }
}

/// Every row by itself, in f32.
fn plain<S: AsRef<Sequence>>(
    session: &mut Session<'_>,
    mut params: AttentionParams,
    heads: Heads,
    reads: &Reads<'_, S>,
    rows: &[Query],
) -> Result<()> {
    check("attention", heads.dim <= F32_CHANNELS, || {
        format!("{} channels a head, at most {F32_CHANNELS} on a GPU", heads.dim)
    })?;
    let (mut spans, mut members) = (Vec::new(), Vec::with_capacity(rows.len()));
    for (row, query) in rows.iter().enumerate() {
        let first = spans.len();
        spans.extend(reads.spans(query.sequence, query.visible).map(|(span, _)| span));
        members.push(member(row, first, spans.len()));
    }
    params.spans = session.table(Table::Spans, &spans)?;
    params.members = session.table(Table::Members, &members)?;
    let kernel = Kernel { file: "attention", name: "attention_f32" };
    // SAFETY: spans of sequences that live, rows and heads that shapes were checked for.
    unsafe { session.launch(kernel, &params, [rows.len(), heads.query, 1], 32, 0) }
}

fn member(row: usize, first: usize, end: usize) -> AttentionMember {
    AttentionMember { row: row as u32, first_span: first as u32, spans: (end - first) as u32, padding: 0 }
}

/// Neighbouring rows of one sequence in tiles, single rows with those that share their segments. Which kernel a row takes
/// and how its positions fall into parts follows from its own sequence alone.
fn tiled<S: AsRef<Sequence>>(
    session: &mut Session<'_>,
    mut params: AttentionParams,
    heads: Heads,
    reads: &Reads<'_, S>,
    rows: &[Query],
) -> Result<()> {
    let form = FORMS.iter().find(|(channels, ..)| *channels >= heads.dim);
    let form = form.filter(|_| heads.dim.is_multiple_of(8));
    check("attention", form.is_some(), || {
        format!("{} channels a head; in bf16 a GPU takes multiples of 8 up to 128", heads.dim)
    })?;
    let Some(&(channels, prefill, decode)) = form else { return Ok(()) };
    let plan = Plan::new(reads, rows);
    params.spans = session.table(Table::Spans, &plan.spans)?;
    if !plan.tiles.is_empty() {
        params.runs = session.table(Table::Runs, &plan.runs)?;
        params.tiles = session.table(Table::Tiles, &plan.tiles)?;
        let kernel = Kernel { file: "attention", name: prefill };
        // SAFETY: spans of sequences that live, rows and heads that shapes were checked for.
        unsafe { session.launch(kernel, &params, [plan.tiles.len(), heads.query, 1], 128, 512 * channels)? };
    }
    if !plan.groups.is_empty() {
        params.groups = session.table(Table::Groups, &plan.groups)?;
        params.members = session.table(Table::Members, &plan.members)?;
        // The sixteen rows of a product are a kv head's query heads, for as many members as fit.
        let together = heads.query / heads.kv;
        let members_a_block = GROUP_MEMBERS / together.min(GROUP_MEMBERS);
        let most = plan.groups.iter().map(|group| group.members as usize).max().unwrap_or(0);
        let grid =
            [plan.groups.len(), heads.kv * together.div_ceil(GROUP_MEMBERS), most.div_ceil(members_a_block)];
        let kernel = Kernel { file: "attention", name: decode };
        // SAFETY: as above.
        unsafe { session.launch(kernel, &params, grid, 256, 1280 * channels + 1536)? };
    }
    Ok(())
}

/// The tables of both kernels.
#[derive(Default)]
struct Plan {
    spans: Vec<KvSpan>,
    runs: Vec<AttentionRun>,
    tiles: Vec<AttentionTile>,
    groups: Vec<AttentionGroup>,
    members: Vec<AttentionMember>,
}

/// A single row, and where what it reads stands in a list: shared spans from `first` on, its own from `own` to `end`.
struct Single {
    row: usize,
    first: usize,
    own: usize,
    end: usize,
}

impl Plan {
    fn new<S: AsRef<Sequence>>(reads: &Reads<'_, S>, rows: &[Query]) -> Self {
        let mut plan = Plan::default();
        let (mut read, mut singles) = (Vec::new(), Vec::new());
        let mut row = 0;
        while row < rows.len() {
            let count = neighbours(&rows[row..]);
            if count > 1 {
                plan.run(reads, rows, row, count);
            } else {
                let first = read.len();
                let mut own = first;
                for (span, shared) in reads.spans(rows[row].sequence, rows[row].visible) {
                    read.push(span);
                    if shared {
                        own = read.len();
                    }
                }
                singles.push(Single { row, first, own, end: read.len() });
            }
            row += count;
        }
        plan.group(&read, &singles);
        plan
    }

    /// `count` neighbouring rows of one sequence.
    fn run<S: AsRef<Sequence>>(&mut self, reads: &Reads<'_, S>, rows: &[Query], first: usize, count: usize) {
        let (run, first_span) = (self.runs.len() as u32, self.spans.len());
        let last = rows[first + count - 1];
        self.spans.extend(reads.spans(last.sequence, last.visible).map(|(span, _)| span));
        self.runs.push(AttentionRun {
            first_row: first as u32,
            rows: count as u32,
            first_span: first_span as u32,
            spans: (self.spans.len() - first_span) as u32,
            first_visible: rows[first].visible as u32,
            padding: 0,
        });
        let tiles = (0..count).step_by(TILE_ROWS);
        self.tiles.extend(tiles.map(|first| AttentionTile { run, first: first as u32 }));
    }

    /// Single rows with those that share the same spans, behind which each has spans of its own.
    fn group(&mut self, read: &[KvSpan], singles: &[Single]) {
        let shared = |single: &Single| &read[single.first..single.own];
        // By bytes, in the order in which they first come.
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let mut ranked: Vec<(usize, &Single)> = Vec::with_capacity(singles.len());
        for single in singles {
            let next = known.len();
            ranked.push((*known.entry(cast_slice(shared(single))).or_insert(next), single));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        for alike in ranked.chunk_by(|(one, _), (other, _)| one == other) {
            let shared = shared(alike[0].1);
            let first_span = self.spans.len() as u32;
            self.spans.extend_from_slice(shared);
            for together in alike.chunks(GROUP_MEMBERS) {
                self.groups.push(AttentionGroup {
                    first_member: self.members.len() as u32,
                    members: together.len() as u32,
                    first_span,
                    spans: shared.len() as u32,
                });
                for (_, single) in together {
                    let first = self.spans.len();
                    self.spans.extend_from_slice(&read[single.own..single.end]);
                    self.members.push(member(single.row, first, self.spans.len()));
                }
            }
        }
    }
}

/// How many rows from the first on belong to one sequence, each seeing one position more than the one before.
fn neighbours(rows: &[Query]) -> usize {
    let next =
        |pair: &[Query]| pair[0].sequence == pair[1].sequence && pair[0].visible + 1 == pair[1].visible;
    1 + rows.windows(2).take_while(|pair| next(pair)).count()
}
