//! Every shape that does not fit is an error that names the operation, and never a panic.

use fathom::{
    DType, Device, Error, Keep, Perturb, Result, Tensor, Tokens, Weight,
    kv::{Layout, Sequence},
    ops::{
        adapter::adapter,
        arg_max::arg_max,
        attention::{Heads, MAX_DIM, Query, attention},
        cosine::cosine,
        distance::distance,
        embedding::{Input, embedding},
        entropy::entropy,
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        perturb::perturb,
        rms_norm::{double_norm, rms_norm},
        rope,
    },
    random::{Coordinates, Draw, Site},
};

use crate::common::append;

pub(crate) fn zeros(rows: usize, width: usize) -> Tensor {
    Tensor::zeros(&Device::Cpu, rows, width).unwrap()
}

fn weight(k: usize, n: usize) -> Weight {
    Weight::from_fn(&Device::Cpu, DType::F32, k, n, |_, _| 0.0).unwrap()
}

fn dropout(rows: &[Coordinates]) -> Perturb<'_> {
    Perturb::Dropout { keep: Keep::new(0.5), site: Site::Latent, rows }
}

fn noise(rows: &[Coordinates]) -> Perturb<'_> {
    Perturb::Noise { std: 1.0, site: Site::Latent, rows }
}

const AT: [Coordinates; 2] =
    [Coordinates { draw: Draw { key: 0, trajectory: 0 }, position: 0, iteration: 0 }; 2];

