//! `consign evidence`: made, handed in, reported, listed, fetched.
//!
//! A node that is handed a file keeps and serves it. The ledger knows of it once somebody who is enrolled
//! signs a report.

mod make;

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_ledger::evidence::{self, Believed, Evidence};
use consign_rpc::params::{GetEvidence, SubmitEvidence};
use consign_rpc::views::{Base64, EvidencePage, EvidenceView, ReportedView, Text};
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::limits::EVIDENCE_BYTES_MAX;
use consign_types::party::SignerId;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::{self, Stage};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys;
use crate::node::{Node, within};
use crate::verify::read_trust;

/// `consign evidence`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an evidence file of what contradicts itself
    Make(make::MakeArgs),
    /// Hand an evidence file to a node; with --device, report it on the ledger
    Submit(SubmitArgs),
    /// List the evidence that a node has, newest first
    List,
    /// Fetch an evidence file by its id
    Get {
        /// The id
        evidence: Digest,
        /// File to write; standard output where absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// `consign evidence submit`.
#[derive(Args, Debug)]
pub struct SubmitArgs {
    /// The evidence file
    file: PathBuf,
    /// Who signs the report: handler.dock7, or a member with its own key
    #[arg(long, value_name = "DEVICE", requires_all = ["key", "sequence"])]
    device: Option<SignerId>,
    /// Key file of whoever signs
    #[arg(long, value_name = "FILE", requires = "device")]
    key: Option<PathBuf>,
    /// Number of the report among the signer's events, from 1; each is used once
    #[arg(long, value_name = "N", requires = "device", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
    /// Numbers below this that are still missing are closed for ever
    #[arg(long, value_name = "N", requires = "device", default_value_t = 0)]
    floor: u64,
    /// What to wait for
    #[arg(long, value_enum, requires = "device", default_value_t = Stage::Committed)]
    wait: Stage,
}

/// Carries out `consign evidence`.
///
/// # Errors
/// When a file is none, or the node says no.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Make(args) => make::make(console, global, args),
        Command::Submit(args) => submit(console, global, args).await,
        Command::List => list(console, global).await,
        Command::Get { evidence, out } => get(console, global, evidence, out).await,
    }
}

async fn submit(console: &Console, global: &Global, args: SubmitArgs) -> Result<(), Failure> {
    let bytes = event::read(&args.file)?;
    let file = read(&bytes)?;
    let node = Node::first(global).await?;
    // The node judges it before anybody signs anything: a report uses up a number.
    let params = SubmitEvidence { evidence: Base64(bytes.clone()) };
    let view = within(global.patience(), node.call(params)).await?;
    let (Some(device), Some(key), Some(sequence)) = (args.device, args.key, args.sequence) else {
        return console.result(&Kept { evidence: view, file: args.file });
    };
    // The node's word for whom it names is not needed where there is a trust file.
    let subject = match &global.trust {
        Some(trust) => {
            let trust = read_trust(trust)?;
            let accused = evidence::verify(&file, Believed::from(&trust)).map_err(|e| {
                let help =
                    "it does not hold for whoever believes this trust file; nothing was signed";
                Failure::new(Exit::Integrity, "bad_evidence", on_one_line(&e), help)
            })?;
            accused.iter().find_map(|accused| accused.who.signer()).map(Text)
        }
        None => view.accused.iter().find_map(|accused| accused.signer.clone()),
    };
    let subject = subject.ok_or_else(|| {
        let why = "the evidence names nobody whom a report can be about";
        Failure::new(
            Exit::Refused,
            "not_accused",
            why,
            "keep the file, and show it to whom it concerns",
        )
    })?;
    let key = keys::read_signer(&key, &device)?;
    let report = Event {
        network: file.network,
        signer: device,
        subject: Subject::Signer(subject.0),
        sequence,
        floor: args.floor,
        time: instant::now(),
        place: None,
        basis: None,
        action: Action::Report { evidence: bytes },
    };
    let signed = SignedEvent::sign(report, &key);
    for accused in &view.accused {
        console.note(format!(
            "{} reports that {} {}",
            signed.event().signer,
            accused.who,
            accused.did
        ));
    }
    event::submit(console, global, signed.bytes(), args.wait).await
}

async fn list(console: &Console, global: &Global) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let mut all = Vec::new();
    let mut params = GetEvidence::default();
    loop {
        let page: EvidencePage = within(global.patience(), node.call(params.clone())).await?;
        all.extend(page.data);
        params.cursor = page.next_cursor;
        if !page.has_next_page || params.cursor.is_none() {
            return console.result(&Listed { evidence: all });
        }
    }
}

async fn get(
    console: &Console,
    global: &Global,
    id: Digest,
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let params = GetEvidence { evidence_id: Some(id.into()), ..GetEvidence::default() };
    let page = within(global.patience(), node.call(params)).await?;
    let mut views = page.data.into_iter();
    let mut view = views.next().ok_or_else(|| other_file(node.url()))?;
    let bytes = view.evidence.take().ok_or_else(|| other_file(node.url()))?.0;
    // The id is the hash of the file, so nobody has to be believed.
    if Digest::of(&[&bytes]) != id {
        return Err(other_file(node.url()));
    }
    let Some(out) = out else { return console.data(&bytes) };
    fs::write(&out, &bytes).map_err(|e| Failure::file("write", &out, e))?;
    console.result(&Written { evidence: view, file: out })
}

fn read(bytes: &[u8]) -> Result<Evidence, Failure> {
    let no_evidence = |why: String| {
        let help = "see what the file is with `consign verify`; nothing was sent";
        Failure::new(Exit::Refused, "bad_evidence", why, help)
    };
    if bytes.len() > EVIDENCE_BYTES_MAX {
        let why = format!("{} bytes; evidence has {EVIDENCE_BYTES_MAX} at most", bytes.len());
        return Err(no_evidence(why));
    }
    Evidence::from_bytes(bytes).map_err(|error| no_evidence(on_one_line(&error)))
}

fn other_file(url: &str) -> Failure {
    let why = format!("{url} answered with another file than was asked for");
    Failure::new(Exit::Integrity, "other_evidence", why, "ask another node")
}

/// One file as lines of text.
fn described(view: &EvidenceView) -> String {
    let mut lines = vec![format!("{} {}", view.evidence_id, view.kind)];
    for accused in &view.accused {
        let reported = accused.reported.map_or_else(|| "not reported".to_owned(), reported);
        lines.push(format!("  {} {}; {reported}", accused.who, accused.did));
    }
    lines.join("\n")
}

fn reported(report: ReportedView) -> String {
    format!("reported in block {}, event {}", report.height, report.event_id)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    evidence: EvidenceView,
    file: PathBuf,
}

impl Report for Kept {
    fn text(&self) -> String {
        let next = if self.evidence.reported.is_some() {
            "the ledger knows already; there is nothing left to do".to_owned()
        } else {
            let file = self.file.display();
            format!(
                "the node keeps and serves it; it is not reported, and nobody is stopped\n\
                 to report it: consign evidence submit {file} --device DEVICE --key FILE --sequence N"
            )
        };
        format!("{}\n{next}", described(&self.evidence))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Listed {
    evidence: Vec<EvidenceView>,
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.evidence.is_empty() {
            return "the node has no evidence against anybody".to_owned();
        }
        self.evidence.iter().map(described).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    evidence: EvidenceView,
    file: PathBuf,
}

impl Report for Written {
    fn text(&self) -> String {
        let file = self.file.display();
        format!(
            "{}\nwrote {file}; next: consign verify {file} --trust network.trust.json",
            described(&self.evidence)
        )
    }
}
