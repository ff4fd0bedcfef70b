//! The launch of one operation: its tables on the device, then its kernels.

use std::sync::{MutexGuard, PoisonError};

use bytemuck::Pod;

use super::{Buffer, Gpu, Kernel, Launch, params};
use crate::{
    DType, Perturb, Result, Tensor,
    random::{Coordinates, Site},
};

/// What an operation tells the device besides tensors, each at an address of its own that stays the same from pass to
/// pass while it does not outgrow its memory, so that the launches of a step that is repeated are the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Coordinates of perturbed rows, or recorded values.
    Perturbation,
    /// Token ids, or indices of rows and tiles.
    Ids,
    /// Positions of rows, or how many they see.
    Positions,
    /// Where keys and values of rows go.
    Places,
    /// Spans of attention, or tiles of positions.
    Spans,
    /// Runs of attention.
    Runs,
    /// Tiles of runs, or of windows.
    Tiles,
    /// Groups of attention, or rows by id.
    Groups,
    /// Members of groups.
    Members,
    /// Addresses of rows.
    Addresses,
    /// What a reduction leaves behind for the next one.
    Partials,
    /// Rows rounded for a product.
    Operand,
}

const ROUND: Kernel = Kernel { file: "round", name: "round_rows" };

const TABLES: usize = Table::Operand as usize + 1;

#[derive(Debug, Default)]
pub(super) struct Tables([Option<Kept>; TABLES]);

#[derive(Debug)]
struct Kept {
    buffer: Buffer,
    contents: Vec<u8>,
    /// Submissions of the device when the last launch that reads it was handed over: it may wait until there is another.
    read_at: u64,
}

/// One operation at a time: between the writing of its tables and its launches nothing else is submitted.
pub(crate) struct Session<'g> {
    gpu: &'g Gpu,
    tables: MutexGuard<'g, Tables>,
    /// Tables that its launches read.
    handed: [bool; TABLES],
}

impl<'g> Session<'g> {
    pub(super) fn new(gpu: &'g Gpu) -> Self {
        let tables = gpu.0.tables.lock().unwrap_or_else(PoisonError::into_inner);
        Self { gpu, tables, handed: [false; TABLES] }
    }

    /// The address of `rows` on the device, for launches of this session. What is there already is not copied again.
    pub(crate) fn table<T: Pod>(&mut self, table: Table, rows: &[T]) -> Result<u64> {
        let contents: &[u8] = bytemuck::cast_slice(rows);
        let gpu = self.gpu;
        let kept = self.room(table, contents.len())?;
        if kept.contents != contents {
            kept.contents.clear();
            if kept.read_at == gpu.executor().flushes() {
                kept.buffer.write(0, contents)?;
            } else {
                // SAFETY: whatever read it was submitted.
                unsafe { kept.buffer.write_ahead(contents)? };
            }
            kept.contents.extend_from_slice(contents);
        }
        let address = kept.buffer.address();
        self.handed[table as usize] = true;
        Ok(address)
    }

    /// The address of `bytes` bytes that kernels write.
    pub(crate) fn memory(&mut self, table: Table, bytes: usize) -> Result<u64> {
        Ok(self.room(table, bytes)?.buffer.address())
    }

    /// What kernels of this session wrote to memory that it had, from byte `at` on, once they have run.
    pub(crate) fn read(&self, table: Table, at: usize, contents: &mut [u8]) -> Result<()> {
        let kept = self.tables.0[table as usize].as_ref();
        kept.map_or(Ok(()), |kept| kept.buffer.read(at, contents))
    }

    /// A table of at least `bytes` bytes; one that grows loses its contents.
    fn room(&mut self, table: Table, bytes: usize) -> Result<&mut Kept> {
        let kept = &mut self.tables.0[table as usize];
        let kept = match kept.take().filter(|kept| kept.buffer.bytes() >= bytes) {
            Some(enough) => kept.insert(enough),
            None => {
                let buffer = Buffer::new(self.gpu, bytes.next_power_of_two().max(4096))?;
                // Launches of its last owner may wait.
                let read_at = self.gpu.executor().flushes();
                kept.insert(Kept { buffer, contents: Vec::new(), read_at })
            }
        };
        Ok(kept)
    }