/// Each case is refused by `operation`; what is told is more than its name.
#[track_caller]
pub(crate) fn refused<T>(operation: &str, cases: impl IntoIterator<Item = (&'static str, Result<T>)>) {
    for (case, result) in cases {
        match result {
            Err(Error::Shape { operation: named, what }) => {
                assert_eq!(named, operation, "{case}");
                assert!(!what.is_empty(), "{case}");
            }
            Err(other) => panic!("{operation}, {case}: {other}"),
            Ok(_) => panic!("{operation}, {case}: accepted"),
        }
    }
}

#[test]
fn tensors() {
    let new = |rows, width, count| Tensor::new(&Device::Cpu, rows, width, vec![0.0; count]);
    let cases = [
        ("too few", new(2, 3, 5)),
        ("too many", new(2, 3, 7)),
        ("a product past the largest integer", new(usize::MAX, 2, 2)),
    ];
    refused("tensor", cases);
    let select = |x: Tensor, rows: &[usize]| x.select(rows, &mut zeros(1, 1));
    refused(
        "gather",
        [("past the end", select(zeros(2, 3), &[0, 2])), ("of nothing", select(zeros(0, 3), &[0]))],
    );
}

#[test]
fn linears() {
    let w = weight(4, 6);
    let with = |w: &Weight, epilogue| linear(&zeros(2, w.k()), w, None, epilogue, &mut zeros(1, 1));
    let of = |rows, width, bias: Option<usize>, epilogue| {
        let bias = bias.map(|columns| zeros(1, columns));
        linear(&zeros(rows, width), &w, bias.as_ref(), epilogue, &mut zeros(1, 1))
    };
    let onto = |rows, width| {
        linear(&zeros(2, 4), &w, None, Epilogue::Residual(Perturb::None), &mut zeros(rows, width))
    };
    let cases = [
        ("a narrow row", of(2, 3, None, Epilogue::None)),
        ("a wide row", of(2, 5, None, Epilogue::GeluTanh)),
        ("a short bias", of(2, 4, Some(5), Epilogue::None)),
        ("a long bias", of(2, 4, Some(7), Epilogue::GeluErf)),
        ("SwiGLU with a bias", of(2, 4, Some(6), Epilogue::SwiGlu)),
        ("SwiGLU of an odd width", with(&weight(4, 5), Epilogue::SwiGlu)),
        ("a stream of fewer rows", onto(1, 6)),
        ("a stream of more rows", onto(3, 6)),
        ("a narrow stream", onto(2, 5)),
        ("a wide stream", onto(2, 7)),
        ("a stream of as many elements in another shape", onto(3, 4)),
        ("no channels in", with(&weight(0, 6), Epilogue::None)),
        ("SwiGLU of no channels", with(&weight(0, 6), Epilogue::SwiGlu)),
        ("no channels out", with(&weight(4, 0), Epilogue::None)),
    ];
    refused("linear", cases);
    let perturbed = |form| linear(&zeros(3, 4), &w, None, Epilogue::Residual(form), &mut zeros(3, 6));
    let cases = [
        ("coordinates of two rows", perturbed(dropout(&AT))),
        ("noise of two rows", perturbed(noise(&AT))),
        ("few factors", perturbed(Perturb::Scale(&[1.0; 17]))),
        ("many terms", perturbed(Perturb::Add(&[1.0; 19]))),
    ];
    refused("perturb", cases);
}

#[test]
fn adapters() {
    let of = |state: (usize, usize), injected: (usize, usize)| {
        let (mut state, injected) = (zeros(state.0, state.1), zeros(injected.0, injected.1));
        adapter(&mut state, &weight(4, 6), &injected, Perturb::None, &mut zeros(1, 1))
    };
    let cases = [
        ("a narrow state", of((2, 3), (2, 6))),
        ("a wide state", of((2, 5), (2, 6))),
        ("fewer rows injected", of((2, 4), (1, 6))),
        ("more rows injected", of((2, 4), (3, 6))),
        ("injected as wide as the state", of((2, 4), (2, 4))),
    ];
    refused("adapter", cases);
    let perturbed = |form| adapter(&mut zeros(3, 4), &weight(4, 6), &zeros(3, 6), form, &mut zeros(1, 1));
    refused(
        "perturb",
        [("coordinates of two rows", perturbed(dropout(&AT))), ("noise", perturbed(noise(&AT)))],
    );
}

#[test]
fn arg_maxes() {
    let of = |width, k, n| arg_max(&zeros(2, width), &weight(k, n), &mut Tokens::empty(&Device::Cpu));
    let cases = [
        ("a narrow row", of(3, 4, 6)),
        ("a wide row", of(5, 4, 6)),
        ("no columns", of(4, 4, 0)),
        ("no channels", of(0, 0, 6)),
    ];
    refused("arg_max", cases);
}

#[test]
fn embeddings() {
    let of = |k, n, ids: &[u32]| {
        let inputs: Vec<Input<'_>> = ids.iter().map(|&id| Input::Token(id)).collect();
        embedding(&weight(k, n), &inputs, 1.0, None, &mut zeros(1, 1))
    };
    let cases = [
        ("past the vocabulary", of(4, 6, &[0, 6])),
        ("far past it", of(4, 6, &[u32::MAX])),
        ("in the padding of the last panel", of(4, 33, &[33])),
        ("of an empty vocabulary", of(4, 0, &[0])),
        ("without channels", of(0, 6, &[1])),
    ];
    refused("embedding", cases);

    let among = |n, rows| {
        let mut chosen = Tokens::empty(&Device::Cpu);
        arg_max(&zeros(rows, 4), &weight(4, n), &mut chosen).map(|()| chosen).unwrap()
    };
    let (small, large) = (among(6, 2), among(7, 2));
    let of = |inputs: &[Input<'_>]| embedding(&weight(4, 6), inputs, 1.0, None, &mut zeros(1, 1));
    let cases = [
        ("past those chosen", of(&[Input::Chosen(&small, 2)])),
        ("chosen among more", of(&[Input::Chosen(&large, 0)])),
        ("of two operations", of(&[Input::Chosen(&small, 0), Input::Chosen(&among(6, 1), 0)])),
    ];
    refused("embedding", cases);
}

#[test]
fn norms() {
    let layer = |width, w: usize, b: usize| {
        layer_norm(&zeros(2, width), &zeros(1, w), &zeros(1, b), 1e-5, &mut zeros(1, 1))
    };
    let cases = [
        ("few weights", layer(4, 3, 4)),
        ("few biases", layer(4, 4, 3)),
        ("many of both", layer(4, 5, 5)),
        ("no channels", layer(0, 0, 0)),
    ];
    refused("layer_norm", cases);
    let rms = |width, w: usize| rms_norm(&zeros(2, width), &zeros(1, w), 1e-5, &mut zeros(1, 1));
    refused(
        "rms_norm",
        [("few weights", rms(4, 3)), ("many weights", rms(4, 5)), ("no channels", rms(0, 0))],
    );
    let double = |width, first: usize, second: usize| {
        double_norm(&mut zeros(2, width), [&zeros(1, first), &zeros(1, second)], 1e-5, &mut zeros(1, 1))
    };
    let cases = [
        ("few weights of the first", double(4, 3, 4)),
        ("many weights of the second", double(4, 4, 5)),
        ("no channels", double(0, 0, 0)),
    ];
    refused("double_norm", cases);
}

#[test]
fn ropes() {
    let of = |width, heads, rows, dim| {
        rope::rope(&mut zeros(2, width), heads, &zeros(rows, dim), rope::Layout::HalfSplit)
    };
    let cases = [
        ("angles of fewer rows", of(16, 2, 1, 8)),
        ("angles of more rows", of(16, 2, 3, 8)),
        ("heads past the row", of(16, 3, 2, 8)),
        ("an odd head", of(15, 1, 2, 5)),
        ("an empty head", of(16, 1, 2, 0)),
        ("an empty row", of(0, 0, 2, 8)),
        ("heads past the largest integer", of(16, usize::MAX, 2, 8)),
    ];
    refused("rope", cases);
}

#[test]
fn perturbations() {
    let of = |rows, width, form: Perturb<'_>| perturb(&mut zeros(rows, width), form);
    let cases = [
        ("coordinates of fewer rows", of(3, 4, dropout(&AT))),
        ("coordinates of more rows", of(1, 4, dropout(&AT))),
        ("noise for fewer rows", of(3, 4, noise(&AT))),
        ("noise for more rows", of(1, 4, noise(&AT))),
        ("few factors", of(2, 4, Perturb::Scale(&[1.0; 7]))),
        ("many factors", of(2, 4, Perturb::Scale(&[1.0; 9]))),
        ("few terms", of(2, 4, Perturb::Add(&[1.0; 7]))),
        ("many terms", of(2, 4, Perturb::Add(&[1.0; 9]))),
        ("no channels", of(2, 0, dropout(&AT))),
    ];
    refused("perturb", cases);
}

#[test]
fn attentions() {
    let three = |width| {
        let mut sequence = Sequence::new(&Device::Cpu, Layout { width, dtype: DType::F32, slots: 1 });
        append(&mut sequence, 0, width, &vec![0.0; 3 * width], &vec![0.0; 3 * width]);
        sequence
    };
    let (sequence, huge) = (three(32), three(MAX_DIM + 1));
    let heads = Heads { query: 4, kv: 2, dim: 16 };
    let row = Query { sequence: 0, visible: 3 };
    let of = |rows, width, heads, slots: &[usize], queries: &[Query]| {
        attention(&zeros(rows, width), heads, &[&sequence], slots, queries, &mut zeros(1, 1))
    };
    let other = |heads: Heads, sequences: &[&Sequence]| {
        attention(&zeros(1, heads.fused_width()), heads, sequences, &[0], &[row], &mut zeros(1, 1))
    };
    let width = heads.fused_width();
    assert!(of(1, width, heads, &[0], &[row]).is_ok());
    let with = |query, kv, dim| {
        let heads = Heads { query, kv, dim };
        of(1, heads.fused_width(), heads, &[0], &[row])
    };
    let cases = [
        ("a narrow row", of(1, width - 1, heads, &[0], &[row])),
        ("fewer queries than rows", of(2, width, heads, &[0], &[row])),
        ("more queries than rows", of(1, width, heads, &[0], &[row, row])),
        ("heads that do not divide", with(3, 2, 16)),
        ("no kv heads", with(4, 0, 16)),
        ("no query heads", with(0, 2, 16)),
        ("no channels", with(4, 2, 0)),
        ("a cache that is too narrow", with(4, 4, 16)),
        ("a cache that is too wide", with(4, 1, 16)),
        ("a second cache that is too wide", other(heads, &[&sequence, &huge])),
        ("a head that is too wide", other(Heads { query: 1, kv: 1, dim: MAX_DIM + 1 }, &[&huge])),
        ("no sequences", other(heads, &[])),
        ("nothing visible", of(1, width, heads, &[0], &[Query { visible: 0, ..row }])),
        ("a slot that nothing has", of(1, width, heads, &[5], &[row])),
        ("no slots", of(1, width, heads, &[], &[row])),
        ("a sequence that does not exist", of(1, width, heads, &[0], &[Query { sequence: 1, ..row }])),
    ];
    refused("attention", cases);
}

#[test]
fn reductions() {
    let apart =
        |[a, b]: [usize; 2], [c, d]: [usize; 2]| distance(&zeros(a, b), &zeros(c, d), &mut zeros(1, 1));
    let cases = [
        ("other rows", apart([2, 3], [1, 3])),
        ("other channels", apart([2, 3], [2, 4])),
        ("no channels", apart([2, 0], [2, 0])),
    ];
    refused("distance", cases);
    let of = |width, before: Option<[usize; 2]>, min_p| {
        let before = before.map(|[rows, width]| zeros(rows, width));
        entropy(&zeros(2, width), before.as_ref(), min_p, &mut zeros(1, 1))
    };
    let cases = [
        ("no logits", of(0, None, 0.0)),
        ("fewer rows before", of(3, Some([1, 3]), 0.0)),
        ("other logits before", of(3, Some([2, 4]), 0.0)),
        ("a negative share", of(3, None, -0.1)),
        ("more than the largest", of(3, None, 1.1)),
        ("no share at all", of(3, None, f32::NAN)),
    ];
    refused("entropy", cases);
    refused("cosine", [("no channels", cosine(&zeros(2, 0), &mut zeros(1, 1)))]);
}

#[test]
fn caches() {
    let mut root = Sequence::new(&Device::Cpu, Layout { width: 2, dtype: DType::F32, slots: 1 });
    append(&mut root, 0, 2, &[0.0; 4], &[0.0; 4]);
    let mut fork = root.fork(1).remove(0);
    fork.admit(1);
    let mut write = |position, key: &[f32], value: &[f32]| fork.write(0, position, [(key, value)]);
    let row = [0.0; 3];
    let cases = [
        ("a shared position", write(1, &row[..2], &row[..2])),
        ("a position not admitted", write(3, &row[..2], &row[..2])),
        ("the last position there is", write(usize::MAX, &row[..2], &row[..2])),
        ("narrow keys", write(2, &row[..1], &row[..2])),
        ("wide values", write(2, &row[..2], &row)),
    ];
    refused("kv write", cases);
}
