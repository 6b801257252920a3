//! `consign export`: a log, or what concerns some units, to take away and keep.
//!
//! What is exported proves itself as it did where it came from, so whoever leaves a network takes the
//! evidence along.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use consign_ledger::passport;
use consign_ledger::replay::is_record;
use consign_rpc::params::GetPassport;
use consign_types::block::BlockRecord;
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::event::SignedEvent;
use consign_types::policy::policy;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;
use serde::Serialize;

use super::entries::{self, WIDTH};
use super::fetch::{fetch, keep_partial, write};
use super::judge::{Judged, by_set_in_force, ends_in_force, judge};
use super::scan::Scan;
use super::source::Source;
use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::node::{Node, within};
use crate::verify::read_trust;

/// `consign export`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole log as a folder of tiles, hashed on the way up to a cosigned root
    Tiles {
        /// A node, `http://host:port`, or another folder of tiles
        #[arg(value_name = "URL|DIR")]
        from: Source,
        /// The folder to make
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Every event of a log in a line, with its place in the log and its leaf hash
    Csv {
        /// A node, `http://host:port`, or a folder of tiles
        #[arg(value_name = "URL|DIR")]
        from: Source,
        /// File to write; standard output where absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The passports of some units, with the trust file that they are checked with
    Bundle {
        /// The units
        #[arg(required = true)]
        units: Vec<UnitId>,
        /// The folder to make
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Serialize)]
struct Exported {
    out: PathBuf,
    what: String,
    next: String,
}

impl Report for Exported {
    fn text(&self) -> String {
        format!("wrote {}: {}\nnext: {}", self.out.display(), self.what, self.next)
    }
}

/// Carries out `consign export`.
///
/// # Errors
/// When the source cannot be read, does not lead to a cosigned root, or the result cannot be written.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    let path = super::needed(global.trust.as_deref())?;
    let trust = read_trust(path)?;
    match command {
        Command::Tiles { from, out } => {
            tokio::task::block_in_place(|| tiles(console, &from, &out, &trust))
        }
        Command::Csv { from, out } => {
            tokio::task::block_in_place(|| csv(console, &from, out.as_deref(), &trust))
        }
        Command::Bundle { units, out } => {
            bundle(console, global, &units, &out, (path, &trust)).await
        }
    }
}

fn judged(source: &Source, trust: &Trust) -> Result<Judged, Failure> {
    let none = || {
        let message = format!("{} has no checkpoint", source.name());
        Failure::new(
            Exit::Incomplete,
            "no_checkpoint",
            message,
            "wait until a quorum has cosigned one",
        )
    };
    let text = source.checkpoint()?.ok_or_else(none)?;
    judge(text, &source.name(), trust).map_err(|finding| failed(&finding))
}

fn failed(finding: &super::Finding) -> Failure {
    let code = serde_json::to_value(finding.code).unwrap_or_default();
    let code = code.as_str().unwrap_or("finding").to_owned();
    Failure::new(finding.code.exit(), &code, &finding.detail, finding.help())
}

fn tiles(console: &Console, from: &Source, out: &Path, trust: &Trust) -> Result<(), Failure> {
    if out.join("checkpoint").exists() {
        let message = format!("{} holds a log already", out.display());
        return Err(Failure::usage(
            "exists",
            message,
            "name a new folder; to follow a log: consign audit run",
        ));
    }
    let judged = judged(from, trust)?;
    let target = &judged.proven.checkpoint;
    let bar = console.bar(target.size.0);
    let scan = fetch(from, target.size, Scan::default(), out, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let scan = scan.map_err(|finding| failed(&finding))?;
    let root = scan.frontier().root();
    if root != target.root {
        let message =
            format!("its entries lead to root {root}, and its checkpoint says {}", target.root);
        return Err(Failure::new(
            Exit::Integrity,
            "wrong_root",
            message,
            "export from another node",
        ));
    }
    let name = from.name();
    ends_in_force(&Source::Folder(out.to_owned()), &judged, &name, trust)
        .map_err(|finding| failed(&finding))?;
    keep_partial(&scan, out)?;
    write(&out.join("checkpoint"), judged.text.as_bytes())?;
    let what = format!("{} leaves, root {root}", target.size);
    let next = format!("consign audit files {} --trust FILE", out.display());
    console.result(&Exported { out: out.to_owned(), what, next })
}

/// A line of the CSV. Whoever has the log finds each by its leaf, and checks it by its hash.
#[derive(Serialize)]
struct Row<'a> {
    leaf: u64,
    leaf_hash: String,
    event_id: String,
    block: u64,
    block_time: String,
    kind: &'a str,
    subject: String,
    signer: String,
    sequence: u64,
    device_time: String,
    place: String,
}

