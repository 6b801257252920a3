//! The main job, end to end: four nodes, a day of traffic, a proof verified offline, a forgery refused.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::home::Devnet;
use super::{Dir, PortArgs, down, up};
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::replay::plan::{Role, T0};
use crate::replay::report::Figures;
use crate::replay::{self, judged};
use crate::verify::{Checked, verify_file};
use crate::{keys, proof};

/// `consign devnet demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// The Cargo 2000 file; a made-up day of traffic where absent
    #[arg(long, value_name = "FILE", env = "DATA")]
    data: Option<String>,
    /// Seed of the synthetic traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Shipments to replay; all of a file, 400 of a synthetic day where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    units: Option<u32>,
    /// Stop the network at the end; the ledger is kept
    #[arg(long)]
    stop: bool,
    /// Where the network lies.
    #[command(flatten)]
    dir: Dir,
    /// Where a new network listens.
    #[command(flatten)]
    ports: PortArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Demo {
    figures: Figures,
    ready: up::Ready,
    proof: PathBuf,
    verification: Checked,
    flipped: PathBuf,
    flipped_refused: bool,
    stopped: bool,
}

impl Report for Demo {
    fn text(&self) -> String {
        let dir = self.ready.directory();
        let mut lines = vec![
            self.verification.text(),
            format!("one byte flipped in {}: refused", self.flipped.display()),
            String::new(),
            self.figures.text(),
            String::new(),
        ];
        lines.extend(self.ready.addresses());
        let (proof, trust) = (self.proof.display(), self.ready.trust());
        lines.push(format!("Verify   consign verify {proof} --trust {trust}"));
        if self.stopped {
            lines.push(format!("Start    consign devnet up --dir {dir}"));
        } else {
            lines.push(format!("Break    consign devnet fault kill handler --dir {dir}"));
            lines.push(format!(
                "Stop     consign devnet down --dir {dir}    (keeps the ledger; `reset` erases it)"
            ));
        }
        // The line of figures is the last one, for whoever reads no more than that.
        lines.push(self.figures.line());
        lines.join("\n")
    }
}

/// Carries out `consign devnet demo`.
///
/// # Errors
/// When anything of it does not hold.
pub(super) async fn run(console: &Console, args: DemoArgs) -> Result<(), Failure> {
    let source =
        args.data.filter(|data| !data.is_empty()).unwrap_or_else(|| "synthetic".to_owned());
    // Read first: a file that is none is told before anything is started.
    let traffic = replay::traffic(&source, args.seed, args.units)?;
    let (devnet, ready) = up::up(console, &args.dir.dir, args.ports.ports(), Vec::new()).await?;
    console
        .note(format!("ready in {} ms: a signed event is proven on all nodes", ready.ready_ms()));

    let lock = devnet.lock()?;
    let (figures, replayed) = replay::replay(console, &devnet, &traffic, T0).await?;
    let event = replayed.last_event.ok_or_else(|| {
        Failure::usage("no_traffic", "the traffic has no event", "replay more shipments")
    })?;
    let nodes = replay::nodes(&devnet)?;
    let node = nodes
        .get(&Role::Consignee)
        .or_else(|| nodes.values().next())
        .ok_or_else(|| Failure::operational("no_nodes", "the network has no node", "reset it"))?;
    let receipt = proof::receipt(node, event).await?;
    let (proof, flipped) = samples(&devnet, &event.to_string(), &receipt)?;
    let trust = devnet.layout().trust();
    let verification = verify_file(&proof, &trust)?;
    let forged = verify_file(&flipped, &trust)?;
    if args.stop {
        down(&devnet)?;
    }
    drop(lock);
    let demo = Demo {
        figures,
        ready,
        proof,
        flipped_refused: !forged.proof.verified,
        verification,
        flipped,
        stopped: args.stop,
    };
    if !demo.flipped_refused {
        let message = format!("{} has a flipped byte and is verified", demo.flipped.display());
        return Err(Failure::new(Exit::Integrity, "forgery", message, "report this as a defect"));
    }
    console.result(&demo)?;
    demo.verification.outcome()?;
    judged(&demo.figures)
}

/// Writes the receipt, and a copy with one byte flipped in the middle of the event.
fn samples(devnet: &Devnet, name: &str, receipt: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let dir = devnet.layout().root().join("samples");
    keys::private_dir(&dir)?;
    let proof = dir.join(format!("{name}.tlog-proof"));
    let flipped = dir.join(format!("{name}.flipped.tlog-proof"));
    write(&proof, receipt.as_bytes())?;
    write(&flipped, &flip(receipt))?;
    Ok((proof, flipped))
}

/// The same with one letter of its event changed: it stays base64, and says something else.
fn flip(receipt: &str) -> Vec<u8> {
    let mut bytes = receipt.as_bytes().to_vec();
    let start = receipt.find("extra ").map_or(0, |at| at + "extra ".len());
    let end = receipt[start..].find('\n').map_or(bytes.len(), |at| start + at);
    let middle = start + (end - start) / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    bytes
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|e| Failure::file("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flip_changes_one_letter_of_the_event() {
        let receipt = "c2sp.org/tlog-proof@v1\nextra AAAAAAAA\nindex 7\n\nnote\n";
        let flipped = String::from_utf8(flip(receipt)).unwrap();
        assert_eq!(flipped, "c2sp.org/tlog-proof@v1\nextra AAAABAAA\nindex 7\n\nnote\n");
    }
}
