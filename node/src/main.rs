//! `consignd`: the node.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use consign_node::causes::causes;
use consign_node::config::{Config, ConfigError, LogFormat};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Blocks are built from many small values; the allocator of the system costs a tenth of a node's time.
/// RocksDB allocates through it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A node of a Consign network: a shared ledger of package custody.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node until it is told to stop (SIGTERM or SIGINT).
    Run(WithConfig),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the running node whether it is ready; exit code 0 if it is.
    Health(WithConfig),
    /// Verify everything that is stored, from bytes alone; the node must not be running.
    Check(WithConfig),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the configuration with the code that starts the node.
    Check(WithConfig),
}

#[derive(clap::Args)]
struct WithConfig {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

/// Exit codes: 1 the node failed, 2 wrong usage (clap), 3 stored data do not verify, 7 refused to start.
fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(with) => run(&with.config),
        Command::Config(ConfigCommand::Check(with)) => match Config::load(&with.config) {
            Ok(_) => {
                println!("{}: ok", with.config.display());
                ExitCode::SUCCESS
            }
            Err(error) => refused(&error),
        },
        Command::Health(with) => match Config::load(&with.config) {
            Ok(config) => match consign_node::health::ask(config.rpc.listen) {
                Ok(answer) => {
                    println!("{answer}");
                    ExitCode::SUCCESS
                }
                Err(why) => {
                    eprintln!("not ready: {why}");
                    ExitCode::from(1)
                }
            },
            Err(error) => refused(&error),
        },
        Command::Check(with) => match Config::load(&with.config) {
            Ok(config) => check(&config),
            Err(error) => refused(&error),
        },
    }
}

fn run(path: &std::path::Path) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    start_logging(&config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let outcome = runtime.block_on(async {
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(async move {
            wait_for_signal().await;
            let _ = stop.send(true);
        });
        consign_node::node::run(config, stopping).await
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_chain(&error);
            ExitCode::from(1)
        }
    }
}

fn check(config: &Config) -> ExitCode {
    match consign_node::check::stored(config, &mut |height| {
        if height % 1000 == 0 && height > 0 {
            eprintln!("checked {height} blocks");
        }
    }) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_chain(&error);
            ExitCode::from(3)
        }
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn start_logging(config: &Config) {
    // The engine tells of each vote; who wants that names its target in `log.level`.
    let with_quiet_engine = |level: &str| format!("arc_malachitebft=warn,{level}");
    let filter = EnvFilter::try_new(with_quiet_engine(&config.log.level))
        .unwrap_or_else(|_| EnvFilter::new(with_quiet_engine("info")));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).init(),
        LogFormat::Text => lines.init(),
    }
}

fn refused(error: &ConfigError) -> ExitCode {
    print_chain(error);
    ExitCode::from(7)
}

fn print_chain(error: &(dyn std::error::Error + 'static)) {
    eprintln!("error: {error}");
    for cause in causes(error) {
        eprintln!("  because: {cause}");
    }
}
