//! Kernels that give each element one value, whatever runs: to the bit.

use bytemuck::cast_slice;
use fathom_testkit::{compare::assert_same_bits, inputs::Inputs};

use super::{DTYPES, Grid, Matrix, both, coordinates, gpus, pair};
use crate::{
    DType, Keep, Perturb,
    gpu::{
        Buffer, Kernel,
        params::{
            EmbeddingParams, GatherParams, PerturbParams, ROTATE_HALF_SPLIT, ROTATE_INTERLEAVED, RopeParams,
            RoundParams, Rows, ScaleParams, TOKEN_CHOSEN,
        },
    },
    random::Site,
};

/// Below, at and past a vector of four channels, and past what a block's threads take at a time.
const WIDTHS: [usize; 6] = [1, 3, 4, 33, 515, 9001];
const ROWS: usize = 3;

#[test]
fn scales() {
    let mut inputs = Inputs::new(1);
    for gpu in gpus() {
        for width in WIDTHS {
            let x = inputs.bell(ROWS * width);
            let [got, naive] = both(
                &gpu,
                pair!("scale", "scale"),
                [ROWS, width],
                Grid::of_elements(ROWS, width),
                || Matrix::spoilt(&gpu, DType::F32, width, &x),
                |x| ScaleParams { x, rows: ROWS as u32, width: width as u32, factor: 0.3, padding: 0 },
            );
            assert_same_bits(&format!("{gpu:?}, {width} channels"), &got, &naive);
        }
    }
}

/// Ordinary values, and those between two of bf16, beyond its largest, and infinite.
#[test]
fn rounded_rows() {
    let special =
        [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -f32::MIN_POSITIVE / 4.0, f32::MAX, f32::NEG_INFINITY, -0.0];
    let mut inputs = Inputs::new(2);
    for gpu in gpus() {
        for width in WIDTHS {
            let mut x = inputs.bell(ROWS * width);
            x.iter_mut().step_by(3).zip(special.into_iter().cycle()).for_each(|(x, special)| *x = special);
            let x = Matrix::spoilt(&gpu, DType::F32, width, &x);
            let [got, naive] = both(
                &gpu,
                pair!("round", "round_rows"),
                [ROWS, width],
                Grid::of_elements(ROWS, width),
                || Matrix::poison(&gpu, DType::Bf16, ROWS, width),
                |out| RoundParams { x: x.rows(), out, rows: ROWS as u32, width: width as u32 },
            );
            assert_same_bits(&format!("{gpu:?}, {width} channels"), &got, &naive);
        }
    }
}

#[test]
fn gathered_rows() {
    let mut inputs = Inputs::new(3);
    for gpu in gpus() {
        for width in WIDTHS {
            let table = Matrix::spoilt(&gpu, DType::F32, width, &inputs.bell(5 * width));
            let addresses = [4, 0, 4].map(|row| table.address(row));
            let from = Buffer::holding(&gpu, cast_slice(&addresses)).unwrap();
            let [got, naive] = both(
                &gpu,
                pair!("gather", "gather"),
                [ROWS, width],
                Grid::of_elements(ROWS, width),
                || Matrix::poison(&gpu, DType::F32, ROWS, width),
                |out| GatherParams { out, from: from.address(), rows: ROWS as u32, width: width as u32 },
            );
            assert_same_bits(&format!("{gpu:?}, {width} channels"), &got, &naive);
        }
    }
}

