//! Launches and bytes of whole steps at the real shapes of three networks, on a device that counts and runs nothing: no GPU,
//! no checkpoint, and no memory for weights.
//!
//! ```sh
//! cargo bench -p fathom-model --bench launches             # all
//! cargo bench -p fathom-model --bench launches -- Huginn   # a network
//! ```
//!
//! A step is what the model does for N trajectories of one prompt under noise, in bf16 on a card of sm_90a: the last of a
//! number of equal ones. Bytes are every operand and result of every launch once (`fathom::counting::Moved`); the floor is the
//! weights of the step once, the keys and values that it attends to once (those of the prompt for all trajectories
//! together), and those that it writes. Times are bytes over a bandwidth and launches by a cost, not measured.

mod floor;
mod network;
mod step;
mod table;

use std::error::Error;

use fathom::{DType, counting::Counting};
use fathom_model::load::{Model, Network};

use network::NETWORKS;
use step::{Kind, LENGTHS, Step, answer, recurrence, thought};

/// Trajectories.
const ROWS: [usize; 4] = [1, 8, 64, 128];

fn main() -> Result<(), Box<dyn Error>> {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for ((name, config), lengths) in NETWORKS.into_iter().zip(LENGTHS) {
        if filter.as_ref().is_some_and(|part| !name.contains(part.as_str())) {
            continue;
        }
        let device = Counting::sm_90a();
        let model = Model::load(&network::folder(name, config, None)?, &device.device(), DType::Bf16)?;
        let counted = |count: &dyn Fn(usize) -> fathom_model::Result<Step>| {
            ROWS.into_iter().map(count).collect::<Result<Vec<Step>, _>>()
        };
        let (first, answers) = match &model.network {
            Network::Chain(chain) => (
                counted(&|rows| thought(chain, &device, lengths, rows))?,
                counted(&|rows| answer(chain, &device, lengths, rows))?,
            ),
            Network::Huginn(huginn) => (
                counted(&|rows| recurrence(huginn, &device, lengths, rows))?,
                counted(&|rows| answer(huginn, &device, lengths, rows))?,
            ),
        };
        let steps = [(Kind::Thought, &first[..]), (Kind::Token, &answers[..])];
        table::sums(name, &model.config, lengths, &steps);
        steps.into_iter().for_each(|steps| table::kernels(name, &model.config, steps));
    }
    Ok(())
}
