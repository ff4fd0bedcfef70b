//! A recurrence of a recurrent-depth model (Huginn's, arXiv 2502.05171, narrow and with random weights) on nothing but
//! `fathom` and on buffers that stay this program's: noise on the states of trajectories, the adapter, a sandwich block.
//!
//! The prompt's keys and values are computed once and shared. A trajectory's noise follows from (seed, prompt, trajectory)
//! alone, so that it is the same in any company.

#[cfg(feature = "cuda")]
mod cuda;
mod model;
mod owner;

use std::error::Error;

use fathom::Device;
use model::Model;
use owner::{Host, Lent, Owner};

const PROMPT: [u32; 5] = [17, 4, 93, 8, 51];

fn main() -> Result<(), Box<dyn Error>> {
    let expected = run(&mut Host)?;
    println!("on cpu: {:+.4?} …", &expected[..4]);
    compare(&expected, &mut Lent::new(Device::emulated()?))?;
    #[cfg(feature = "cuda")]
    match cuda::Lent::open() {
        Ok(mut owner) => compare(&expected, &mut owner)?,
        Err(why) => println!("not on cuda: {why}"),
    }
    Ok(())
}

/// Runs with the memory of `owner`, and compares with what the CPU computed.
fn compare(expected: &[f32], owner: &mut impl Owner) -> Result<(), Box<dyn Error>> {
    let states = run(owner)?;
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let off = expected.iter().zip(&states).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    println!("on {}: {:+.4?} …, off by {off:.1e} at most", owner.device(), &states[..4]);
    // Sums of 64 to 192 terms, in another order on each device, each rounded to 2⁻²⁴ of itself.
    if off > 192.0 * f32::EPSILON * largest {
        return Err(format!("devices differ by {off}, where the largest element is {largest}").into());
    }
    Ok(())
}

/// The states of three trajectories after two recurrences, and that each is the same alone.
fn run(owner: &mut impl Owner) -> Result<Vec<f32>, Box<dyn Error>> {
    let model = Model::random(&owner.device())?;
    let together = model.think(owner, &PROMPT, &[0, 1, 2])?;
    for (trajectory, state) in together.chunks(model::WIDTH).enumerate() {
        let alone = model.think(owner, &PROMPT, &[trajectory as u32])?;
        if alone != state {
            return Err(format!("trajectory {trajectory} on {} differs alone", owner.device()).into());
        }
    }
    Ok(together)
}
