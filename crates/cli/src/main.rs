//! `fathom`: answers questions and evaluates latent reasoners with N parallel trajectories.

mod annotate;
mod args;
mod chart;
mod engine;
mod error;
mod eval;
mod generate;
mod info;
mod make_data;
mod options;
mod output;
mod parity;
mod raster;
mod score;
mod solve;
mod study_rm;
mod table;
mod trace;
mod train;
mod train_rm;
mod training;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Arguments, Command};
use crate::error::{Result, one_line};

/// A command ran and found what it looks for to be wrong.
const FAILED: u8 = 1;
/// A command could not do its work.
const BAD_INPUT: u8 = 2;

/// Keys and values of a question are freed for the next one: an allocator that keeps their pages spares a small model the
/// faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(usage) => match usage.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                output::print(&usage.to_string()).map(|()| ExitCode::SUCCESS)
            }
            _ => return complain(args::usage_line(&usage).as_str()),
        },
    };
    outcome.unwrap_or_else(|error| complain(&error.to_string()))
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Solve(arguments) => solve::run(&arguments)?,
        Command::Eval(arguments) => eval::run(&arguments)?,
        Command::Merge(arguments) => eval::merge::run(&arguments)?,
        Command::Generate(arguments) => generate::run(&arguments)?,
        Command::Score(arguments) => score::run(&arguments)?,
        Command::Trace(arguments) => trace::run(&arguments)?,
        Command::Train(arguments) => train::run(&arguments)?,
        Command::Annotate(arguments) => annotate::run(&arguments)?,
        Command::TrainRm(arguments) => train_rm::run(&arguments)?,
        Command::StudyRm(arguments) => study_rm::run(&arguments)?,
        Command::MakeData(arguments) => make_data::run(&arguments)?,
        Command::Info(arguments) => info::run(&arguments)?,
        Command::Parity(arguments) => {
            if !parity::run(&arguments)? {
                return Ok(ExitCode::from(FAILED));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn complain(message: &str) -> ExitCode {
    // Nobody is left to tell when standard error is gone; the exit code still tells.
    let _ = writeln!(std::io::stderr(), "error: {}", one_line(message));
    ExitCode::from(BAD_INPUT)
}
