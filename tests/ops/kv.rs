//! Keys and values against a plain map from (position, slot) to rows.

use std::collections::BTreeMap;

use fathom::{
    DType, Device,
    kv::{Layout, Sequence, Span},
    ops::attention::{Heads, Query, attention},
};
use fathom_testkit::{inputs::Inputs, poison::poisoned, reference::rounded_to_bf16};
use proptest::prelude::*;

use crate::common::{DTYPES, append, devices, everywhere, tensor, written};

const WIDTH: usize = 8;

type Rows = (Vec<f32>, Vec<f32>);

/// What a sequence should hold.
#[derive(Debug, Clone, Default)]
struct Model {
    /// By (position, slot).
    rows: BTreeMap<(usize, usize), Rows>,
    /// First positions of the segments after the first, in rising order.
    cuts: Vec<usize>,
    len: usize,
}

impl Model {
    fn own_start(&self) -> usize {
        self.cuts.last().copied().unwrap_or(0)
    }

    /// (start, rows) of each run of neighbours that read the same slot of the same segment.
    fn spans(&self, slots: &[usize]) -> Vec<(usize, Vec<Rows>)> {
        let mut spans: Vec<(usize, Vec<Rows>)> = Vec::new();
        let mut before = None;
        for position in 0..self.len {
            let slot = slots.iter().copied().find(|&slot| self.rows.contains_key(&(position, slot)));
            if slot != before || self.cuts.contains(&position) {
                before = None;
            }
            if let Some(slot) = slot {
                if before.is_none() {
                    spans.push((position, Vec::new()));
                }
                if let Some((_, rows)) = spans.last_mut() {
                    rows.push(self.rows[&(position, slot)].clone());
                }
            }
            before = slot;
        }
        spans
    }
}

fn read(sequence: &Sequence, slots: &[usize]) -> Vec<(usize, Vec<Rows>)> {
    let rows = |span: &Span<'_>| {
        let all = || 0..span.count();
        let (mut keys, mut values) = (poisoned(span.count() * WIDTH), poisoned(span.count() * WIDTH));
        let (keys, values) =
            (span.keys(all(), 0..WIDTH, &mut keys), span.values(all(), 0..WIDTH, &mut values));
        all().map(|index| (keys.row(index).to_vec(), values.row(index).to_vec())).collect()
    };
    sequence.spans(slots).iter().map(|span| (span.start(), rows(span))).collect()
}

/// ±`size` by the bits of a position below 256: its key.
fn code(position: usize, size: f32) -> Vec<f32> {
    (0..WIDTH).map(|bit| if position >> bit & 1 == 1 { size } else { -size }).collect()
}

/// A GPU's values are read by attention: a query of ±512 leaves those of one position alone, for all other weights underflow.
fn assert_reads(sequence: &Sequence, model: &Model, slots: &[usize]) {
    let expected = model.spans(slots);
    let device = sequence.device();
    if *device == Device::Cpu {
        return assert_eq!(read(sequence, slots), expected, "slots {slots:?} of {model:?}");
    }
    let spans = sequence.spans(slots);
    let got: Vec<_> = spans.iter().map(|span| (span.start(), span.count())).collect();
    let counts: Vec<_> = expected.iter().map(|(start, rows)| (*start, rows.len())).collect();
    assert_eq!(got, counts, "{device}, slots {slots:?} of {model:?}");
    let rows: Vec<(usize, &Rows)> = expected.iter().flat_map(|(start, rows)| (*start..).zip(rows)).collect();
    if rows.is_empty() {
        return;
    }
    let q = rows.iter().flat_map(|(position, _)| code(*position, 512.0)).collect::<Vec<_>>();
    let q = tensor(device, rows.len(), WIDTH, &q);
    let heads = Heads { query: 1, kv: 1, dim: WIDTH };
    let queries = vec![Query { sequence: 0, visible: model.len }; rows.len()];
    let got = written(device, |out| attention(&q, heads, &[sequence], slots, &queries, out));
    let values: Vec<f32> = rows.iter().flat_map(|(_, (_, values))| values).copied().collect();
    assert_eq!(got.data(), values, "{device}, slots {slots:?} of {model:?}");
}