    /// The parameters of a perturbation of rows of `width` channels.
    pub(crate) fn perturbation(
        &mut self,
        perturbation: Perturb<'_>,
        width: usize,
    ) -> Result<params::Perturbation> {
        let drawn = |rows: &[Coordinates]| -> Vec<params::RowCoordinates> {
            rows.iter().map(params::RowCoordinates::from).collect()
        };
        let site = |site: Site| site.index();
        Ok(match perturbation {
            Perturb::None => params::Perturbation::default(),
            Perturb::Dropout { keep, site: at, rows } => params::Perturbation {
                rows: self.table(Table::Perturbation, &drawn(rows))?,
                threshold: keep.threshold,
                factor: keep.scale,
                kind: params::PERTURB_DROPOUT,
                site: site(at),
                pitch: 0,
            },
            Perturb::Noise { std, site: at, rows } => params::Perturbation {
                rows: self.table(Table::Perturbation, &drawn(rows))?,
                threshold: 0,
                factor: std,
                kind: params::PERTURB_NOISE,
                site: site(at),
                pitch: 0,
            },
            Perturb::Scale(values) => self.recorded(params::PERTURB_SCALE, values, width)?,
            Perturb::Add(values) => self.recorded(params::PERTURB_ADD, values, width)?,
        })
    }

    fn recorded(&mut self, kind: u32, values: &[f32], width: usize) -> Result<params::Perturbation> {
        let pitch = super::pitch(width);
        let mut rows = vec![0.0; values.len() / width * pitch];
        for (row, values) in rows.chunks_mut(pitch).zip(values.chunks(width)) {
            row[..width].copy_from_slice(values);
        }
        let rows = self.table(Table::Perturbation, &rows)?;
        Ok(params::Perturbation { rows, kind, pitch: pitch as u32, ..Default::default() })
    }

    /// Rows of x as a product with weights of `dtype` reads them: f32 rows are rounded to bf16 weights' type, where a kernel did
    /// not write them so.
    pub(crate) fn operand(
        &mut self,
        operation: &'static str,
        x: &Tensor,
        dtype: DType,
    ) -> Result<params::Rows> {
        if x.dtype() == dtype || x.rows() == 0 {
            return Ok(x.device_rows());
        }
        let from = x.rows_of(operation, DType::F32)?;
        let data = self.memory(Table::Operand, x.rows() * from.pitch as usize * dtype.bytes())?;
        let out = params::Rows { data, pitch: from.pitch, dtype: super::dtype(dtype) };
        let (rows, width) = (x.rows() as u32, x.width() as u32);
        let params = params::RoundParams { x: from, out, rows, width };
        let threads = super::row_threads(x.width());
        // SAFETY: as many rows of as many channels as x has, at its pitch.
        unsafe { self.launch(ROUND, &params, [x.rows(), 1, 1], threads, 0)? };
        Ok(out)
    }

    /// Launches `kernel` on parameters of its struct.
    ///
    /// # Safety
    /// As [`super::Executor::launch`].
    pub(crate) unsafe fn launch<P: Pod>(
        &mut self,
        kernel: Kernel,
        params: &P,
        grid: [usize; 3],
        block: u32,
        shared: usize,
    ) -> Result<()> {
        let grid = grid.map(|blocks| blocks as u32);
        let launch =
            Launch { kernel, params: bytemuck::bytes_of(params), grid, block, shared: shared as u32 };
        self.gpu.count();
        // SAFETY: the caller's promise.
        let launched = unsafe { self.gpu.executor().launch(&launch) };
        // Read after the launch: where another thread submitted it meanwhile, the count is late, never early.
        let submitted = self.gpu.executor().flushes();
        let read = self.tables.0.iter_mut().zip(self.handed).filter(|(_, handed)| *handed);
        read.filter_map(|(table, _)| table.as_mut()).for_each(|table| table.read_at = submitted);
        launched
    }
}

impl From<&Coordinates> for params::RowCoordinates {
    fn from(at: &Coordinates) -> Self {
        Self {
            key: at.draw.key,
            trajectory: at.draw.trajectory,
            position: at.position,
            iteration: at.iteration,
            padding: 0,
        }
    }
}
