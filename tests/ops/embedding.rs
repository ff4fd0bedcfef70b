//! Rows of the embedding table, stored as the head `[h, vocabulary]`.

use fathom::Device;
use fathom::ops::embedding::{Input, embedding};
use fathom_testkit::{
    inputs::Inputs,
    shapes::{ROWS, WEIGHTS},
};

use crate::common::{DTYPES, on_any_pool, weight, written};

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
            for dtype in DTYPES {
                for scale in [1.0, 8.0] {
                    let channels = |&id: &u32| table.iter().skip(id as usize).step_by(vocabulary);
                    let expected: Vec<f32> = ids.iter().flat_map(channels).map(|x| scale * x).collect();
                    let table = weight(&Device::Cpu, dtype, h, vocabulary, &table);
                    let got = written(&Device::Cpu, |out| embedding(&table, &tokens(&ids), scale, None, out));
                    assert_eq!((got.rows(), got.width()), (count, h));
                    assert_eq!(got.data(), expected, "{dtype} {count} of [{h}, {vocabulary}]");
                }
            }
        }
    }
}

#[test]
fn no_tokens_give_no_rows() {
    let table = weight(&Device::Cpu, DTYPES[0], 3, 5, &[1.0; 15]);
    let got = written(&Device::Cpu, |out| embedding(&table, &[], 1.0, None, out));
    assert_eq!((got.rows(), got.width()), (0, 3));
}

/// The scale is one f32 product after widening.
#[test]
fn scale_rounds_once_on_any_pool() {
    let (h, vocabulary) = (33, 65);
    let table = Inputs::new(2).bell(h * vocabulary);
    let ids: Vec<u32> = (0..97).map(|i| i * 7 % vocabulary as u32).collect();
    let scale = 72.663_61;
    for dtype in DTYPES {
        let packed = weight(&Device::Cpu, dtype, h, vocabulary, &table);
        let got = on_any_pool("embedding", || {
            written(&Device::Cpu, |out| embedding(&packed, &tokens(&ids), scale, None, out))
                .into_data()
                .unwrap()
        });
        let stored = match dtype {
            fathom::DType::F32 => table.clone(),
            fathom::DType::Bf16 => fathom_testkit::reference::rounded_to_bf16(&table),
        };
        let channels = |&id: &u32| stored.iter().skip(id as usize).step_by(vocabulary);
        let expected: Vec<f32> = ids.iter().flat_map(channels).map(|x| scale * x).collect();
        assert_eq!(got, expected, "{dtype}");
    }
}