/// Indices are taken modulo what exists.
#[derive(Debug, Clone)]
enum Step {
    Admit { sequence: usize, count: usize },
    Write { sequence: usize, slot: usize, first: usize, count: usize },
    Fork { sequence: usize, count: usize },
    Duplicate { sequence: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = 0usize..8;
    prop_oneof![
        3 => (sequence.clone(), 0usize..5).prop_map(|(sequence, count)| Step::Admit { sequence, count }),
        6 => (sequence.clone(), 0usize..4, 0usize..20, 1usize..5)
            .prop_map(|(sequence, slot, first, count)| Step::Write { sequence, slot, first, count }),
        1 => (sequence.clone(), 0usize..3).prop_map(|(sequence, count)| Step::Fork { sequence, count }),
        1 => sequence.prop_map(|sequence| Step::Duplicate { sequence }),
    ]
}

/// Writes to both; what reaches outside the growing segment is refused from the first such position on.
fn write(sequence: &mut Sequence, model: &mut Model, dtype: DType, slot: usize, first: usize, rows: &[Rows]) {
    let result = sequence.write(slot, first, rows.iter().map(|(k, v)| (&k[..], &v[..])));
    let own = model.own_start()..model.len;
    assert_eq!(
        result.is_ok(),
        (first..first + rows.len()).all(|position| own.contains(&position)),
        "{result:?}"
    );
    for (position, (keys, values)) in (first..).zip(rows).take_while(|(position, _)| own.contains(position)) {
        let stored = match dtype {
            DType::F32 => (keys.clone(), values.clone()),
            DType::Bf16 => (rounded_to_bf16(keys), rounded_to_bf16(values)),
        };
        model.rows.insert((position, slot), stored);
    }
}

fn replay(device: &Device, steps: &[Step], slot_lists: &[Vec<usize>], dtype: DType) {
    let mut inputs = Inputs::new(steps.len() as u64);
    let mut all = vec![(Sequence::new(device, Layout { width: WIDTH, dtype, slots: 1 }), Model::default())];
    for step in steps {
        match *step {
            Step::Admit { sequence, count } => {
                let at = sequence % all.len();
                let (sequence, model) = &mut all[at];
                assert_eq!(sequence.admit(count), model.len);
                model.len += count;
            }
            Step::Write { sequence, slot, first, count } => {
                let at = sequence % all.len();
                let (sequence, model) = &mut all[at];
                let rows = (first..first + count).map(|position| (code(position, 1.0), inputs.bell(WIDTH)));
                let rows: Vec<Rows> = rows.collect();
                write(sequence, model, dtype, slot, first, &rows);
            }
            Step::Fork { sequence, count } => {
                let at = sequence % all.len();
                let (sequence, mut model) = all.swap_remove(at);
                if model.own_start() < model.len {
                    model.cuts.push(model.len);
                }
                all.extend(sequence.fork(count + 1).into_iter().map(|fork| (fork, model.clone())));
            }
            Step::Duplicate { sequence } => {
                let (sequence, model) = &all[sequence % all.len()];
                let copy = (sequence.duplicate().unwrap(), model.clone());
                all.push(copy);
            }
        }
    }
    for (sequence, model) in &all {
        assert_eq!((sequence.len(), sequence.is_empty()), (model.len, model.len == 0));
        for slots in slot_lists {
            assert_reads(sequence, model, slots);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn agrees_with_a_plain_map(
        steps in prop::collection::vec(step(), 0..60),
        slot_lists in prop::collection::vec(prop::collection::vec(0usize..5, 0..4), 1..4),
        bf16 in any::<bool>(),
    ) {
        replay(&Device::Cpu, &steps, &slot_lists, if bf16 { DType::Bf16 } else { DType::F32 });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn agrees_with_a_plain_map_on_gpus(
        steps in prop::collection::vec(step(), 0..60),
        slot_lists in prop::collection::vec(prop::collection::vec(0usize..5, 0..4), 1..4),
        bf16 in any::<bool>(),
    ) {
        for device in devices().into_iter().filter(|device| *device != Device::Cpu) {
            replay(&device, &steps, &slot_lists, if bf16 { DType::Bf16 } else { DType::F32 });
        }
    }
}

/// N forks cost the prompt once: what each owns is its suffix alone, and reading through a fork reaches all of it.
#[test]
fn forks_share_the_prompt() {
    for (device, dtype) in everywhere() {
        let mut root = Sequence::new(&device, Layout { width: WIDTH, dtype, slots: 1 });
        append(&mut root, 0, WIDTH, &[1.0; 40 * WIDTH], &[2.0; 40 * WIDTH]);
        let prompt = root.bytes();
        assert!(prompt >= 2 * 40 * WIDTH * dtype.bytes(), "{prompt} bytes cannot hold the prompt");
        for mut fork in root.fork(8) {
            assert_eq!((fork.own_bytes(), fork.bytes(), fork.len()), (0, prompt, 40));
            append(&mut fork, 0, WIDTH, &[3.0; WIDTH], &[4.0; WIDTH]);
            assert_eq!(fork.bytes(), prompt + fork.own_bytes());
            assert!(fork.own_bytes() < prompt / 4, "{} bytes for one position", fork.own_bytes());
        }
    }
}

/// Part of the rows: some positions' channels of one kv head, as attention reads them; of none there is nothing.
#[test]
fn reads_channels_of_a_head() {
    let values: Vec<f32> = (0..24).map(|x| x as f32).collect();
    for dtype in DTYPES {
        let mut sequence = Sequence::new(&Device::Cpu, Layout { width: 8, dtype, slots: 1 });
        append(&mut sequence, 2, 8, &values, &values);
        let spans = sequence.spans(&[2]);
        assert_eq!((spans.len(), spans[0].count(), spans[0].width()), (1, 3, 8));
        let mut buffer = poisoned(9);
        let keys = spans[0].keys(1..3, 4..8, &mut buffer);
        assert_eq!((keys.count(), keys.width()), (2, 4));
        assert_eq!((keys.row(0), keys.row(1)), (&values[12..16], &values[20..24]));
        let values = spans[0].values(2..3, 0..2, &mut buffer);
        assert_eq!((values.count(), values.row(0)), (1, &[16.0, 17.0][..]));
        assert_eq!(spans[0].keys(1..1, 4..8, &mut buffer).count(), 0);
        assert_eq!(spans[0].keys(3..3, 4..8, &mut buffer).count(), 0);
    }
}
