//! `consign device watch`: the events of a device as they come, each once committed and once proven.

use clap::Args;
use consign_rpc::page::Cursor;
use consign_rpc::params::{EventFilter, Stage};
use consign_rpc::views::EventView;
use consign_types::party::SignerId;
use tokio::sync::mpsc;

use crate::args::Global;
use crate::console::{Console, Format};
use crate::event::{disputed, progress};
use crate::failure::Failure;
use crate::node::{Node, failure};

/// Events that wait to be printed.
const WAITING_MAX: usize = 64;

/// `consign device watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The device: handler.dock7
    device: SignerId,
    /// Begin with the first event of the network, not with the next
    #[arg(long)]
    all: bool,
    /// Stop once this many were proven
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Carries it out.
///
/// # Errors
/// When the node does not answer for long, or standard output is closed.
pub async fn run(console: &Console, global: &Global, args: WatchArgs) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let (tell, mut told) = mpsc::channel(WAITING_MAX);
    let mut tasks = tokio::task::JoinSet::new();
    for stage in [Stage::Committed, Stage::Proven] {
        let device = Some(args.device.clone().into());
        let filter = EventFilter { stage, device, ..EventFilter::default() };
        let from = args.all.then(Cursor::start);
        let mut feed = node.client().follow_events(filter, from);
        feed.open().await.map_err(|e| failure(node.url(), e))?;
        let (tell, url) = (tell.clone(), node.url().to_owned());
        tasks.spawn(async move {
            loop {
                let told = match feed.next().await {
                    Ok(Some(item)) => Ok((stage, item.value)),
                    Ok(None) => return,
                    Err(error) => Err(failure(&url, error)),
                };
                let over = told.is_err();
                if tell.send(told).await.is_err() || over {
                    return;
                }
            }
        });
    }
    drop(tell);
    console.note(format!("watching {}; end with Ctrl-C", args.device));
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(told) = told.recv().await else { return Ok(()) };
        let (stage, view) = told?;
        // A feed of what is committed may find it proven already; the other one says so.
        let proven = stage == Stage::Proven;
        if !proven && view.status.is_proven() {
            continue;
        }
        print(console, global, &view)?;
        left -= u64::from(proven);
    }
    Ok(())
}

/// One line for each: a stream is no document.
fn print(console: &Console, global: &Global, view: &EventView) -> Result<(), Failure> {
    let line = match global.output {
        Format::Json => serde_json::to_string(view)
            .map_err(|e| Failure::operational("output", e, "report this as a defect"))?,
        Format::Text => {
            let content = &view.content;
            let (signer, number) = (&content.signer, content.sequence);
            let (kind, subject, how) = (content.kind, &content.subject, progress(&view.status));
            let doubt = disputed(view);
            format!("{signer} {number}  {kind} {subject}  {how}{doubt}")
        }
    };
    console.data(format!("{line}\n").as_bytes())
}
