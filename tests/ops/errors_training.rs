//! As `errors`, of the operations of training.

use fathom::{
    DType, Device, Tensor, Weight,
    ops::{
        activation::{
            Activation, activation, activation_backward, linear_activation, linear_activation_backward,
        },
        adam::{AdamW, EllisAdam, Moments, Step, adamw, ellis_adam},
        attention::Heads,
        cross_entropy::cross_entropy,
        embedding::embedding_backward,
        layer_norm::layer_norm_backward,
        linear::{linear_backward_bias, linear_backward_weight},
        rms_norm::rms_norm_backward,
        rope::{Layout, rope_backward},
        window_attention::{Gradients, Window, window_attention, window_attention_backward},
    },
};

use crate::errors::{refused, zeros};

const ADAMW: AdamW = AdamW { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
const ELLIS: EllisAdam = EllisAdam { lr: 1e-3, peak: 1e-3, betas: [0.9, 0.95], eps: 1e-6, weight_decay: 0.0 };
const FIRST: Step = Step { t: 1, factor: 1.0 };
const HEADS: Heads = Heads { query: 4, kv: 2, dim: 8 };

#[test]
fn linears() {
    let of = |x: [usize; 2], dy: [usize; 2], dw: [usize; 2]| {
        let [x, dy, mut dw] = [x, dy, dw].map(|[rows, width]| zeros(rows, width));
        linear_backward_weight(&x, &dy, &mut dw)
    };
    let cases = [
        ("fewer rows", of([2, 3], [1, 4], [4, 3])),
        ("more rows", of([2, 3], [3, 4], [4, 3])),
        ("the transpose", of([2, 3], [2, 4], [3, 4])),
        ("a narrow gradient", of([2, 3], [2, 4], [4, 2])),
        ("a short gradient", of([2, 3], [2, 4], [3, 3])),
        ("no channels in", of([2, 0], [2, 4], [4, 0])),
        ("no channels out", of([2, 3], [2, 0], [0, 3])),
    ];
    refused("linear_backward_weight", cases);
    let of = |width, [rows, columns]: [usize; 2]| {
        linear_backward_bias(&zeros(2, width), &mut zeros(rows, columns))
    };
    let cases = [
        ("a narrow gradient", of(3, [1, 2])),
        ("a gradient of two rows", of(3, [2, 3])),
        ("no channels", of(0, [1, 0])),
    ];
    refused("linear_backward_bias", cases);
}

#[test]
fn activations() {
    let of = |kind, width| activation(kind, &zeros(2, width), &mut zeros(1, 1));
    let cases = [
        ("SwiGLU of an odd width", of(Activation::SwiGlu, 5)),
        ("SwiGLU of nothing", of(Activation::SwiGlu, 0)),
        ("no channels", of(Activation::GeluTanh, 0)),
    ];
    refused("activation", cases);
    let of = |kind, width, [rows, columns]: [usize; 2]| {
        activation_backward(kind, &zeros(2, width), &zeros(rows, columns), &mut zeros(1, 1))
    };
    let cases = [
        ("a gradient as wide as the pairs", of(Activation::SwiGlu, 6, [2, 6])),
        ("an odd width", of(Activation::SwiGlu, 7, [2, 3])),
        ("a narrow gradient", of(Activation::GeluErf, 6, [2, 3])),
        ("fewer rows", of(Activation::GeluTanh, 6, [1, 6])),
        ("no channels", of(Activation::GeluTanh, 0, [2, 0])),
    ];
    refused("activation_backward", cases);

    let w = |k, n| Weight::from_fn(&Device::Cpu, DType::F32, k, n, |_, _| 0.0).unwrap();
    let of = |kind, k, n| {
        let [mut up, mut out] = [zeros(1, 1), zeros(1, 1)];
        linear_activation(&zeros(2, 3), &w(k, n), None, kind, &mut up, &mut out)
    };
    refused("linear", [("another width", of(Activation::GeluTanh, 4, 4))]);
    refused("linear_activation", [("SwiGLU of an odd width", of(Activation::SwiGlu, 3, 5))]);
    let of = |kind, [rows, columns]: [usize; 2]| {
        linear_activation_backward(&zeros(2, 3), &w(3, 4), kind, &zeros(rows, columns), &mut zeros(1, 1))
    };
    let cases = [
        ("channels before SwiGLU as after it", of(Activation::SwiGlu, [2, 4])),
        ("twice the channels", of(Activation::GeluErf, [2, 8])),
        ("fewer rows", of(Activation::GeluTanh, [1, 4])),
    ];
    refused("linear_activation_backward", cases);
}

#[test]
fn norms() {
    let layer = |x: [usize; 2], dy: [usize; 2], [w, dw, db]: [usize; 3]| {
        let [x, dy] = [x, dy].map(|[rows, width]| zeros(rows, width));
        let [w, mut dw, mut db] = [w, dw, db].map(|width| zeros(1, width));
        layer_norm_backward(&x, &w, 1e-5, &dy, &mut zeros(1, 1), &mut dw, &mut db)
    };
    let cases = [
        ("few weights", layer([2, 3], [2, 3], [2, 3, 3])),
        ("a narrow gradient of weights", layer([2, 3], [2, 3], [3, 2, 3])),
        ("a wide gradient of biases", layer([2, 3], [2, 3], [3, 3, 4])),
        ("a gradient of fewer rows", layer([2, 3], [1, 3], [3; 3])),
        ("a narrow gradient", layer([2, 3], [3, 2], [3; 3])),
        ("no channels", layer([2, 0], [2, 0], [0; 3])),
    ];
    refused("layer_norm_backward", cases);
    let rms = |dy: [usize; 2], [w, dw]: [usize; 2]| {
        let (x, dy) = (zeros(2, 3), zeros(dy[0], dy[1]));
        rms_norm_backward(&x, &zeros(1, w), 1e-5, &dy, &mut zeros(1, 1), &mut zeros(1, dw))
    };
    let cases = [
        ("many weights", rms([2, 3], [4, 3])),
        ("a wide gradient of weights", rms([2, 3], [3, 4])),
        ("a gradient of more rows", rms([3, 3], [3, 3])),
    ];
    refused("rms_norm_backward", cases);
}

#[test]
fn rotations_and_tables() {
    let of = |width, heads, rows, dim| {
        rope_backward(&mut zeros(2, width), heads, &zeros(rows, dim), Layout::Interleaved)
    };
    let cases = [
        ("angles of fewer rows", of(16, 2, 1, 8)),
        ("heads past the row", of(16, 3, 2, 8)),
        ("an odd head", of(15, 1, 2, 5)),
    ];
    refused("rope_backward", cases);
    let of = |ids: &[u32], width, [rows, columns]: [usize; 2]| {
        embedding_backward(ids, &zeros(2, width), 1.0, &mut zeros(rows, columns))
    };
    let cases = [
        ("fewer ids", of(&[1], 3, [4, 3])),
        ("more ids", of(&[1, 2, 3], 3, [4, 3])),
        ("an id past the table", of(&[1, 4], 3, [4, 3])),
        ("a narrow table", of(&[1, 2], 3, [4, 2])),
        ("no channels", of(&[1, 2], 0, [4, 0])),
    ];
    refused("embedding_backward", cases);
}

#[test]
fn losses() {
    let of = |width, targets: &[Option<u32>]| cross_entropy(&mut zeros(2, width), targets, 1.0);
    let cases = [
        ("fewer targets", of(3, &[Some(0)])),
        ("more targets", of(3, &[None; 3])),
        ("a target past the vocabulary", of(3, &[None, Some(3)])),
        ("no logits", of(0, &[None; 2])),
    ];
    refused("cross_entropy", cases);
}

#[test]
fn windows() {
    let window = |first, visible| Window { first, visible };
    let rows = [window(0, 1), window(0, 2)];
    let of = |q: [usize; 2], k: [usize; 2], v: [usize; 2], heads, windows: &[Window]| {
        let [q, k, v] = [q, k, v].map(|[rows, width]| zeros(rows, width));
        window_attention(&q, &k, &v, heads, windows, &mut zeros(1, 1))
    };
    let seen = |windows: &[Window]| of([2, 32], [3, 16], [3, 16], HEADS, windows);
    assert!(seen(&rows).is_ok());
    let heads =
        |query, kv, dim| of([2, query * dim], [3, kv * dim], [3, kv * dim], Heads { query, kv, dim }, &rows);
    let cases = [
        ("narrow queries", of([2, 31], [3, 16], [3, 16], HEADS, &rows)),
        ("wide keys", of([2, 32], [3, 32], [3, 16], HEADS, &rows)),
        ("narrow values", of([2, 32], [3, 16], [3, 8], HEADS, &rows)),
        ("fewer values", of([2, 32], [3, 16], [2, 16], HEADS, &rows)),
        ("fewer windows", seen(&rows[..1])),
        ("more windows", seen(&[rows[0]; 3])),
        ("an empty window", seen(&[rows[0], window(1, 0)])),
        ("a window past the end", seen(&[rows[0], window(1, 3)])),
        ("a window that wraps around", seen(&[rows[0], window(usize::MAX, 2)])),
        ("heads that do not divide", heads(3, 2, 8)),
        ("no query heads", heads(0, 2, 8)),
        ("no kv heads", heads(4, 0, 8)),
        ("no channels", heads(4, 2, 0)),
        ("a head that is too wide", heads(1, 1, 1025)),
    ];
    refused("window_attention", cases);
    let of = |out: [usize; 2], dout: [usize; 2], dk: [usize; 2], dv: [usize; 2], windows: &[Window]| {
        let [q, k, v] = [[2, 32], [3, 16], [3, 16]].map(|[rows, width]| zeros(rows, width));
        let [out, dout, mut dk, mut dv] = [out, dout, dk, dv].map(|[rows, width]| zeros(rows, width));
        let gradients = Gradients { dq: &mut zeros(1, 1), dk: &mut dk, dv: &mut dv };
        window_attention_backward(&q, &k, &v, [&out, &dout], HEADS, windows, gradients)
    };
    assert!(of([2, 32], [2, 32], [3, 16], [3, 16], &rows).is_ok());
    let cases = [
        ("an output of fewer rows", of([1, 32], [2, 32], [3, 16], [3, 16], &rows)),
        ("a narrow gradient", of([2, 32], [2, 16], [3, 16], [3, 16], &rows)),
        ("keys' gradients of fewer rows", of([2, 32], [2, 32], [2, 16], [3, 16], &rows)),
        ("wide gradients of values", of([2, 32], [2, 32], [3, 16], [3, 32], &rows)),
        ("an empty window", of([2, 32], [2, 32], [3, 16], [3, 16], &[rows[0], window(1, 0)])),
    ];
    refused("window_attention_backward", cases);
}

#[test]
fn optimizers() {
    let of = |gradient: [usize; 2], [first, second]: [[usize; 2]; 2], t| {
        let of = |[rows, width]: [usize; 2]| zeros(rows, width);
        let mut moments = Moments { first: of(first), second: of(second) };
        let at = Step { t, ..FIRST };
        let adamw = adamw(&mut zeros(2, 3), &of(gradient), &mut moments, ADAMW, at);
        (adamw, ellis_adam(&mut zeros(2, 3), &of(gradient), &mut moments, ELLIS, at))
    };
    let cases = [
        ("a gradient of fewer rows", of([1, 3], [[2, 3]; 2], 1)),
        ("another shape of as many elements", of([3, 2], [[2, 3]; 2], 1)),
        ("a narrow first moment", of([2, 3], [[2, 2], [2, 3]], 1)),
        ("a wide second moment", of([2, 3], [[2, 3], [2, 4]], 1)),
        ("step 0", of([2, 3], [[2, 3]; 2], 0)),
    ];
    let (adamw, ellis): (Vec<_>, Vec<_>) =
        cases.into_iter().map(|(case, (adamw, ellis))| ((case, adamw), (case, ellis))).unzip();
    refused("adamw", adamw);
    refused("ellis_adam", ellis);
    let mut moments = Moments::of(&zeros(2, 3)).unwrap();
    let rule = EllisAdam { peak: 0.0, ..ELLIS };
    let got = ellis_adam(&mut zeros(2, 3), &zeros(2, 3), &mut moments, rule, FIRST);
    refused("ellis_adam", [("no largest learning rate", got)]);
}

/// Operands on different devices, and heads that no kernel takes.
#[test]
fn on_a_gpu() {
    let device = Device::emulated().unwrap();
    let of = |rows, width| Tensor::zeros(&device, rows, width).unwrap();
    let (x, here) = (of(2, 8), zeros(2, 8));
    let row = || of(1, 8);
    refused("linear_backward_weight", [("two devices", linear_backward_weight(&here, &x, &mut of(8, 8)))]);
    refused("linear_backward_bias", [("two devices", linear_backward_bias(&here, &mut row()))]);
    refused("activation", [("two devices", activation(Activation::GeluErf, &here, &mut of(1, 1)))]);
    refused("embedding_backward", [("two devices", embedding_backward(&[1, 2], &here, 1.0, &mut of(8, 8)))]);
    let mut moments = Moments::of(&x).unwrap();
    refused("adamw", [("two devices", adamw(&mut zeros(2, 8), &x, &mut moments, ADAMW, FIRST))]);
    let mut weight = Weight::from_fn(&device, DType::Bf16, 3, 5, |_, _| 1.0).unwrap();
    let cases = [("rows", weight.assign_rows(&here)), ("columns", weight.assign_columns(&here))];
    refused("weight", cases);

    let (heads, windows) = (Heads { query: 1, kv: 1, dim: 257 }, [Window { first: 0, visible: 1 }; 2]);
    let wide = of(2, 257);
    let got = window_attention(&wide, &wide, &wide, heads, &windows, &mut of(1, 1));
    refused("window_attention", [("257 channels", got)]);
    let gradients = Gradients { dq: &mut of(1, 1), dk: &mut of(2, 257), dv: &mut of(2, 257) };
    let got = window_attention_backward(&wide, &wide, &wide, [&wide, &wide], heads, &windows, gradients);
    refused("window_attention_backward", [("257 channels", got)]);
}
