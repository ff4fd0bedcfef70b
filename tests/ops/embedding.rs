//! Rows of the embedding table, stored as the head `[h, vocabulary]`.

use fathom::{
    Device, Tokens,
    ops::{
        arg_max::arg_max,
        embedding::{Input, Positions, embedding, embedding_backward},
    },
};
use fathom_testkit::{
    compare::assert_same_bits,
    inputs::Inputs,
    reference::rounded_to_bf16,
    shapes::{ROWS, WEIGHTS},
};

use rayon::prelude::*;

use crate::common::{DTYPES, added, devices, everywhere, on_any_pool, tensor, weight, written};

fn diagonal(n: usize) -> Vec<f32> {
    (0..n * n).map(|at| f32::from(u8::from(at / n == at % n))).collect()
}

fn tokens(ids: &[u32]) -> Vec<Input<'_>> {
    ids.iter().map(|&id| Input::Token(id)).collect()
}

/// Odd integers are never 0: an element that is not written shows. Each table is read at its first and last token,
/// with repetitions.
#[test]
fn exact_on_integers() {
    let mut inputs = Inputs::new(1);
    for (h, vocabulary) in WEIGHTS {
        let table = inputs.odd_integers(h * vocabulary, 60);
        for count in ROWS {
            let mut ids: Vec<u32> = (0..count).map(|_| inputs.below(vocabulary) as u32).collect();
            ids[0] = vocabulary as u32 - 1;
            ids[count / 2] = 0;
            for (device, dtype) in devices().iter().flat_map(|device| DTYPES.map(|dtype| (device, dtype))) {
                let packed = weight(device, dtype, h, vocabulary, &table);
                for scale in [1.0, 8.0] {
                    let channels = |&id: &u32| table.iter().skip(id as usize).step_by(vocabulary);
                    let expected: Vec<f32> = ids.iter().flat_map(channels).map(|x| scale * x).collect();
                    let got = written(device, |out| embedding(&packed, &tokens(&ids), scale, None, out));
                    assert_eq!((got.rows(), got.width()), (count, h));
                    assert_eq!(got.data(), expected, "{device} {dtype} {count} of [{h}, {vocabulary}]");
                }
            }
        }
    }
}

#[test]
fn no_tokens_give_no_rows() {
    for device in devices() {
        let table = weight(&device, DTYPES[0], 3, 5, &[1.0; 15]);
        let got = written(&device, |out| embedding(&table, &[], 1.0, None, out));
        assert_eq!((got.rows(), got.width()), (0, 3), "{device}");
    }
}

/// The scale is one f32 product after widening, and a position one f32 sum after that; a row in a token's place is not
/// scaled.
#[test]
fn each_step_rounds_once_on_any_pool() {
    let mut inputs = Inputs::new(2);
    let (vocabulary, context, scale) = (65, 40, 72.663_61);
    for h in [1, 6, 33, 131, 4101] {
        let (table, learned) = (inputs.bell(h * vocabulary), inputs.bell(h * context));
        let latents = inputs.bell(3 * h);
        for (device, dtype) in devices().iter().flat_map(|device| DTYPES.map(|dtype| (device, dtype))) {
            let rows = if h > 1000 { 5 } else { 97 };
            let thoughts = tensor(device, 3, h, &latents);
            let fed: Vec<Input<'_>> = (0..rows)
                .map(|i| match i % 4 {
                    1 => Input::Row(&thoughts, i % 3),
                    _ => Input::Token(i as u32 * 7 % vocabulary as u32),
                })
                .collect();
            let of_rows: Vec<u32> = (0..rows).map(|i| i as u32 * 3 % context as u32).collect();
            let stored = |table: &[f32]| match dtype {
                fathom::DType::F32 => table.to_vec(),
                fathom::DType::Bf16 => rounded_to_bf16(table),
            };
            let (tokens, places) = (stored(&table), stored(&learned));
            let packed = weight(device, dtype, h, vocabulary, &table);
            let learned = weight(device, dtype, h, context, &learned);
            for placed in [false, true] {
                let positions = placed.then_some(Positions { table: &learned, of_rows: &of_rows });
                let got = on_any_pool("embedding", || {
                    written(device, |out| embedding(&packed, &fed, scale, positions, out))
                        .into_data()
                        .unwrap()
                });
                let element = |row: usize, channel: usize| {
                    let x = match fed[row] {
                        Input::Token(id) => scale * tokens[channel * vocabulary + id as usize],
                        Input::Row(_, latent) => latents[latent * h + channel],
                        Input::Chosen(..) => unreachable!("none is fed"),
                    };
                    if placed { x + places[channel * context + of_rows[row] as usize] } else { x }
                };
                let expected: Vec<f32> = (0..rows)
                    .flat_map(|row| (0..h).map(move |channel| (row, channel)))
                    .map(|(r, c)| element(r, c))
                    .collect();
                assert_eq!(got, expected, "{device} {dtype} {h} channels, placed {placed}");
            }
        }
    }
}

