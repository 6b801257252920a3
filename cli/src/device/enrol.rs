//! `consign device enrol --csv`: many devices, one in each row.
//!
//! The whole table is checked before anything is sent. Running it again is harmless: what is enrolled the
//! same way is skipped, so a run that broke off is finished by another.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use consign_rpc::params::{ListDevices, Wait};
use consign_rpc::views::EventStatus;
use consign_types::event::{SignedEvent, Subject};
use consign_types::limits::SUBMIT_BATCH_MAX;
use consign_types::party::PartyId;
use serde::Serialize;

use super::claim::{differs, enrolment};
use super::show;
use super::table::{self, Row};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::event;
use crate::failure::{Exit, Failure};
use crate::member::Member;
use crate::node::{Node, failure, timed_out};

/// Times that rows are signed anew because their numbers were taken by somebody else meanwhile.
const ROUNDS_MAX: u32 = 20;

/// `consign device enrol`.
#[derive(Args, Debug)]
pub struct EnrolArgs {
    /// The table: columns label, claim or key and possession, class, kinds, places, units
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// The member that enrols
    #[arg(long = "as", value_name = "PARTY")]
    party: PartyId,
    /// Key file of the member
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Check the table and say what would be done; send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(skip)]
    dry: bool,
    enrolled: Vec<EnrolledRow>,
    skipped: Vec<SkippedRow>,
    refused: Vec<RefusedRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnrolledRow {
    line: u64,
    device: String,
    /// The block; none where nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SkippedRow {
    line: u64,
    device: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedRow {
    line: u64,
    device: String,
    code: String,
    message: String,
}

impl Report for Done {
    fn text(&self) -> String {
        let verb = if self.dry { "to enrol" } else { "enrolled and proven" };
        let (enrolled, skipped) = (self.enrolled.len(), self.skipped.len());
        let mut lines = vec![format!(
            "{enrolled} {verb}, {skipped} enrolled before the same way, {} refused",
            self.refused.len()
        )];
        let refused = |row: &RefusedRow| {
            format!("  line {}, {}: {}: {}", row.line, row.device, row.code, row.message)
        };
        lines.extend(self.refused.iter().map(refused));
        lines.join("\n")
    }
}

/// Carries it out.
///
/// # Errors
/// When the table, the node or a rule says no.
pub async fn run(console: &Console, global: &Global, args: EnrolArgs) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let network = event::network_at(global, &node).await?;
    let rows = table::read(&args.csv, network, &args.party)?;
    let member = Member::new(args.party.clone(), network, &args.key)?;
    let mut next = member.next_number(global, &node).await?;

    let params = ListDevices { party: Some(args.party.into()), ..ListDevices::default() };
    let known: BTreeMap<_, _> = show::all(global, &node, params)
        .await?
        .into_iter()
        .map(|view| (view.device.0.clone(), view))
        .collect();
    let mut done = Done { dry: args.dry_run, ..Done::default() };
    let mut open = VecDeque::new();
    for row in rows {
        match known.get(&row.device).map(|known| differs(known, row.key, &row.scope)) {
            None => open.push_back(row),
            Some(None) => {
                done.skipped.push(SkippedRow { line: row.line, device: row.device.to_string() });
            }
            Some(Some(failure)) => done.refused.push(refused(&row, failure)),
        }
    }
    if args.dry_run {
        let to_enrol =
            |row: Row| EnrolledRow { line: row.line, device: row.device.to_string(), height: None };
        done.enrolled = open.into_iter().map(to_enrol).collect();
        return finished(console, &done);
    }

    let (total, bar) = (open.len(), console.bar(open.len() as u64));
    let mut rounds = 0;
    while !open.is_empty() {
        let chunk: Vec<Row> = open.drain(..open.len().min(SUBMIT_BATCH_MAX)).collect();
        let sent = chunk.len();
        let (proven, no) = (done.enrolled.len(), done.refused.len());
        let left = settle(global, &node, &member, next, chunk, &mut done).await?;
        let gone = done.enrolled.len() - proven + done.refused.len() - no;
        bar.inc(gone as u64);
        if !console.animates() && gone == sent {
            console.note(format!("{} of {total} settled", total - open.len()));
        }
        rounds = if gone == 0 { rounds + 1 } else { 0 };
        if rounds == ROUNDS_MAX {
            let message = format!("the numbers of {} are taken again and again", member.party);
            let help = "let one program at a time sign with the member's key, and run this again";
            return Err(Failure::operational("numbers_taken", message, help));
        }
        for row in left.into_iter().rev() {
            open.push_front(row);
        }
        next = member.next_number(global, &node).await?;
    }
    bar.finish_and_clear();
    finished(console, &done)
}

fn finished(console: &Console, done: &Done) -> Result<(), Failure> {
    console.result(done)?;
    if done.refused.is_empty() {
        return Ok(());
    }
    let message = format!("{} rows were refused", done.refused.len());
    let help = "the others are enrolled; mend these rows and run the same table again";
    Err(Failure::new(Exit::Refused, "rows_refused", message, help))
}

fn refused(row: &Row, failure: Failure) -> RefusedRow {
    RefusedRow {
        line: row.line,
        device: row.device.to_string(),
        code: failure.code,
        message: failure.message,
    }
}

/// Enrols rows under the member's numbers from `next` on, and waits until each is proven or refused.
/// Answers those whose numbers somebody else had: they are signed again.
async fn settle(
    global: &Global,
    node: &Node,
    member: &Member,
    next: u64,
    rows: Vec<Row>,
    done: &mut Done,
) -> Result<Vec<Row>, Failure> {
    let sign = |(row, number): (Row, u64)| {
        let subject = Subject::Signer(row.device.clone());
        let action = enrolment(row.key, row.possession, row.scope.clone());
        (row, member.sign(subject, action, number))
    };
    let mut waiting: Vec<(Row, SignedEvent)> = rows.into_iter().zip(next..).map(sign).collect();
    let mut again = Vec::new();
    let since = Instant::now();
    while !waiting.is_empty() {
        if since.elapsed() > global.patience() {
            return Err(timed_out(node.url(), "the enrolment of devices", global.patience()));
        }
        let bytes: Vec<&[u8]> = waiting.iter().map(|(_, event)| event.bytes()).collect();
        let wait_ms = Some(global.timeout.saturating_mul(1000));
        let items = node.client().submit_batch(&bytes, Wait::Proven, wait_ms).await;
        let items = items.map_err(|e| failure(node.url(), e))?;
        let mut still = Vec::new();
        for ((row, event), item) in waiting.into_iter().zip(items) {
            let line = row.line;
            match item.into_result() {
                Ok(submitted) => match submitted.status {
                    EventStatus::Proven { height, .. } => done.enrolled.push(EnrolledRow {
                        line,
                        device: row.device.to_string(),
                        height: Some(height),
                    }),
                    _ => still.push((row, event)),
                },
                Err(error) => {
                    let code = error.code.as_deref().unwrap_or(error.kind.as_str());
                    match code {
                        "sequence_used" | "sequence_gap" => again.push(row),
                        _ if error.retryable => still.push((row, event)),
                        _ => done.refused.push(RefusedRow {
                            line,
                            device: row.device.to_string(),
                            code: code.to_owned(),
                            message: error.message.to_string(),
                        }),
                    }
                }
            }
        }
        waiting = still;
    }
    Ok(again)
}
