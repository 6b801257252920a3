//! `consign-bench`: how many events a second four nodes commit on this machine, and how soon each is
//! proven.
//!
//! Prints a table on stdout and progress on stderr, and writes everything as JSON. The exit code is 0
//! only if nothing was refused, the nodes agree, and what they stored verifies.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use consign_tests::bench::phase::Times;
use consign_tests::bench::workload::Scale;
use consign_tests::bench::{self, Plan, Wrong};

#[derive(Debug, Parser)]
#[command(about = "Measures commits per second and latency of four nodes, with real fsync.")]
struct Args {
    /// Short windows, for trying: the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Length of each measured window, at least 30 for figures that others compare by.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Measure at this many events a second instead of searching for the highest sustained rate.
    #[arg(long, value_name = "EVENTS_PER_S")]
    rate: Option<f64>,
    /// Seed of the devices' keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Do not verify the stored data in the end.
    #[arg(long)]
    no_check: bool,
    /// Leave the network's directory behind.
    #[arg(long)]
    keep: bool,
    /// Where the JSON goes; `bench/commit.json` in the target directory unless said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<bool, Wrong> {
    if args.rate.is_some_and(|rate| !rate.is_finite() || rate < 1.0) {
        return Err(Wrong::new("--rate is at least one event a second"));
    }
    let out_dir = target_dir()?.join("bench");
    std::fs::create_dir_all(&out_dir).map_err(Wrong::of)?;
    let plan = plan(args, out_dir.join(format!("network-{}", std::process::id())));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Wrong::of)?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = bench::run(&plan, &|line| eprintln!("{line}")) => report,
            () = told_to_stop() => Err(Wrong::new("interrupted; the nodes are stopped")),
        }
    });
    if args.keep {
        eprintln!("left behind: {}", plan.dir.display());
    } else {
        let _ = std::fs::remove_dir_all(&plan.dir);
    }
    let report = report?;
    let out = args.out.clone().unwrap_or_else(|| out_dir.join("commit.json"));
    report.write(&out)?;
    print!("{}", report.table());
    eprintln!("wrote {}", out.display());
    Ok(report.faults.is_empty())
}

/// Done once somebody wants this to end; the nodes must not outlive it.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn plan(args: &Args, dir: PathBuf) -> Plan {
    let seconds = Duration::from_secs;
    let window = seconds(args.seconds.unwrap_or(if args.quick { 10 } else { 30 }).max(1));
    let warm_up = seconds(if args.quick { 3 } else { 10 });
    Plan {
        dir,
        scale: Scale { units: 100_000, devices: 1_000, seed: args.seed },
        times: Times { warm_up, window },
        flood_events: if args.quick { 20_000 } else { 40_000 },
        bound: seconds(if args.quick { 1 } else { 3 }),
        tries_max: if args.quick { 2 } else { 4 },
        rate: args.rate,
        check: !args.no_check,
        quick: args.quick || window < seconds(30),
    }
}

/// The target directory: this program lies in `<target>/<profile>`. A real disk, unlike what may be
/// below a directory for temporary files.
fn target_dir() -> Result<PathBuf, Wrong> {
    let own = std::env::current_exe().map_err(Wrong::of)?;
    let target = own.parent().and_then(Path::parent);
    target.map(Path::to_path_buf).ok_or_else(|| Wrong::new("this program lies nowhere"))
}