/// Tokens that a head chose are embedded as if the host had named them, among others and over again.
#[test]
fn chosen_tokens() {
    let (h, vocabulary) = (9, 40);
    let table = Inputs::new(4).bell(h * vocabulary);
    for (device, dtype) in everywhere() {
        let ids = [39, 0, 17, 17, 5];
        let logits: Vec<f32> = ids
            .iter()
            .flat_map(|&id| (0..vocabulary).map(move |column| f32::from(u8::from(column == id))))
            .collect();
        let identity = weight(&device, dtype, vocabulary, vocabulary, &diagonal(vocabulary));
        let mut chosen = Tokens::empty(&device);
        arg_max(&tensor(&device, ids.len(), vocabulary, &logits), &identity, &mut chosen).unwrap();
        let table = weight(&device, dtype, h, vocabulary, &table);
        let fed: Vec<Input<'_>> = [4, 0, 0, 2, 3, 1]
            .map(|row| Input::Chosen(&chosen, row))
            .into_iter()
            .chain(tokens(&[7]))
            .collect();
        let named = tokens(&[5, 39, 39, 17, 17, 0, 7]);
        let of = |fed: &[Input<'_>]| written(&device, |out| embedding(&table, fed, 2.0, None, out));
        assert_eq!(of(&fed), of(&named), "{device} {dtype}");

        let mut history = Tokens::empty(&device);
        for _ in 0..3 {
            history.append(&chosen).unwrap();
        }
        assert_eq!(
            history.to_vec().unwrap(),
            ids.repeat(3).iter().map(|&id| id as u32).collect::<Vec<_>>(),
            "{device} {dtype}"
        );
    }
}

/// A thread that waits for its part of an embedding may go through another one meanwhile.
#[test]
fn embeddings_within_each_others_waits() {
    let (h, vocabulary) = (64, 33);
    let table = weight(&Device::Cpu, DTYPES[0], h, vocabulary, &Inputs::new(3).bell(h * vocabulary));
    let ids: Vec<u32> = (0..256).map(|i| i % vocabulary as u32).collect();
    let alone = || written(&Device::Cpu, |out| embedding(&table, &tokens(&ids), 1.0, None, out));
    let expected = alone();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let same = pool.install(|| (0..200).into_par_iter().all(|_| alone() == expected));
    assert!(same);
}

/// Rows of common ids add up, in any order of ids, to what is there; others are left alone.
#[test]
fn gradients_of_tables() {
    let mut inputs = Inputs::new(9);
    for (vocabulary, width) in [(1, 1), (7, 33), (50, 64), (1000, 5)] {
        for rows in [0, 1, 2, 13, 300] {
            let ids: Vec<u32> = (0..rows).map(|_| inputs.below(vocabulary.min(40)) as u32).collect();
            let dy = inputs.integers(rows * width, 50);
            let table = inputs.odd_integers(vocabulary * width, 50);
            let mut expected = table.clone();
            for (&id, dy) in ids.iter().zip(dy.chunks(width)) {
                let place = &mut expected[id as usize * width..][..width];
                place.iter_mut().zip(dy).for_each(|(place, dy)| *place += 4.0 * dy);
            }
            for device in devices() {
                let dy = tensor(&device, rows, width, &dy);
                let context = format!("{device}, {rows} ids of {vocabulary}, {width} channels");
                let got = on_any_pool(&context, || {
                    let add = |table: &mut _| embedding_backward(&ids, &dy, 4.0, table);
                    added(&device, vocabulary, width, &table, add).into_data().unwrap()
                });
                assert_eq!(got, expected, "{context}");
            }
        }
    }
}

/// The documented order: fused multiply-adds by rising row.
#[test]
fn gradients_of_a_table_are_chains() {
    let mut inputs = Inputs::new(10);
    let ids: Vec<u32> = (0..200).map(|_| inputs.below(3) as u32).collect();
    let (dy, table) = (inputs.bell(200 * 7), inputs.bell(3 * 7));
    let mut expected = table.clone();
    for (&id, dy) in ids.iter().zip(dy.chunks(7)) {
        let place = &mut expected[id as usize * 7..][..7];
        place.iter_mut().zip(dy).for_each(|(place, dy)| *place = 0.3f32.mul_add(*dy, *place));
    }
    for device in devices() {
        let dy = tensor(&device, 200, 7, &dy);
        let got = added(&device, 3, 7, &table, |table| embedding_backward(&ids, &dy, 0.3, table));
        assert_same_bits(&format!("{device}, chains"), got.data(), &expected);
    }
}
