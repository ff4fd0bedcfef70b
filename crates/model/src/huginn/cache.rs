//! Which iteration's keys and values a core layer writes and reads (spec huginn §3.1).

use std::str::FromStr;

use crate::error::Error;

/// How iterations are cached. Of a position that stopped early the strategies read different things; where all positions
/// were iterated alike, those without sharing are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CachePolicy {
    /// Each iteration keeps its own; a position that stopped earlier is left out of later ones.
    #[default]
    Full,
    /// Each iteration keeps its own; a position that stopped earlier is read at its last.
    LatestM4,
    /// Each iteration keeps its own; where some position lacks the iteration, all are read at their last, which may be deeper
    /// than the reader's.
    AlwaysLastM4,
    /// Iteration t keeps slot t mod `iterations`, and reading falls back as in `LatestM4`.
    Shared {
        /// Iterations that have slots.
        iterations: usize,
    },
    /// The first iterations keep their own, all later ones share one; reading falls back as in `LatestM4`.
    Anchor {
        /// Iterations that keep their own.
        own: usize,
    },
}

/// Iterations that keep their own slots under the published `compress-anchor`.
const ANCHORED: usize = 8;

impl CachePolicy {
    /// The iteration whose slot iteration `t` writes.
    pub fn writes(self, t: usize) -> usize {
        match self {
            CachePolicy::Full | CachePolicy::LatestM4 | CachePolicy::AlwaysLastM4 => t,
            CachePolicy::Shared { iterations } => t % iterations.max(1),
            CachePolicy::Anchor { own } => t.min(own),
        }
    }

    /// The iterations whose slots iteration `t` reads where all positions have it, or any strategy but `AlwaysLastM4` where
    /// some have not: for each position the first that it has.
    pub fn reads(self, t: usize) -> impl Iterator<Item = usize> + use<> {
        let newest = self.writes(t);
        let oldest = if self == CachePolicy::Full { newest } else { 0 };
        (oldest..=newest).rev()
    }

    /// How many of `steps` iterations a position keeps.
    pub fn iterations(self, steps: usize) -> usize {
        match self {
            CachePolicy::Full | CachePolicy::LatestM4 | CachePolicy::AlwaysLastM4 => steps,
            CachePolicy::Shared { iterations } => steps.min(iterations),
            CachePolicy::Anchor { own } => steps.min(own + 1),
        }
    }

    /// Whether iterations overwrite each other's slots: a position visited again then sees other keys than the first time.
    pub fn shares(self) -> bool {
        matches!(self, CachePolicy::Shared { .. } | CachePolicy::Anchor { .. })
    }

    /// A published strategy name for a core of `layers` blocks: `full`, `skip`, `latest-m4`, `available-m4`, `always-last-m4`,
    /// `compress-anchor` and `compress-sK`, where K counts layer slots, both also behind `latest-m4-`: what is compressed is
    /// read at the latest that there is, by either name.
    ///
    /// # Errors
    /// An unknown name; a K that is no multiple of the core's blocks.
    pub fn from_name(name: &str, layers: usize) -> Result<Self, Error> {
        let unknown = |what: String| Error::Option { option: "cache strategy".into(), what };
        let compressed = name.strip_prefix("latest-m4-").unwrap_or(name).strip_prefix("compress-");
        match (name, compressed) {
            ("full" | "skip", _) => Ok(CachePolicy::Full),
            ("latest-m4" | "available-m4", _) => Ok(CachePolicy::LatestM4),
            ("always-last-m4", _) => Ok(CachePolicy::AlwaysLastM4),
            (_, Some("anchor")) => Ok(CachePolicy::Anchor { own: ANCHORED }),
            _ => {
                let slots = compressed.and_then(|k| usize::from_str(k.strip_prefix('s')?).ok());
                let known = "known: full, skip, latest-m4, available-m4, always-last-m4, latest-m4-compress-sK, \
                             latest-m4-compress-anchor";
                let slots = slots.ok_or_else(|| unknown(format!("'{name}' is not known ({known})")))?;
                if slots == 0 || layers == 0 || !slots.is_multiple_of(layers) {
                    return Err(unknown(format!(
                        "'{name}': {slots} is no multiple of the core's {layers} blocks"
                    )));
                }
                Ok(CachePolicy::Shared { iterations: slots / layers })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_table_of_the_published_strategies() {
        let reads = |policy: CachePolicy, t| policy.reads(t).collect::<Vec<_>>();
        assert_eq!(reads(CachePolicy::Full, 3), [3]);
        assert_eq!(reads(CachePolicy::LatestM4, 3), [3, 2, 1, 0]);
        let shared = CachePolicy::from_name("latest-m4-compress-s8", 4).unwrap();
        assert_eq!(shared, CachePolicy::Shared { iterations: 2 });
        assert_eq!((reads(shared, 4), reads(shared, 5)), (vec![0], vec![1, 0]));
        assert_eq!((shared.iterations(1), shared.iterations(9)), (1, 2));
        let anchor = CachePolicy::from_name("compress-anchor", 4).unwrap();
        assert_eq!([7, 8, 9, 30].map(|t| anchor.writes(t)), [7, 8, 8, 8]);
        assert_eq!((anchor.iterations(5), anchor.iterations(32)), (5, 9));
        for bad in [
            "",
            "latest",
            "latest-m4-compress-s",
            "latest-m4-compress-s6",
            "latest-m4-compress-s0",
            "compress-r4",
        ] {
            let error = CachePolicy::from_name(bad, 4).unwrap_err().to_string();
            assert!(error.starts_with("cache strategy: ") && !error.contains('\n'), "{bad}: {error}");
        }
    }
}
