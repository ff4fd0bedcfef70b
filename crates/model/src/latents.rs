//! Thoughts as rows of tensors, which stay on their device.

use std::sync::Arc;

use fathom::{Device, Result, Tensor, ops::embedding::Input};

/// One continuous thought or state `[h]`: a row of a tensor, whose memory clones and neighbours share.
#[derive(Debug, Clone)]
pub struct Latent {
    rows: Arc<Tensor>,
    row: usize,
}

impl Latent {
    /// A thought of these channels.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn new(device: &Device, channels: Vec<f32>) -> Result<Self> {
        Ok(Self::of(Tensor::vector(device, channels)?, 0))
    }

    /// Each row of `rows`.
    pub fn each(rows: Tensor) -> impl Iterator<Item = Self> {
        let rows = Arc::new(rows);
        (0..rows.rows()).map(move |row| Self { rows: rows.clone(), row })
    }

    /// Row `row` of `rows`.
    pub(crate) fn of(rows: Tensor, row: usize) -> Self {
        Self { rows: Arc::new(rows), row }
    }

    /// Its channels, brought to the host.
    ///
    /// # Errors
    /// What went wrong on the device since the last wait.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        self.rows.row_to_vec(self.row)
    }

    /// The channels of several of one width and device, brought to the host at once.
    ///
    /// # Errors
    /// Another width or device; what went wrong on the device since the last wait.
    pub fn to_rows(latents: &[Self]) -> Result<Vec<Vec<f32>>> {
        let Some(first) = latents.first() else { return Ok(Vec::new()) };
        let mut rows = Tensor::empty(first.rows.device());
        Self::gather(latents.iter(), &mut rows)?;
        rows.to_rows()
    }

    /// It as an input of the network.
    pub fn input(&self) -> Input<'_> {
        Input::Row(&self.rows, self.row)
    }

    /// Writes `latents`, which have one width and device, to the rows of `out`.
    ///
    /// # Errors
    /// Another width or device; no memory on the device.
    pub(crate) fn gather<'a>(latents: impl Iterator<Item = &'a Latent>, out: &mut Tensor) -> Result<()> {
        let rows: Vec<(&Tensor, usize)> = latents.map(|latent| (&*latent.rows, latent.row)).collect();
        out.gather(&rows)
    }
}

impl PartialEq for Latent {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.to_vec(), other.to_vec()), (Ok(a), Ok(b)) if a == b)
    }
}
