//! `consign key verify`: signatures of a device's own library, judged as a node judges them.

use std::fs;
use std::io::Read;
use std::path::Path;

use consign_types::signature_line::judge_lines;
use serde::Serialize;

use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};

/// Bytes of a file of signatures to check.
const LINES_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    holds: usize,
    refused: usize,
    verdicts: Vec<String>,
}

impl Report for Judged {
    fn text(&self) -> String {
        self.verdicts.join("\n")
    }
}

/// Carries it out.
///
/// # Errors
/// When the file cannot be read, a line says nothing, or a signature is refused.
pub fn verify(console: &Console, path: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    let failed = |e| Failure::file("read", path, e);
    let mut from: Box<dyn Read> = match path.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(std::io::stdin()),
        _ => Box::new(fs::File::open(path).map_err(failed)?),
    };
    (&mut from).take(LINES_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LINES_BYTES_MAX {
        let message = format!("{} has more than {LINES_BYTES_MAX} bytes", path.display());
        return Err(Failure::usage("bad_lines", message, "split the file"));
    }
    let bad = |why| Failure::usage("bad_lines", why, "see docs/operating/devices.md");
    let verdicts = judge_lines(&text).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    if verdicts.is_empty() {
        return Err(bad("there is no line".to_owned()));
    }
    let holds = verdicts.iter().filter(|verdict| verdict.holds()).count();
    let refused = verdicts.len() - holds;
    let verdicts = verdicts.iter().map(ToString::to_string).collect();
    console.result(&Judged { holds, refused, verdicts })?;
    if refused == 0 {
        return Ok(());
    }
    let message = format!("{refused} of {} signatures are refused", holds + refused);
    let help = "the lines above say why; a node would refuse events that are signed so";
    Err(Failure::new(Exit::Integrity, "signature_refused", message, help))
}
