//! Greedy answers of many rows, decoded together.

use fathom::{Device, Tokens};

use crate::error::Result;

/// Passes that a GPU runs before the host looks at what was chosen: rows that end meanwhile overrun, and are cut.
const AHEAD: usize = 8;

/// What decodes: rows that each continue a sequence of their own.
pub(crate) trait Decoder {
    /// Positions that a row's sequence has left.
    fn room(&self, row: usize) -> usize;

    /// One pass of `rows`, which rise: `chosen` becomes a token each. They are fed what stands in `chosen` at `places`, or
    /// what opens the answer.
    fn pass(&mut self, rows: &[usize], places: Option<&[usize]>, chosen: &mut Tokens) -> Result<()>;
}

/// The answers of rows 0 … `rows`, up to a token of `eos`, `max_tokens`, or the end of their room.
///
/// A GPU is not waited for at each token but at each eighth, and the number of rows falls from a power of two to the next
/// smaller one that holds those which have not ended, so that a pass is one of few.
pub(crate) fn greedy(
    device: &Device,
    rows: usize,
    max_tokens: usize,
    eos: &[u32],
    decoder: &mut impl Decoder,
) -> Result<Vec<Vec<u32>>> {
    let ahead = if *device == Device::Cpu { 1 } else { AHEAD };
    let mut answers = vec![Vec::new(); rows];
    let mut going = vec![max_tokens > 0; rows];
    let mut active: Vec<usize> = if max_tokens > 0 { (0..rows).collect() } else { Vec::new() };
    let mut places: Option<Vec<usize>> = None;
    let (mut chosen, mut history) = (Tokens::empty(device), Tokens::empty(device));
    let mut passes = 0;
    while !active.is_empty() {
        history.clear();
        history.reserve(ahead * active.len())?;
        let most = ahead.min(max_tokens - passes);
        while history.is_empty()
            || history.len() < most * active.len() && active.iter().all(|&row| decoder.room(row) > 0)
        {
            decoder.pass(&active, places.as_deref(), &mut chosen)?;
            history.append(&chosen)?;
            places = Some((0..active.len()).collect());
        }
        passes += history.len() / active.len();
        for tokens in history.to_vec()?.chunks(active.len()) {
            for (&row, &token) in active.iter().zip(tokens) {
                going[row] &= !eos.contains(&token);
                if going[row] {
                    answers[row].push(token);
                }
            }
        }
        active.iter().for_each(|&row| going[row] &= passes < max_tokens && decoder.room(row) > 0);
        let before = std::mem::take(&mut active);
        active = bucket(&before, &going, ahead, |row| decoder.room(row));
        let place = |row: &usize| before.binary_search(row).unwrap_or_default();
        places = Some(active.iter().map(place).collect());
    }
    Ok(answers)
}

/// Of rows that went together those that are still `going`; where a GPU decodes, filled up to a power of two with others
/// that have room to overrun.
fn bucket(rows: &[usize], going: &[bool], ahead: usize, room: impl Fn(usize) -> usize) -> Vec<usize> {
    let left = rows.iter().filter(|row| going[**row]).count();
    let wanted = if ahead == 1 || left == 0 { left } else { left.next_power_of_two() };
    let mut spare = wanted - left;
    let stays = |row: usize| {
        let fills = !going[row] && spare > 0 && room(row) >= ahead;
        spare -= usize::from(fills);
        going[row] || fills
    };
    let mut stays = stays;
    rows.iter().copied().filter(|&row| stays(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fall_to_powers_of_two() {
        let rows: Vec<usize> = (0..10).collect();
        let mut going = vec![true; 10];
        for ended in [1, 2, 5, 6, 9] {
            going[ended] = false;
        }
        assert_eq!(bucket(&rows, &going, 1, |_| 99), [0, 3, 4, 7, 8], "the host asks at each token");
        assert_eq!(bucket(&rows, &going, 8, |_| 99), [0, 1, 2, 3, 4, 5, 7, 8]);
        let full = |row| if row == 2 { 7 } else { 8 };
        assert_eq!(bucket(&rows, &going, 8, full), [0, 1, 3, 4, 5, 6, 7, 8], "room to overrun");
        assert_eq!(bucket(&rows, &[false; 10], 8, |_| 99), [0; 0]);
    }
}
