//! Which rows of a batch a pass goes over, and what each of them sees.

use fathom::ops::window_attention::Window;

/// A batch of sequences whose keys and values stand one behind the other, while passes extend them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where each sequence begins.
    first: Vec<usize>,
    /// Positions of each that passes have gone over.
    done: Vec<usize>,
    places: usize,
}

impl Batch {
    /// Sequences of these numbers of positions in all.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let (mut first, mut places) = (Vec::new(), 0);
        for length in lengths {
            first.push(places);
            places += length;
        }
        Self { done: vec![0; first.len()], first, places }
    }

    /// Positions of all sequences together.
    pub fn places(&self) -> usize {
        self.places
    }

    /// The next `counts` positions of each sequence.
    pub fn next(&mut self, counts: impl IntoIterator<Item = usize>) -> Segment {
        let mut segment = Segment::default();
        for ((&first, done), count) in self.first.iter().zip(&mut self.done).zip(counts) {
            for position in *done..*done + count {
                segment.windows.push(Window { first, visible: position + 1 });
                segment.places.push(first + position);
                segment.positions.push(position as u32);
            }
            *done += count;
        }
        segment
    }
}

/// The rows of one pass, those of each sequence together.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// What each row sees.
    pub(crate) windows: Vec<Window>,
    /// Where its keys and values go.
    pub(crate) places: Vec<usize>,
    /// Its position in its sequence.
    pub(crate) positions: Vec<u32>,
}

impl Segment {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.places.len()
    }
}
