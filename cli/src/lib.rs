//! `consign`: the command line of the custody ledger.
//!
//! It makes networks and keys, runs a development network on one machine, signs and submits events,
//! replays freight traffic, and verifies proofs offline. It links no database and no consensus: what
//! it knows of a node it asks over JSON-RPC.

#![allow(rustdoc::invalid_html_tags, reason = "clap prints these comments as they are")]

pub mod args;
pub mod audit;
pub mod commitment;
pub mod config;
pub mod console;
pub mod credentials;
pub mod device;
pub mod devnet;
pub mod doctor;
pub mod durable;
pub mod event;
pub mod evidence;
pub mod failure;
pub mod gov;
pub mod health;
pub mod instant;
pub mod join;
pub mod key_rotation;
pub mod keys;
pub mod member;
pub mod network;
pub mod node;
pub mod passport;
pub mod proof;
pub mod replay;
pub mod signatures;
pub mod token;
pub mod trust;
pub mod unit;
pub mod verify;
pub mod witness;

use std::process::ExitCode;

use args::{Cli, Command, Global};
use clap::{CommandFactory as _, Parser as _};
use console::Console;
use failure::Failure;

/// Reads the command line, carries it out, and says how it went.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(cli.global.output, cli.global.quiet);
    match carry_out(&console, &cli.global, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn carry_out(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Devnet(command) => wait_for(devnet::run(console, command)),
        Command::Network(command) => wait_for(network::run(console, global, command)),
        Command::Key(command) => wait_for(keys::run(console, global, command)),
        Command::Event(command) => wait_for(event::run(console, global, command)),
        Command::Commitment(command) => commitment::run(console, command),
        Command::Unit(command) => wait_for(unit::run(console, global, command)),
        Command::Proof(command) => wait_for(proof::run(console, global, command)),
        Command::Passport(command) => wait_for(passport::run(console, global, command)),
        Command::Trust(command) => wait_for(trust::run(console, global, command)),
        Command::Verify(args) => wait_for(verify::run(console, global, &args)),
        Command::Audit(command) => audit::run(console, global, command),
        Command::Export(command) => wait_for(audit::export(console, global, command)),
        Command::Replay(command) => wait_for(replay::run(console, command)),
        Command::Config(command) => config::run(global, &command),
        Command::Witness(command) => wait_for(witness::run(console, global, command)),
        Command::Evidence(command) => wait_for(evidence::run(console, global, command)),
        Command::Gov(command) => wait_for(gov::run(console, global, command)),
        Command::Device(command) => wait_for(device::run(console, global, *command)),
        Command::Node(command) => wait_for(doctor::run(console, global, command)),
        Command::Token(command) => token::run(console, command),
        Command::Health => wait_for(health::run(console, global)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "consign", &mut script);
            console.data(&script)
        }
    }
}

fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime
        .map_err(|e| Failure::operational("runtime", e, "the system has no thread to give"))?;
    runtime.block_on(work)
}
