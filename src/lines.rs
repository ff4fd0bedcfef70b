//! Vectors that begin with a line of the cache: what is read or written of them sixteen words at a time lies in one line, where
//! it would else lie in two.

use std::ops::{Deref, DerefMut};

/// Bytes a line.
const LINE: usize = 64;

/// Elements, the first at the beginning of a line unless they were brought along.
#[derive(Debug, Default)]
pub(crate) struct Lines<T> {
    data: Vec<T>,
    first: usize,
}

impl<T: Copy + Default> Lines<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let spare = LINE / size_of::<T>();
        let mut data = vec![T::default(); len + spare];
        let first = data.as_ptr().align_offset(LINE).min(spare);
        data.truncate(first + len);
        Self { data, first }
    }

    /// As a vector, which begins anywhere.
    pub(crate) fn into_vec(mut self) -> Vec<T> {
        self.data.drain(..self.first);
        self.data
    }
}

impl<T> From<Vec<T>> for Lines<T> {
    fn from(data: Vec<T>) -> Self {
        Self { data, first: 0 }
    }
}

impl<T> Deref for Lines<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.data[self.first..]
    }
}

impl<T> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.first..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_at_lines() {
        for len in [0, 1, 15, 16, 17, 4099] {
            let mut lines = Lines::<f32>::zeros(len);
            assert_eq!((lines.len(), lines.iter().all(|&x| x == 0.0)), (len, true));
            assert!(len == 0 || (lines.as_ptr() as usize).is_multiple_of(LINE), "{len}");
            lines.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            assert_eq!(lines.into_vec(), (0..len).map(|i| i as f32).collect::<Vec<_>>());
        }
        assert_eq!(*Lines::from(vec![3, 4]), [3, 4]);
    }
}
