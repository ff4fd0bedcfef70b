//! Rows of one length (spec huginn §4.4): texts stand behind one another until a row is full, what is left of the last one is
//! discarded or begins the next row, and a row that an epoch does not fill is not emitted.

use std::ops::Range;

use super::{method::Packing, problems::permuted};

/// Where the rows of a run begin, an epoch at a time.
#[derive(Debug)]
pub(super) struct Packer {
    packing: Packing,
    /// Tokens of each text.
    lengths: Vec<usize>,
    epoch: u64,
    /// Rows before the epoch.
    before: u64,
    /// Of each row the place in the epoch's order at which it begins, and the token there.
    rows: Vec<(usize, usize)>,
}

/// Tokens of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: usize,
    pub(super) tokens: Range<usize>,
}

impl Packer {
    /// Rows of texts of these lengths; nothing where they do not fill one.
    pub(super) fn new(packing: Packing, lengths: Vec<usize>) -> Option<Self> {
        let tokens: usize = lengths.iter().sum();
        let empty = Self { packing, lengths, epoch: 0, before: 0, rows: Vec::new() };
        (tokens > packing.length).then_some(empty)
    }

    /// Row `index` of the run, `length` + 1 tokens; `order` is the key of an epoch's order.
    pub(super) fn row(&mut self, index: u64, order: impl Fn(u64) -> u64) -> Vec<Piece> {
        if index < self.before || self.rows.is_empty() {
            (self.epoch, self.before) = (0, 0);
            self.begin(&order);
        }
        while index - self.before >= self.rows.len() as u64 {
            self.before += self.rows.len() as u64;
            self.epoch += 1;
            self.begin(&order);
        }
        let begin = self.rows[(index - self.before) as usize];
        self.fill(order(self.epoch), begin).0
    }

    /// Finds where the rows of the epoch begin.
    fn begin(&mut self, order: impl Fn(u64) -> u64) {
        self.rows.clear();
        let (key, mut next) = (order(self.epoch), (0, 0));
        loop {
            let (pieces, end) = self.fill(key, next);
            if pieces.iter().map(|piece| piece.tokens.len()).sum::<usize>() <= self.packing.length {
                return;
            }
            self.rows.push(next);
            next = end;
        }
    }

    /// The pieces of the row that begins there, or of what is left of the epoch; and where the next one begins.
    fn fill(&self, key: u64, (mut place, mut first): (usize, usize)) -> (Vec<Piece>, (usize, usize)) {
        let (mut pieces, mut room) = (Vec::new(), self.packing.length + 1);
        while room > 0 && place < self.lengths.len() {
            let text = permuted(key, self.lengths.len(), place);
            let end = self.lengths[text].min(first + room);
            room -= end - first;
            pieces.push(Piece { text, tokens: first..end });
            let stays = self.packing.keep_all && end < self.lengths[text];
            (place, first) = if stays { (place, end) } else { (place + 1, 0) };
        }
        (pieces, (place, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 7] = [3, 5, 1, 8, 2, 30, 4];

    fn rows(keep_all: bool, count: u64) -> Vec<Vec<Piece>> {
        let packing = Packing { length: 6, keep_all, mask: false };
        let mut packer = Packer::new(packing, LENGTHS.into()).unwrap();
        (0..count).map(|index| packer.row(index, |epoch| epoch)).collect()
    }

    #[test]
    fn rows_are_full_and_follow_from_their_index() {
        for keep_all in [false, true] {
            let rows = rows(keep_all, 40);
            for row in &rows {
                assert_eq!(row.iter().map(|piece| piece.tokens.len()).sum::<usize>(), 7, "{row:?}");
                assert!(row.iter().all(|piece| piece.tokens.end <= LENGTHS[piece.text]));
            }
            let packing = Packing { length: 6, keep_all, mask: false };
            let mut packer = Packer::new(packing, LENGTHS.into()).unwrap();
            for index in [39, 3, 17, 0] {
                assert_eq!(packer.row(index, |epoch| epoch), rows[index as usize], "row {index}");
            }
        }
    }

    /// Each text begins one row or stands in it from its first token on; kept texts go on where they were cut.
    #[test]
    fn remainders_are_discarded_or_kept() {
        for row in rows(false, 40) {
            assert!(row.iter().all(|piece| piece.tokens.start == 0), "{row:?}");
        }
        let kept = rows(true, 40);
        let cut = |row: &&Vec<Piece>| row.last().is_some_and(|last| last.tokens.end < LENGTHS[last.text]);
        assert!(kept.iter().any(|row| cut(&row)));
        for pair in kept.windows(2).filter(|pair| cut(&&pair[0])) {
            let (last, next) = (&pair[0][pair[0].len() - 1], &pair[1][0]);
            // The end of an epoch discards as well.
            assert!(next.tokens.start == 0 || (next.text, next.tokens.start) == (last.text, last.tokens.end));
        }
        // 53 tokens make 7 rows of 7 an epoch.
        assert!(kept[..7].iter().flatten().map(|piece| piece.tokens.len()).sum::<usize>() == 49);
    }

    #[test]
    fn too_little_text_makes_no_row() {
        let packing = Packing { length: 53, keep_all: false, mask: false };
        assert!(Packer::new(packing, LENGTHS.into()).is_none());
        assert!(Packer::new(Packing { length: 52, ..packing }, LENGTHS.into()).is_some());
    }
}
