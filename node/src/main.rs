//! `consignd`: the node.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use consign_node::config::{Config, ConfigError, LogFormat, Problem, Sources, effective};
use consign_node::doctor::{self, Questions};
use consign_types::causes::causes;
use consign_types::signature_line::judge_lines;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
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
    /// Check signatures as those of events are checked: lines `ed25519|p256 KEY MESSAGE SIGNATURE` in hexadecimal on
    /// standard input, a verdict for each on standard output; exit code 3 if any is refused.
    VerifySignatures,
    /// Look whether this machine can run this node: PASS, WARN or FAIL with the mend; exit code 1 if any fails.
    Doctor(Doctor),
}

#[derive(clap::Args)]
struct Doctor {
    #[command(flatten)]
    with: WithConfig,
    /// Another node's RPC address, `http://host:port` or `https://host:port`, to compare clocks and versions with;
    /// repeat to name more.
    #[arg(long, value_name = "URL")]
    peer_rpc: Vec<String>,
    /// Certificates of the authorities that those nodes are believed by over TLS, in PEM, instead of this machine's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How many syncs of the disk are measured.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    fsyncs: u32,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the configuration with the code that starts the node.
    Check(WithConfig),
    /// Print every setting in force, and who set it: default, file, environment or command line.
    Show(WithConfig),
}

#[derive(clap::Args)]
struct WithConfig {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Set one setting, above the file and the environment (`CONSIGN__RPC__LISTEN`).
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair =
        text.split_once('=').ok_or_else(|| "write it as rpc.listen=127.0.0.1:9101".to_owned());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

impl WithConfig {
    fn sources(&self) -> Sources {
        let environment = std::env::vars_os();
        let environment = environment.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Sources {
            file: self.config.clone(),
            environment: environment.filter(|(name, _)| name.starts_with("CONSIGN__")).collect(),
            flags: self.set.clone(),
        }
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load_from(&self.sources())
    }

    /// Says why it is refused: exit code 7.
    fn refused(&self, error: &ConfigError) -> ExitCode {
        if self.output == Output::Json {
            let problem = |problem: &Problem| {
                json!({
                    "place": problem.place.to_string(),
                    "what": problem.what,
                    "mend": problem.mend,
                })
            };
            let problems: Vec<_> = error.problems().iter().map(problem).collect();
            println!("{:#}", json!({ "ok": false, "problems": problems }));
        }
        for problem in error.problems() {
            eprintln!("error: {problem}");
        }
        ExitCode::from(7)
    }
}

/// Exit codes: 1 the node failed, 2 wrong usage (clap), 3 stored data do not verify, 7 refused to start.
fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(with) => run(&with),
        Command::Config(ConfigCommand::Check(with)) => match with.load() {
            Ok(config) => {
                let network = config.genesis.network().to_string();
                match with.output {
                    Output::Text => println!("{}: ok", with.config.display()),
                    Output::Json => println!("{:#}", json!({ "ok": true, "network": network })),
                }
                ExitCode::SUCCESS
            }
            Err(error) => with.refused(&error),
        },
        Command::Config(ConfigCommand::Show(with)) => show(&with),
        Command::Health(with) => match with.load() {
            Ok(config) => match consign_node::health::ask(
                config.rpc.listen,
                config.rpc.doors.tls.as_ref().map(|tls| &tls.own),
            ) {
                Ok(answer) => {
                    println!("{answer}");
                    ExitCode::SUCCESS
                }
                Err(why) => {
                    eprintln!("not ready: {why}");
                    ExitCode::from(1)
                }
            },
            Err(error) => with.refused(&error),
        },
        Command::Check(with) => match with.load() {
            Ok(config) => check(&config),
            Err(error) => with.refused(&error),
        },
        Command::Doctor(doctor) => doctor.examine(),
        Command::VerifySignatures => verify_signatures(),
    }
}

fn verify_signatures() -> ExitCode {
    let mut all_hold = true;
    for line in std::io::stdin().lines() {
        let Ok(line) = line.inspect_err(|e| eprintln!("error: standard input: {e}")) else {
            return ExitCode::from(1);
        };
        for verdict in judge_lines(&line) {
            match verdict {
                Ok(verdict) => {
                    println!("{verdict}");
                    all_hold &= verdict.holds();
                }
                Err(why) => {
                    eprintln!("error: {why}");
                    return ExitCode::from(2);
                }
            }
        }
    }
    if all_hold { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

impl Doctor {
    fn examine(&self) -> ExitCode {
        let report = doctor::examine(&Questions {
            sources: self.with.sources(),
            peer_rpc: self.peer_rpc.clone(),
            ca: self.ca.clone(),
            fsyncs: self.fsyncs,
        });
        match self.with.output {
            Output::Text => println!("{}", report.text()),
            Output::Json => println!("{:#}", report.json()),
        }
        ExitCode::from(u8::from(!report.ok()))
    }
}

fn show(with: &WithConfig) -> ExitCode {
    match effective(&with.sources()) {
        Ok(settings) => {
            match with.output {
                Output::Text => settings.iter().for_each(|setting| println!("{}", setting.line())),
                Output::Json => {
                    let settings: Vec<_> = settings.iter().map(|setting| setting.json()).collect();
                    println!("{:#}", json!({ "settings": settings }));
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => with.refused(&error),
    }
}

fn run(with: &WithConfig) -> ExitCode {
    let config = match with.load() {
        Ok(config) => config,
        Err(error) => return with.refused(&error),
    };
    start_logging(&config);
    raise_files();
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
        let (again, rereading) = watch::channel(());
        match signal(SignalKind::hangup()) {
            Ok(mut hangup) => drop(tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    let _ = again.send(());
                }
            })),
            Err(error) => eprintln!("SIGHUP will not be heard: {error}"),
        }
        consign_node::node::run(config, stopping, rereading).await
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

/// Callers, peers and the store may have more files open than the 1,024 that a process has unless it asks for more.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of open files stays {:?}: {error}", limit.current);
    }
}

async fn wait_for_signal() {
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

fn print_chain(error: &(dyn std::error::Error + 'static)) {
    eprintln!("error: {error}");
    for cause in causes(error) {
        eprintln!("  because: {cause}");
    }
}
