//! The CUDA execution model on a CPU.
//!
//! A kernel's source is compiled by the host's C++ compiler against `include/emu.h` (module `build`, under the feature of that name), and a [`Machine`] runs
//! its grid: one fiber a CUDA thread, blocks spread over rayon's threads. What can be wrong with a kernel comes back as
//! a value, a [`Report`] that names block, thread and source line; what it did comes back as [`Counters`].
//!
//! ```no_run
//! # use fathom_emulator::{Counters, Entry, Launch, Machine, Options, Report, find};
//! /// Runs `scale` of the entries that the build helper listed, on parameters of its C layout.
//! fn scale(machine: &Machine, entries: &[Entry], params: &[u8], rows: u32) -> Result<Counters, Report> {
//!     let entry = find(entries, "scale")?;
//!     let launch = Launch { entry, params, grid: [rows, 1, 1], block: [256, 1, 1], shared_bytes: 1024 };
//!     // SAFETY: the addresses in `params` lead to buffers as long as the kernel's indices.
//!     unsafe { machine.run(&launch, &Options::default()) }
//! }
//! ```
//!
//! What is modelled:
//!
//! * Barriers (`__syncthreads`, named ones), warp collectives with their masks and identity, mbarriers with phases and
//!   byte counts, and who waits where when nothing can go on.
//! * Shared memory full of NaN at the start of each block, with bounds and alignment for typed pointers.
//! * Asynchronous copies and products at the latest moment that the waits allow, or at the earliest ([`Copies`]), and
//!   shuffled schedules ([`Options::seed`]): a missing barrier or wait shows as NaN, as bits that differ, or as a
//!   report. [`mutation`] removes each in turn to see whether a test notices.
//! * Bank conflicts and sectors ([`Options::profile`]).
//!
//! What is not:
//!
//! * Memory order weaker than the order of execution: between blocks, and within one where a fence is missing.
//!   `__threadfence` has no effect; [`Counters::unmodelled`] lists those met. `fence.proxy.async` shows all stores made
//!   so far to `wgmma`, other threads' too, so a fence that only some of the writers execute passes.
//! * Blocks that wait for each other (grid barriers, spinning on global memory), clusters larger than one block, and
//!   loops that never call the emulator: these hang.
//! * How tensor cores round: here products are added in f32, one by one in the order of k. Approximate functions
//!   (`__expf`, `rsqrtf` …) are the host's exact ones. So bits agree with a GPU's for integers only.
//! * `wgmma` operands other than bf16 tiles along K in shared memory; that `wgmma` reads its tiles as one warpgroup
//!   (here each warp's quarter is a product of its own); `wgmma.fence` is demanded after every wait.
//! * Writes of ordinary stores into tiles under way; races that neither schedule nor copy mode brings out; global
//!   memory's bounds. Kernels compiled with an address sanitizer see those; fibers that a report abandons leave its
//!   marks on their stacks, so such a process should end with the first report.
//! * Time, registers, occupancy, caches, streams and graphs.
//!
//! Two calls on one source line are one [`Site`].

mod abi;
mod arena;
mod barrier;
mod block;
#[cfg(feature = "build")]
pub mod build;
mod counters;
mod launch;
mod machine;
mod mbarrier;
pub mod mutation;
mod profile;
mod queue;
mod report;
mod schedule;
mod site;
mod tally;
mod tensor_map;
mod warp;

pub use abi::RawEntry;
pub use counters::{Counters, Traffic};
pub use launch::{Copies, Entry, Launch, Options, find};
pub use machine::Machine;
pub use report::{Place, Report, Wait, Waiting};
pub use site::Site;
pub use tensor_map::{Swizzle, TensorMap, TensorMapError};
