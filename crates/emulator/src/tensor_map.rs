//! Tensor maps as the host's `tma_load_2d` reads them.

/// Order of 16-byte chunks in a tile (`Swizzle` of hopper.h).
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swizzle {
    /// Row after row.
    None = 0,
    /// Chunk c of row r lies at c xor r mod 8; rows are 128 bytes.
    Bytes128 = 1,
}

/// A two-dimensional tensor in global memory and the box that a copy takes from it: the host's counterpart of
/// `CUtensorMap`, of the same size. It goes into a kernel's parameters by value.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub struct TensorMap {
    base: u64,
    columns: u64,
    rows: u64,
    pitch: u64,
    box_columns: u32,
    box_rows: u32,
    element_bytes: u32,
    swizzle: Swizzle,
    reserved: [u32; 20],
}

const _: () = assert!(size_of::<TensorMap>() == 128);

/// A tensor map that cuTensorMapEncodeTiled would refuse, or that the emulator does not model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tensor map: {0}")]
pub struct TensorMapError(String);

impl TensorMap {
    /// Maps `rows` × `columns` elements of `element_bytes` each at address `base`, rows `pitch` bytes apart, in boxes of
    /// `box_rows` × `box_columns`.
    ///
    /// # Errors
    /// Names the rule of cuTensorMapEncodeTiled that is broken; with a swizzle, box rows must be exactly 128 bytes.
    pub fn new(
        base: u64,
        [rows, columns]: [u64; 2],
        pitch: u64,
        [box_rows, box_columns]: [u32; 2],
        element_bytes: u32,
        swizzle: Swizzle,
    ) -> Result<TensorMap, TensorMapError> {
        let rule = |holds: bool, why: &str| if holds { Ok(()) } else { Err(TensorMapError(why.to_owned())) };
        let sizes = [1, 2, 4, 8];
        rule(sizes.contains(&element_bytes), "elements have 1, 2, 4 or 8 bytes")?;
        rule(base.is_multiple_of(16), "the base must be a multiple of 16")?;
        rule(pitch.is_multiple_of(16) && pitch < 1 << 40, "the pitch must be a multiple of 16, below 2^40")?;
        rule([rows, columns].iter().all(|n| (1..=1 << 32).contains(n)), "sizes are 1 to 2^32")?;
        rule(columns * u64::from(element_bytes) <= pitch, "rows overlap")?;
        rule([box_rows, box_columns].iter().all(|n| (1..=256).contains(n)), "box sizes are 1 to 256")?;
        let width = box_columns * element_bytes;
        rule(width.is_multiple_of(16) && width <= 1024, "box rows are a multiple of 16 bytes, at most 1024")?;
        rule(swizzle == Swizzle::None || width == 128, "swizzled box rows are 128 bytes")?;
        Ok(TensorMap {
            base,
            columns,
            rows,
            pitch,
            box_columns,
            box_rows,
            element_bytes,
            swizzle,
            reserved: [0; 20],
        })
    }
}
