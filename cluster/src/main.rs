//! Fused-mlp on many machines, over MPI: a sweep of many small models, or one model trained data-parallel.
//!
//! ```text
//! mpirun -n 4 cluster sweep
//! mpirun -n 4 cluster train --model wide --batch 4096
//! cluster costs
//! ```
//!
//! The number of ranks changes no result. See README.md.

mod costs;
mod exchange;
mod models;
mod sweep;
mod train;
#[path = "../../examples/sweep/training.rs"]
mod training;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mpi::traits::*;

/// Trains on all ranks of an `mpirun`.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One training for each learning rate and seed, shared between the ranks.
    Sweep(sweep::Arguments),
    /// One model, the blocks of each batch shared between the ranks.
    Train(train::Arguments),
    /// Measures steps on this machine, and calculates from which batch size on more machines pay.
    Costs,
}

/// What ends a rank, and with it the run.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if let Command::Costs = command {
        return match costs::print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some(universe) = mpi::initialize() else {
        eprintln!("MPI cannot be started twice in one process");
        return ExitCode::FAILURE;
    };
    // Unwinding would end in MPI_Finalize, which waits for the other ranks.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let world = universe.world();
    let host = mpi::environment::processor_name().unwrap_or_default();
    let (rank, process) = (world.rank(), std::process::id());
    eprintln!(
        "rank {rank} of {} is process {process} on {host}",
        world.size()
    );
    let result = match command {
        Command::Sweep(arguments) => sweep::run(&arguments, &world),
        Command::Train(arguments) => train::run(&arguments, &world),
        Command::Costs => Ok(()),
    };
    if let Err(error) = result {
        // The others may be waiting for this rank; MPI_Finalize would wait for them.
        eprintln!("rank {rank} failed, so the run ends on all ranks: {error}");
        world.abort(1);
    }
    ExitCode::SUCCESS
}