/// Writes a file only once every line of it is known to be of the log.
fn csv(console: &Console, from: &Source, out: Option<&Path>, trust: &Trust) -> Result<(), Failure> {
    let Some(path) = out else { return rows(console, from, None, trust) };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let file = File::create(&part).map_err(|e| Failure::file("write", &part, e))?;
    let written = rows(console, from, Some((file, path)), trust);
    let kept = match written {
        Ok(()) => fs::rename(&part, path).map_err(|e| Failure::file("write", path, e)),
        Err(failure) => Err(failure),
    };
    if kept.is_err() {
        let _ = fs::remove_file(&part);
    }
    kept
}

fn rows(
    console: &Console,
    from: &Source,
    out: Option<(File, &Path)>,
    trust: &Trust,
) -> Result<(), Failure> {
    let judged = judged(from, trust)?;
    let size = judged.proven.checkpoint.size;
    let (file, out): (Box<dyn Write>, _) = match out {
        Some((file, path)) => (Box::new(file), Some(path)),
        None => (Box::new(io::stdout().lock()), None),
    };
    let mut rows = csv::Writer::from_writer(file);
    let unwritable = |e: csv::Error| {
        Failure::operational("output", on_one_line(&e), "check the disk, or the pipe")
    };
    let bar = console.bar(size.0);
    // Events come before the record that tells their block and time.
    let (mut open, mut scan, mut last) = (Vec::new(), Scan::default(), None);
    for index in 0..size.0.div_ceil(WIDTH) {
        let leaves = entries::bundle(from, index, size)?.map_err(|finding| failed(&finding))?;
        for leaf in leaves {
            let at = scan.size().0;
            scan.leaf(&leaf, |_, _| ());
            if let Ok(event) = SignedEvent::decode(&leaf) {
                open.push((at, event));
            } else if is_record(&leaf)
                && let Ok(record) = BlockRecord::from_bytes(&leaf)
            {
                for (leaf, signed) in open.drain(..) {
                    rows.serialize(row(leaf, &signed, &record)).map_err(unwritable)?;
                }
                last = Some(record);
            }
        }
        bar.set_position(scan.size().0);
    }
    bar.finish_and_clear();
    rows.flush().map_err(|e| unwritable(e.into()))?;
    if scan.frontier().root() != judged.proven.checkpoint.root {
        let message = "the entries do not lead to the checkpoint: nothing of what was written is to be relied on";
        return Err(Failure::new(
            Exit::Integrity,
            "wrong_root",
            message,
            "export from another node",
        ));
    }
    if let Some(record) = last {
        by_set_in_force(&judged, &record, &from.name(), trust)
            .map_err(|finding| failed(&finding))?;
    }
    let Some(out) = out else { return Ok(()) };
    let what = format!("the events among {size} leaves");
    let next = "each line's leaf_hash is in the log's tiles at its leaf".to_owned();
    console.result(&Exported { out: out.to_owned(), what, next })
}

fn row<'a>(leaf: u64, signed: &'a SignedEvent, record: &BlockRecord) -> Row<'a> {
    let event = signed.event();
    Row {
        leaf,
        leaf_hash: signed.leaf_hash().to_string(),
        event_id: signed.id().to_string(),
        block: record.height.0,
        block_time: record.time.to_string(),
        kind: event.action.kind().as_str(),
        subject: event.subject.to_string(),
        signer: event.signer.to_string(),
        sequence: event.sequence,
        device_time: event.time.to_string(),
        place: event.place.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

async fn bundle(
    console: &Console,
    global: &Global,
    units: &[UnitId],
    out: &Path,
    (path, trust): (&Path, &Trust),
) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|e| Failure::file("make", out, e))?;
    let node = Node::first(global).await?;
    for unit in units {
        let params =
            GetPassport { unit_id: unit.clone().into(), since_height: Some(trust.height.0) };
        let bytes = within(global.patience(), node.call(params)).await?.passport.0;
        // What does not hold now will not hold where it is needed.
        passport::read(&bytes, trust).map_err(|e| {
            let message = format!(
                "the passport of {unit} from {} does not hold: {}",
                node.url(),
                on_one_line(&e)
            );
            Failure::new(Exit::Integrity, "integrity", message, "ask another node")
        })?;
        // No two units have one name: a `-` of the number is doubled.
        let name = unit.to_string().replace('-', "--").replace('/', "-");
        write(&out.join(format!("{name}.passport")), &bytes)?;
    }
    let text = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
    write(&out.join("network.trust.json"), &text)?;
    let policy = policy(trust)
        .map_err(|e| Failure::operational("policy", on_one_line(&e), "check the trust file"))?;
    write(&out.join("policy.txt"), policy.as_bytes())?;
    let dir = out.display();
    let what = format!("{} passports, the trust file, and the policy for other tools", units.len());
    let next = format!("consign verify {dir}/NAME.passport --trust {dir}/network.trust.json");
    console.result(&Exported { out: out.to_owned(), what, next })
}
