//! What can be wrong with a launch, as values.

use crate::Site;
use std::fmt::{Display, Formatter, Write as _};

/// A thread and what it was about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `blockIdx`.
    pub block: [u32; 3],
    /// `threadIdx`.
    pub thread: [u32; 3],
    /// The instruction.
    pub site: Site,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, block {:?} thread {:?}", self.site, self.block, self.thread)
    }
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The other lanes of a warp collective.
    Lanes {
        /// Lanes that the collective names.
        mask: u32,
        /// Lanes that came.
        arrived: u32,
    },
    /// `__syncthreads` (barrier 0) or a named barrier.
    Barrier {
        /// Barrier number.
        id: u32,
        /// Threads that came.
        arrived: u32,
        /// Threads that it takes.
        expected: u32,
    },
    /// A phase of an mbarrier.
    Phase {
        /// Bytes from the start of shared memory to the mbarrier.
        offset: usize,
        /// The parity waited for.
        parity: u32,
        /// Arrivals that the current phase still lacks.
        arrivals: u32,
        /// Bytes that the current phase still lacks.
        bytes: i64,
    },
}

impl Display for Wait {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Wait::Lanes { mask, arrived } => write!(f, "lanes {:#010x} of {mask:#010x}", mask & !arrived),
            Wait::Barrier { id, arrived, expected } => {
                write!(f, "barrier {id}, where {arrived} of {expected} threads came")
            }
            Wait::Phase { offset, parity, arrivals, bytes } => write!(
                f,
                "parity {parity} of the mbarrier at shared byte {offset}, whose phase lacks {arrivals} arrivals and {bytes} bytes"
            ),
        }
    }
}

/// Threads of a block that wait at one place for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Linear thread indices, ascending.
    pub threads: Vec<u32>,
    /// Where they wait.
    pub site: Site,
    /// What for.
    pub on: Wait,
}

/// Why a launch was refused or ended; `Display` says it in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Report {
    /// No kernel of that name was compiled.
    #[error("no kernel '{name}' (known: {})", known.join(", "))]
    UnknownEntry {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Shape, parameters or memory that the kernel cannot be launched with.
    #[error("launch of {kernel}: {why}")]
    Launch {
        /// The kernel's name.
        kernel: String,
        /// What does not fit.
        why: String,
    },
    /// Threads wait, and none can go on.
    #[error("deadlock in block {block:?}{}", list(waiting, *returned))]
    Deadlock {
        /// `blockIdx`.
        block: [u32; 3],
        /// Who waits where.
        waiting: Vec<Waiting>,
        /// How many threads have returned.
        returned: u32,
    },
    /// Lanes of a warp that should execute one instruction together are at two.
    #[error(
        "warp {warp} of block {block:?} diverged: lanes {waiting:#010x} at {first}, lane {lane} at {second}"
    )]
    Divergence {
        /// `blockIdx`.
        block: [u32; 3],
        /// Warp of the block.
        warp: u32,
        /// Lanes that wait at `first`.
        waiting: u32,
        /// Where they wait.
        first: Site,
        /// The lane that came elsewhere.
        lane: u32,
        /// Where it came.
        second: Site,
    },
    /// A collective names lanes that have returned or never were.
    #[error("{place}: names lanes {lanes:#010x}, which have returned or do not exist")]
    ReturnedLane {
        /// Who waits for them.
        place: Place,
        /// Those lanes.
        lanes: u32,
    },
    /// A collective's mask without the lane that executes it.
    #[error("{place}: mask {mask:#010x} does not name its own lane")]
    Mask {
        /// Who.
        place: Place,
        /// The mask.
        mask: u32,
    },
    /// An access outside the memory that its pointer was taken from.
    #[error("{place}: {bytes} bytes at offset {offset} of {limit}")]
    OutOfBounds {
        /// Who.
        place: Place,
        /// First byte, from the start of what was taken.
        offset: i64,
        /// Bytes accessed.
        bytes: u64,
        /// Bytes there are.
        limit: u64,
    },
    /// An address that is no multiple of what the access needs.
    #[error("{place}: address {address:#x} is no multiple of {alignment}")]
    Misaligned {
        /// Who.
        place: Place,
        /// The host's address.
        address: u64,
        /// The multiple needed.
        alignment: u64,
    },
    /// An instruction used against its rules.
    #[error("{place}: {why}")]
    Misuse {
        /// Who.
        place: Place,
        /// Which rule.
        why: String,
    },
    /// The block ended while asynchronous work was under way.
    #[error("block {block:?} ended before its {site} was waited for")]
    Unfinished {
        /// `blockIdx`.
        block: [u32; 3],
        /// The work.
        site: Site,
    },
    /// A block used up [`crate::Options::step_limit`].
    #[error("block {block:?} did not end within {steps} steps")]
    Runaway {
        /// `blockIdx`.
        block: [u32; 3],
        /// The limit.
        steps: u64,
    },
    /// The host could not give a fiber its stack.
    #[error("no stack for a fiber: {0}")]
    Host(String),
}

fn list(waiting: &[Waiting], returned: u32) -> String {
    let mut text = String::new();
    for Waiting { threads, site, on } in waiting {
        let _ = write!(text, "; threads {} wait in {site} for {on}", ranges(threads));
    }
    if returned > 0 {
        let _ = write!(text, "; {returned} threads have returned");
    }
    text
}

/// Ascending numbers as "0-31, 40".
fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let part = |&(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_listed_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        assert_eq!(ranges(&[]), "");
    }
}
