//! Rows within a wider matrix, and the panels that products read them as.

use std::ops::Range;

use rayon::prelude::*;

use crate::weight::PANEL;

/// Steps of a panel that a task packs.
const STEPS: usize = 512;

/// `rows` rows of `columns` elements, `stride` elements from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    stride: usize,
    rows: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that follow each other.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self { data, stride: columns, rows, columns }
    }

    /// Rows of `columns` elements that begin `stride` elements apart.
    pub(crate) fn strided(data: &'a [f32], stride: usize, rows: usize, columns: usize) -> Self {
        Self { data, stride, rows, columns: stride }.part(0..rows, 0..columns)
    }

    /// Some rows and columns of it.
    #[inline]
    pub(crate) fn part(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns);
        let (count, width) = (rows.len(), columns.len());
        let data = match count * width {
            0 => &[],
            _ => &self.data[rows.start * self.stride + columns.start..][..(count - 1) * self.stride + width],
        };
        Self { data, stride: self.stride, rows: count, columns: width }
    }

    pub(crate) fn rows(self) -> usize {
        self.rows
    }

    pub(crate) fn columns(self) -> usize {
        self.columns
    }

    #[inline]
    pub(crate) fn row(self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.columns]
    }

    /// to[c·stride + r] = element (r, c).
    pub(crate) fn transpose(self, to: &mut [f32], stride: usize) {
        if self.rows * self.columns == 0 {
            return;
        }
        assert!(self.rows <= stride && to.len() >= (self.columns - 1) * stride + self.rows);
        let whole = [self.rows / BLOCK * BLOCK, self.columns / BLOCK * BLOCK];
        for column in (0..whole[1]).step_by(BLOCK) {
            for row in (0..whole[0]).step_by(BLOCK) {
                let from = &self.data[row * self.stride + column..];
                block(from, self.stride, &mut to[column * stride + row..], stride);
            }
        }
        for row in 0..self.rows {
            let first = if row < whole[0] { whole[1] } else { 0 };
            for (column, &x) in self.row(row).iter().enumerate().skip(first) {
                to[column * stride + row] = x;
            }
        }
    }

    /// Steps `steps` of panel `index` of the weight `[rows, columns]` that it is.
    pub(crate) fn pack_rows(self, index: usize, steps: Range<usize>, panel: &mut [f32]) {
        let columns = index * PANEL..((index + 1) * PANEL).min(self.columns);
        for (row, lanes) in steps.zip(panel.as_chunks_mut::<PANEL>().0) {
            let row = &self.row(row)[columns.clone()];
            match row.first_chunk() {
                Some(whole) => *lanes = *whole,
                None => {
                    lanes[..row.len()].copy_from_slice(row);
                    lanes[row.len()..].fill(0.0);
                }
            }
        }
    }

    /// As [`Matrix::pack_rows`], of the weight `[columns, rows]` that its transpose is.
    pub(crate) fn pack_columns(self, index: usize, steps: Range<usize>, panel: &mut [f32]) {
        let rows = index * PANEL..((index + 1) * PANEL).min(self.rows);
        if rows.len() < PANEL {
            panel.fill(0.0);
        }
        self.part(rows, steps).transpose(panel, PANEL);
    }

    /// All panels of the weight that it is, in parallel.
    pub(crate) fn pack_all_rows(self, panels: &mut [f32]) {
        pack(panels, self.rows, |index, steps, panel| self.pack_rows(index, steps, panel));
    }

    /// All panels of the weight that its transpose is, in parallel.
    pub(crate) fn pack_all_columns(self, panels: &mut [f32]) {
        pack(panels, self.columns, |index, steps, panel| self.pack_columns(index, steps, panel));
    }
}

/// Calls `fill` for pieces of panels of `steps` steps.
fn pack(panels: &mut [f32], steps: usize, fill: impl Fn(usize, Range<usize>, &mut [f32]) + Sync) {
    panels.par_chunks_mut((steps * PANEL).max(1)).enumerate().for_each(|(index, panel)| {
        panel.par_chunks_mut(STEPS * PANEL).enumerate().for_each(|(part, panel)| {
            fill(index, part * STEPS..(part * STEPS + panel.len() / PANEL), panel);
        });
    });
}

/// Rows and columns that are transposed in registers.
const BLOCK: usize = 4;

/// to[c·to_stride + r] = from[r·stride + c] for r, c < 4.
#[inline(always)]
fn block(from: &[f32], stride: usize, to: &mut [f32], to_stride: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        assert!(from.len() >= 3 * stride + BLOCK && to.len() >= 3 * to_stride + BLOCK);
        // SAFETY: the lengths were just checked; SSE is part of x86-64.
        unsafe {
            let row = |index: usize| _mm_loadu_ps(from.as_ptr().add(index * stride));
            let [mut a, mut b, mut c, mut d] = [row(0), row(1), row(2), row(3)];
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (index, column) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.as_mut_ptr().add(index * to_stride), column);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for column in 0..BLOCK {
        for row in 0..BLOCK {
            to[column * to_stride + row] = from[row * stride + column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Element (r, c) goes to (c, r), whole blocks or not, and nothing else is touched.
    #[test]
    fn elements_change_places() {
        let data: Vec<f32> = (0..23 * 29).map(|i| i as f32).collect();
        let all = Matrix::new(&data, 23, 29);
        for (rows, columns) in [(0..0, 0..3), (0..1, 2..3), (1..5, 3..7), (2..13, 1..29), (0..23, 5..17)] {
            let part = all.part(rows.clone(), columns.clone());
            let mut to = vec![-1.0; columns.len() * 30];
            part.transpose(&mut to, 30);
            for (place, &x) in to.iter().enumerate() {
                let (column, row) = (place / 30, place % 30);
                let expected = match row < rows.len() {
                    true => data[(rows.start + row) * 29 + columns.start + column],
                    false => -1.0,
                };
                assert_eq!(x, expected, "{rows:?} {columns:?}: ({row}, {column})");
            }
        }
    }
}
