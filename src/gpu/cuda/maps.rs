//! Tensor maps of matrices (`Executor::tensor_map`), each encoded once while it is kept.

use std::collections::HashMap;

use cudarc::driver::{DriverError, sys};

use crate::gpu::Tiled;

pub(super) type Map = [u64; 16];

type Result<T> = std::result::Result<T, DriverError>;

/// Maps that are kept: those of all weights of a network and of a few shapes of the rows that meet them, in 200 KB.
const KEPT: usize = 1024;

/// A map is a pure function of address, shape, pitch and tile: it holds also for memory that was given back and came again
/// at the same address, so none is ever stale.
#[derive(Default)]
pub(super) struct Maps(HashMap<[u64; 5], Map>);

impl Maps {
    /// The map of `tiled`, made by `encode` where it is not kept.
    pub(super) fn get(&mut self, tiled: &Tiled, encode: impl FnOnce(&Tiled) -> Result<Map>) -> Result<Map> {
        let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
        let key = [address, rows, columns, pitch, tile_rows.into()];
        if let Some(map) = self.0.get(&key) {
            return Ok(*map);
        }
        let map = encode(tiled)?;
        if self.0.len() == KEPT {
            // Those in use are back after one step.
            self.0.clear();
        }
        self.0.insert(key, map);
        Ok(map)
    }
}

/// The map of a matrix of bf16 in tiles.
pub(super) fn encode(tiled: &Tiled) -> Result<Map> {
    let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
    let mut map = sys::CUtensorMap { opaque: [0; 16] };
    // SAFETY: two dimensions, one stride, as the arrays have; the address goes into the map as it is.
    unsafe {
        sys::cuTensorMapEncodeTiled(
            &raw mut map,
            sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
            2,
            std::ptr::without_provenance_mut(address as usize),
            [columns, rows].as_ptr(),
            [pitch].as_ptr(),
            [64, tile_rows].as_ptr(),
            [1, 1].as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
        .result()?;
    }
    Ok(map.opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILED: Tiled = Tiled { address: 1 << 40, rows: 3, columns: 64, pitch: 128, tile_rows: 16 };

    /// Whether the map of `tiled` is encoded, and that it is that of `tiled`.
    fn encoded(maps: &mut Maps, tiled: &Tiled) -> bool {
        let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
        let mut expected = [0; 16];
        expected[..5].copy_from_slice(&[address, rows, columns, pitch, tile_rows.into()]);
        let mut called = false;
        let map = maps.get(tiled, |_| {
            called = true;
            Ok(expected)
        });
        assert!(map == Ok(expected), "{tiled:?}");
        called
    }

    #[test]
    fn a_map_is_encoded_once_for_each_matrix() {
        let mut maps = Maps::default();
        let all = [
            TILED,
            Tiled { address: 2 << 40, ..TILED },
            Tiled { rows: 4, ..TILED },
            Tiled { columns: 128, ..TILED },
            Tiled { pitch: 256, ..TILED },
            Tiled { tile_rows: 64, ..TILED },
        ];
        assert!(all.iter().all(|tiled| encoded(&mut maps, tiled)));
        assert!(!all.iter().any(|tiled| encoded(&mut maps, tiled)));
    }

    #[test]
    fn a_matrix_without_a_map_is_an_error_each_time() {
        let mut maps = Maps::default();
        let error = DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE);
        for _ in 0..2 {
            assert!(maps.get(&TILED, |_| Err(error)) == Err(error));
        }
        assert!(encoded(&mut maps, &TILED));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut maps = Maps::default();
        let at = |index: usize| Tiled { address: 256 * index as u64, ..TILED };
        for index in 0..3 * KEPT {
            assert!(encoded(&mut maps, &at(index)));
            assert!(!encoded(&mut maps, &at(index)), "kept until others come");
            assert!(maps.0.len() <= KEPT);
        }
    }
}
