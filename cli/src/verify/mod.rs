//! `consign verify`: checks a proof file offline, and tells the four answers apart.
//!
//! What is judged, and in which words, is `consign_ledger::answers`. Here are the files, the command line, and
//! `--online`: nothing is fetched from anywhere unless it asks for that.

mod online;
mod report;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use consign_ledger::answers::{self, Asked, FILE_BYTES_MAX, Unmet};
use consign_ledger::passport::{self, Flag};
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

use self::online::Fresh;
pub use self::report::Checked;
use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::instant;

/// `consign verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The proof: a passport, a .tlog-proof receipt, an event with a COSE receipt, or evidence; - reads it from standard
    /// input
    file: PathBuf,
    /// The event's exact bytes, where the receipt does not carry them
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Ask every --node whether it can prove more of the unit than the passport does. That there is nothing more counts
    /// only from a node whose checkpoint is no older than --max-age, or 10 minutes
    #[arg(long)]
    online: bool,
    /// What is asked of a passport besides.
    #[command(flatten)]
    asked: AskedArgs,
    /// The time to judge ages by; the present where absent
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    now: Option<Millis>,
}

/// What must be true of the unit besides, for `consign verify` to end well.
#[derive(Args, Clone, Debug)]
struct AskedArgs {
    /// The party that must hold the unit
    #[arg(long, value_name = "PARTY")]
    expect_holder: Option<PartyId>,
    /// What must never have happened to the unit: the passport proves that it did not
    #[arg(long, value_name = "FLAG", value_delimiter = ',', value_parser = flags())]
    not_flag: Vec<Flag>,
    /// The oldest that the passport may be: 90s, 5m, 12h, 30d
    #[arg(long, value_name = "AGE", value_parser = instant::age)]
    max_age: Option<u64>,
    /// The unit that the passport must be of
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// Of a COSE receipt: one log key's word is enough
    #[arg(long)]
    accept_log_key: bool,
}

impl From<&AskedArgs> for Asked {
    fn from(args: &AskedArgs) -> Self {
        Self {
            unit: args.unit.clone(),
            holder: args.expect_holder.clone(),
            not_flags: args.not_flag.clone(),
            max_age_s: args.max_age,
            accept_log_key: args.accept_log_key,
        }
    }
}

/// The flags by their names.
fn flags() -> impl TypedValueParser<Value = Flag> {
    let names = Flag::ALL.iter().map(|flag| flag.as_str());
    PossibleValuesParser::new(names).map(|name| name.parse().expect("only names of flags pass"))
}

/// Carries out `consign verify`.
///
/// # Errors
/// When a file cannot be read, or the proof is not verified.
pub async fn run(console: &Console, global: &Global, args: &VerifyArgs) -> Result<(), Failure> {
    let now = args.now.unwrap_or_else(instant::now);
    let trust = global.trust.as_deref().map(read_trust).transpose()?.map(|trust| trust.at(now));
    let event = args.event.as_deref().map(read).transpose()?;
    let file = read_proof(&args.file)?;
    let asked = Asked::from(&args.asked);
    let proof = answers::verify(&file, event.as_deref(), trust.as_ref(), &asked, now);
    let mut checked = Checked::from(proof);
    if let (true, true, Some(trust)) = (args.online, checked.proof.verified, &trust) {
        match passport::read(&file, trust) {
            Ok(known) => {
                let fresh = Fresh::by(now, asked.max_age_s);
                checked.online = online::ask(global, trust, &known, fresh).await;
                checked.proof.unmet.extend(online::unmet(&checked.online));
            }
            Err(_) => checked.proof.unmet.push(Unmet {
                code: "not_a_passport",
                detail: "only a passport names a unit that members can be asked for".to_owned(),
            }),
        }
    }
    console.result(&checked)?;
    checked.outcome()
}

/// Verifies the proof in the file `proof` with what the file `trust` says, by this machine's clock.
///
/// # Errors
/// When a file cannot be read, or the trust file is none.
pub fn verify_file(proof: &Path, trust: &Path) -> Result<Checked, Failure> {
    let now = instant::now();
    let trust = read_trust(trust)?.at(now);
    let file = read_proof(proof)?;
    Ok(answers::verify(&file, None, Some(&trust), &Asked::default(), now).into())
}

/// Reads a trust file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
    Trust::from_json(&text).map_err(|e| {
        let message = format!("{} is no trust file: {e}", path.display());
        Failure::new(Exit::Trust, "bad_trust", message, "ask a member for the network's trust file")
    })
}

/// A proof's bytes, from a file or from standard input. Of a file that is too large to be one, only as many as show that it is.
fn read_proof(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;

    let failed = |e| Failure::file("read", path, e);
    let file: Box<dyn std::io::Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::file("read", path, e))
}

#[cfg(test)]
mod tests;
