//! The 64-bit key of a question's draws.

/// Independent sources of randomness of one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Trajectories, by index.
    Trajectory,
    /// Initial states of recurrent depth.
    State,
    /// Children of beams: trajectory = parent · C + child.
    Beam,
    /// Rollouts after latent step t: trajectory = n · M + m.
    Rollout(u32),
    /// First values of parameters; the ids are the letters of a tensor's name.
    Initial,
    /// Step t of training: dropout, initial states, numbers of iterations.
    Training(u64),
    /// Generated problems; the ids are the halves of a problem's index.
    Data,
    /// The order of examples in an epoch, whose number's halves are the ids.
    Order,
    /// Tokens that are sampled, by position.
    Token,
}

impl Stream {
    /// The number that enters the key: 0, 1, 2, 16·t + 3, 4, 16·t + 5, 6, 7 and 8.
    pub fn index(self) -> u64 {
        match self {
            Stream::Trajectory => 0,
            Stream::State => 1,
            Stream::Beam => 2,
            Stream::Rollout(step) => 16 * u64::from(step) + 3,
            Stream::Initial => 4,
            Stream::Training(step) => 16 * step + 5,
            Stream::Data => 6,
            Stream::Order => 7,
            Stream::Token => 8,
        }
    }
}

/// h = mix(seed); then h = mix(h ⊕ w) for w = stream, number of ids, each id in turn, where mix is the
/// SplitMix64 step (Steele, Lea, Flood 2014): add 0x9E3779B97F4A7C15, then its finaliser.
pub fn key(seed: u64, prompt: &[u32], stream: Stream) -> u64 {
    let head = [stream.index(), prompt.len() as u64];
    let words = head.into_iter().chain(prompt.iter().map(|&id| u64::from(id)));
    words.fold(mix(seed), |hash, word| mix(hash ^ word))
}

fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64's published first outputs from seed 1234567 pin `mix`.
    #[test]
    fn mix_is_splitmix64() {
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(mix(1_234_567u64.wrapping_add(0x9E37_79B9_7F4A_7C15)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let base = key(1, &[5, 6], Stream::Trajectory);
        let others = [
            key(2, &[5, 6], Stream::Trajectory),
            key(1, &[6, 5], Stream::Trajectory),
            key(1, &[5], Stream::Trajectory),
            key(1, &[5, 6, 0], Stream::Trajectory),
            key(1, &[5, 6], Stream::State),
            key(1, &[5, 6], Stream::Beam),
            key(1, &[5, 6], Stream::Rollout(0)),
            key(1, &[5, 6], Stream::Rollout(1)),
            key(1, &[5, 6], Stream::Initial),
            key(1, &[5, 6], Stream::Training(0)),
            key(1, &[5, 6], Stream::Training(1)),
            key(1, &[5, 6], Stream::Data),
        ];
        let distinct: std::collections::HashSet<u64> = others.into_iter().chain([base]).collect();
        assert_eq!(distinct.len(), others.len() + 1);
        assert_eq!(
            base,
            mix(mix(mix(mix(mix(1)) ^ 2) ^ 5) ^ 6),
            "stream 0 leaves the hash of the seed as it is"
        );
    }
}
