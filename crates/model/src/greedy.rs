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
    ahead_by(ahead, device, rows, max_tokens, eos, decoder)
}

fn ahead_by(
    ahead: usize,
    device: &Device,
    rows: usize,
    max_tokens: usize,
    eos: &[u32],
    decoder: &mut impl Decoder,
) -> Result<Vec<Vec<u32>>> {
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
    let mut stays = |row: usize| {
        let fills = !going[row] && spare > 0 && room(row) >= ahead;
        spare -= usize::from(fills);
        going[row] || fills
    };
    rows.iter().copied().filter(|&row| stays(row)).collect()
}

#[cfg(test)]
mod tests {
    use fathom::{DType, Tensor, Weight, ops::arg_max::arg_max};

    use super::*;

    /// Rows whose tokens are given, each with room for some.
    struct Script<'a> {
        tokens: &'a [Vec<u32>],
        room: Vec<usize>,
        passed: Vec<usize>,
    }

    impl Decoder for Script<'_> {
        fn room(&self, row: usize) -> usize {
            self.room[row]
        }

        fn pass(&mut self, rows: &[usize], places: Option<&[usize]>, chosen: &mut Tokens) -> Result<()> {
            const VOCABULARY: usize = 8;
            let fed = chosen.to_vec()?;
            let mut logits = vec![0.0; rows.len() * VOCABULARY];
            for (at, &row) in rows.iter().enumerate() {
                assert!(self.room[row] > 0, "row {row} has no room");
                let before = self.passed[row].checked_sub(1).map(|last| self.tokens[row][last]);
                assert_eq!(places.map(|places| fed[places[at]]), before, "what row {row} is fed");
                logits[at * VOCABULARY + self.tokens[row][self.passed[row]] as usize] = 1.0;
                self.passed[row] += 1;
                self.room[row] -= 1;
            }
            let identity = Weight::from_fn(&Device::Cpu, DType::F32, VOCABULARY, VOCABULARY, |i, j| {
                f32::from(u8::from(i == j))
            })?;
            Ok(arg_max(&Tensor::new(&Device::Cpu, rows.len(), VOCABULARY, logits)?, &identity, chosen)?)
        }
    }

    /// Answers do not depend on how far a device decodes ahead: they end at the first token of `eos`, at the limit, and
    /// where there is no more room.
    #[test]
    fn overrun_rows_are_cut() {
        const EOS: u32 = 7;
        // Ends at tokens 0, 1, 7, 8, 15, 16 and never; further ones are decoy.
        let tokens: Vec<Vec<u32>> = [0, 1, 7, 8, 15, 16, 40, 40, 40, 40]
            .iter()
            .enumerate()
            .map(|(row, &end)| {
                (0..40).map(|at| if at == end { EOS } else { (row + at) as u32 % 7 }).collect()
            })
            .collect();
        let room = [40, 40, 40, 9, 40, 40, 40, 3, 8, 17];
        for max_tokens in [0, 1, 7, 8, 9, 20] {
            let expected: Vec<Vec<u32>> = tokens
                .iter()
                .zip(room)
                .map(|(tokens, room)| {
                    tokens
                        .iter()
                        .take(max_tokens.min(room))
                        .take_while(|&&token| token != EOS)
                        .copied()
                        .collect()
                })
                .collect();
            for ahead in [1, 3, 8] {
                let mut script = Script { tokens: &tokens, room: room.to_vec(), passed: vec![0; room.len()] };
                let found =
                    ahead_by(ahead, &Device::Cpu, room.len(), max_tokens, &[EOS], &mut script).unwrap();
                assert_eq!(found, expected, "{ahead} ahead, at most {max_tokens}");
            }
        }
    }

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
