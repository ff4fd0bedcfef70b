//! Counter-based randomness: a draw is a pure function of its coordinates, never of batch, thread or device.
//!
//! Philox4x32-10 under a 64-bit [`key`] of (seed, prompt ids, [`Stream`]); the 128-bit counter is
//!
//! | word | holds |
//! |---|---|
//! | 0 | ⌊channel / 4⌋ in bits 0–19, [`Site`] in bits 20–31 |
//! | 1 | absolute position of the row in its sequence |
//! | 2 | iteration: 0 for latent chain-of-thought, t for step t of recurrent depth |
//! | 3 | trajectory |
//!
//! and channel c takes output word c mod 4. Dropout keeps an element where its word is below ⌊(1−p)·2³²⌋.
//! Normals come from pairs of words by Box–Muller: words (0, 1) give channels 4j and 4j+1, words (2, 3) give
//! 4j+2 and 4j+3, cosine first.

mod key;
mod normal;
mod philox;

pub use key::{Stream, key};
pub use normal::{fill_normals, normals, truncated_normals};
pub use philox::philox4x32;

/// Whose randomness a trajectory uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Draw {
    /// [`key`] of seed, prompt and stream.
    pub key: u64,
    /// Index of the trajectory within the stream.
    pub trajectory: u32,
}

/// The coordinates of one row's draws, its site and channels aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// Whose randomness.
    pub draw: Draw,
    /// Absolute position of the row in its sequence.
    pub position: u32,
    /// Iteration of recurrent depth; 0 elsewhere.
    pub iteration: u32,
}

/// Where in the network a draw is used: 12 bits of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// The embedding's output.
    Embedding,
    /// Output of layer l's attention, before the residual sum.
    Attention(u16),
    /// Output of layer l's MLP, before the residual sum.
    Mlp(u16),
    /// The latent that is fed back, or the recurrent state on its way into the adapter.
    Latent,
    /// The initial state s_0.
    State,
}

impl Site {
    /// The number in the counter: 0, 1 + 2l, 2 + 2l, 4094 and 4095; layers count to 2045.
    pub fn index(self) -> u32 {
        match self {
            Site::Embedding => 0,
            Site::Attention(layer) => 1 + 2 * u32::from(layer),
            Site::Mlp(layer) => 2 + 2 * u32::from(layer),
            Site::Latent => 4094,
            Site::State => 4095,
        }
    }
}

/// The four words for channels 4·`block` … 4·`block` + 3 of a row at `site`.
#[inline]
pub fn words(at: Coordinates, site: Site, block: u32) -> [u32; 4] {
    philox4x32([block | site.index() << 20, at.position, at.iteration, at.draw.trajectory], at.draw.key)
}

/// The words for the 32 channels from 4·`block` on: those of channel 4i + w stand at `[w][i]`.
#[inline(always)]
pub(crate) fn words_of_panel(at: Coordinates, site: Site, block: u32) -> [[u32; 8]; 4] {
    let blocks = std::array::from_fn(|lane| (block + lane as u32) | site.index() << 20);
    let same = |word| [word; 8];
    let counter = [blocks, same(at.position), same(at.iteration), same(at.draw.trajectory)];
    philox::philox4x32_lanes(counter, at.draw.key)
}

/// The standard normals for 32 channels, from their words and placed as they are.
#[inline(always)]
pub(crate) fn normals_of_panel(words: [[u32; 8]; 4]) -> [[f32; 8]; 4] {
    let [a, b, c, d] = words;
    let mut out = [[0.0; 8]; 4];
    for lane in 0..8 {
        [out[0][lane], out[1][lane]] = normals(a[lane], b[lane]);
        [out[2][lane], out[3][lane]] = normals(c[lane], d[lane]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout above, spelled out once by hand: channel 9 is word 1 of block 2.
    #[test]
    fn counter_layout() {
        let at = Coordinates {
            draw: Draw { key: 0x0123_4567_89ab_cdef, trajectory: 5 },
            position: 7,
            iteration: 3,
        };
        assert_eq!(words(at, Site::Mlp(1), 2), philox4x32([2 | 4 << 20, 7, 3, 5], 0x0123_4567_89ab_cdef));
        let sites = [Site::Embedding, Site::Attention(0), Site::Mlp(0), Site::Attention(1), Site::Mlp(1)];
        assert_eq!(sites.map(Site::index), [0, 1, 2, 3, 4]);
        assert!(Site::Mlp(2045).index() < Site::Latent.index());
    }
}