/// Tokens, one of them chosen on the device, and latents, with and without positions, from tables of either type.
#[test]
fn embeddings() {
    let mut inputs = Inputs::new(4);
    for gpu in gpus() {
        for width in WIDTHS {
            let [tokens, places] = DTYPES.map(|_| inputs.bell(5 * width));
            let thoughts = Matrix::spoilt(&gpu, DType::F32, width, &inputs.bell(2 * width));
            let latents = [0, thoughts.address(1), 0];
            let [ids, positions, chosen] = [[4, 0, TOKEN_CHOSEN | 1], [1, 3, 0], [9, 2, 9]]
                .map(|rows: [u32; 3]| Buffer::holding(&gpu, cast_slice(&rows)).unwrap());
            let latents = Buffer::holding(&gpu, cast_slice(&latents)).unwrap();
            for dtype in DTYPES {
                let table = Matrix::new(&gpu, dtype, width, &tokens);
                for place_dtype in [None, Some(DType::F32), Some(DType::Bf16)] {
                    let places = place_dtype.map(|dtype| Matrix::new(&gpu, dtype, width, &places));
                    for latents in [0, latents.address()] {
                        let [got, naive] = both(
                            &gpu,
                            pair!("embedding", "embedding"),
                            [ROWS, width],
                            Grid::of_elements(ROWS, width),
                            || Matrix::poison(&gpu, DType::F32, ROWS, width),
                            |out| EmbeddingParams {
                                table: table.rows(),
                                position_table: places.as_ref().map_or(Rows::default(), Matrix::rows),
                                out,
                                ids: ids.address(),
                                chosen: chosen.address(),
                                latents,
                                positions: positions.address(),
                                rows: ROWS as u32,
                                width: width as u32,
                                scale: 0.7,
                                vocabulary: 5,
                            },
                        );
                        let context = format!("{gpu:?}, {width} channels of {dtype}, places {place_dtype:?}");
                        assert_same_bits(&context, &got, &naive);
                    }
                }
            }
        }
    }
}

/// The naive version draws for each element anew.
#[test]
fn perturbations() {
    let mut inputs = Inputs::new(5);
    let at = coordinates(ROWS);
    for gpu in gpus() {
        for width in WIDTHS {
            let (x, recorded) = (inputs.bell(ROWS * width), inputs.bell(ROWS * width));
            for how in [
                Perturb::None,
                Perturb::Dropout { keep: Keep::new(0.3), site: Site::Mlp(3), rows: &at },
                Perturb::Noise { std: 0.5, site: Site::Latent, rows: &at },
                Perturb::Scale(&recorded),
                Perturb::Add(&recorded),
            ] {
                let perturbation = gpu.session().perturbation(how, width).unwrap();
                let [got, naive] = both(
                    &gpu,
                    pair!("perturb", "perturb"),
                    [ROWS, width],
                    Grid::of_elements(ROWS, width),
                    || Matrix::spoilt(&gpu, DType::F32, width, &x),
                    |x| PerturbParams { x, rows: ROWS as u32, width: width as u32, perturbation },
                );
                let kind = perturbation.kind;
                let context = format!("{gpu:?}, {width} channels, kind {kind}");
                assert_same_bits(&context, &got, &naive);
                if matches!(how, Perturb::None) {
                    assert_same_bits(&context, &got, &x);
                }
            }
        }
    }
}

/// Pairs by four and one by one; channels behind the heads stay as they are.
#[test]
fn rotations() {
    const BEHIND: usize = 3;
    let mut inputs = Inputs::new(6);
    for gpu in gpus() {
        for (heads, dim) in [(1, 2), (3, 10), (5, 16), (2, 96), (40, 128)] {
            let width = heads * dim + BEHIND;
            let x = inputs.bell(ROWS * width);
            let turns: Vec<f32> = inputs.bell(ROWS * dim).iter().map(|angle| angle.cos()).collect();
            let angles = Matrix::spoilt(&gpu, DType::F32, dim, &turns);
            for (rotate, direction) in
                [(ROTATE_INTERLEAVED, 1.0), (ROTATE_HALF_SPLIT, 1.0), (ROTATE_HALF_SPLIT, -1.0)]
            {
                let [got, naive] = both(
                    &gpu,
                    pair!("rope", "rope"),
                    [ROWS, heads * dim],
                    Grid::of_elements(ROWS, heads * dim / 2),
                    || Matrix::spoilt(&gpu, DType::F32, width, &x),
                    |x| RopeParams {
                        x,
                        angles: angles.rows().data,
                        angles_pitch: angles.rows().pitch,
                        rows: ROWS as u32,
                        heads: heads as u32,
                        head_dim: dim as u32,
                        rotate,
                        direction,
                    },
                );
                let context = format!("{gpu:?}, {heads} heads of {dim}, {rotate}, {direction}");
                assert_same_bits(&context, &got, &naive);
                for (got, x) in got.chunks(width).zip(x.chunks(width)) {
                    assert_same_bits(&context, &got[heads * dim..], &x[heads * dim..]);
                }
            }
        }
    }
}
