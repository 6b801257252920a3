//! `consign event sign`: the one event that a device says, as bytes.
//!
//! A key in a file signs here. One in hardware is asked in two steps: what it has to sign is written to a file, and the
//! signature that it made is brought back.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use consign_types::digest::NetworkId;
use consign_types::event::SignedEvent;
use consign_types::key::Signature;
use consign_types::party::SignerId;
use consign_types::signer_key::SignerKey;
use serde::Serialize;

use super::form::Signer;
use super::{bad_form, network_of, parse_form, read};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::device::book::Book;
use crate::failure::{Exit, Failure};
use crate::keys;

/// `consign event sign`.
#[derive(Args, Debug)]
pub struct SignArgs {
    /// What `event build` printed; - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Directory of the device, as `consign device new` made it: its key, its name and its next number
    #[arg(long, value_name = "DIR", conflicts_with_all = ["key", "public_key", "device", "sequence", "network"])]
    dir: Option<PathBuf>,
    /// Key file of the device, or of the member where --device names one
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dir", "public_key"])]
    key: Option<PathBuf>,
    /// Public half of a key that is in hardware: 64 hexadecimal digits of Ed25519, or 130 of an uncompressed point on P-256
    #[arg(long, value_name = "HEX", conflicts_with = "key")]
    public_key: Option<SignerKey>,
    /// Write what that key has to sign to this file, and no event
    #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with_all = ["signature", "out"])]
    to_sign: Option<PathBuf>,
    /// What that key made of it, 128 hexadecimal digits: for P-256 r and s
    #[arg(long, value_name = "HEX", requires = "public_key")]
    signature: Option<Signature>,
    /// Who signs: handler.dock7
    #[arg(long, value_name = "DEVICE", required_unless_present = "dir")]
    device: Option<SignerId>,
    /// Number of this event among the device's, from 1; each is used once
    #[arg(long, value_name = "N", required_unless_present = "dir", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
    /// Numbers below this that are still missing are closed for ever: at most the event's own number
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u64,
    /// Network that the event is meant for; else that of the trust file, or of the node
    #[arg(long, value_name = "HEX")]
    network: Option<NetworkId>,
    /// File to write; standard output where absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    event_id: String,
    leaf_hash: String,
    bytes: usize,
    file: PathBuf,
}

impl Report for Signed {
    fn text(&self) -> String {
        let file = self.file.display();
        format!(
            "event {}\nwrote {file}; next: consign event submit {file} --wait proven",
            self.event_id
        )
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    bytes: usize,
    file: PathBuf,
}

impl Report for Asked {
    fn text(&self) -> String {
        format!(
            "wrote {}; next: have the key sign its {} bytes, and give the same command --signature in the place of --to-sign",
            self.file.display(),
            self.bytes
        )
    }
}

pub(super) async fn run(console: &Console, global: &Global, args: SignArgs) -> Result<(), Failure> {
    let form = parse_form(&read(&args.file)?)?;
    if let Some(dir) = &args.dir {
        let signed = Book::open(dir)?.sign(|id, network, sequence, floor| {
            let floor = floor.max(args.floor);
            need_floor(floor, sequence)?;
            form.event(Signer { network, id, sequence, floor }).map_err(bad_form)
        })?;
        return write(console, args.out, &signed);
    }
    let (Some(id), Some(sequence)) = (args.device, args.sequence) else {
        return Err(bad_form("nobody is named who signs".to_owned()));
    };
    need_floor(args.floor, sequence)?;
    // A passphrase that is wrong is said before a node is asked.
    let key = args.key.as_deref().map(|path| keys::read_signer(path, &id)).transpose()?;
    let network = match args.network {
        Some(network) => network,
        None => network_of(global).await?,
    };
    let event =
        form.event(Signer { network, id, sequence, floor: args.floor }).map_err(bad_form)?;
    let signed = match (key, args.public_key, args.to_sign, args.signature) {
        (Some(key), ..) => SignedEvent::sign(event, &key),
        (None, Some(public), Some(file), _) => {
            let message = SignedEvent::to_sign(&event, &public);
            fs::write(&file, &message).map_err(|e| Failure::file("write", &file, e))?;
            return console.result(&Asked { bytes: message.len(), file });
        }
        (None, Some(public), None, Some(signature)) => {
            SignedEvent::signed_elsewhere(event, &public, signature).map_err(|_| not_its_own())?
        }
        (None, ..) => {
            let help = "with --public-key give --to-sign FILE first, and then --signature HEX";
            return Err(Failure::usage("bad_event", "nothing is named that signs", help));
        }
    };
    write(console, args.out, &signed)
}

/// Checked before the number is used up: the ledger refuses it.
fn need_floor(floor: u64, sequence: u64) -> Result<(), Failure> {
    if floor <= sequence {
        return Ok(());
    }
    let why = format!("the floor {floor} is above the event's own number {sequence}");
    Err(Failure::usage(
        "bad_event",
        why,
        format!("--floor {sequence} closes all numbers below this event"),
    ))
}

fn not_its_own() -> Failure {
    let message = "the signature does not hold under that key over this event";
    let help = "have the key sign what --to-sign wrote for the same file, device, number and network; \
                hash it with SHA-256 for P-256, and not at all for Ed25519";
    Failure::new(Exit::Refused, "bad_signature", message, help)
}

fn write(console: &Console, out: Option<PathBuf>, signed: &SignedEvent) -> Result<(), Failure> {
    // What cannot be read back would be refused everywhere; better here.
    SignedEvent::decode(signed.bytes()).map_err(|e| bad_form(e.to_string()))?;
    let Some(out) = out else { return console.data(signed.bytes()) };
    fs::write(&out, signed.bytes()).map_err(|e| Failure::file("write", &out, e))?;
    console.result(&Signed {
        event_id: signed.id().to_string(),
        leaf_hash: signed.leaf_hash().to_string(),
        bytes: signed.bytes().len(),
        file: out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_at_most_the_events_own_number() {
        assert_eq!([need_floor(0, 1), need_floor(7, 7)], [Ok(()), Ok(())]);
        let failure = need_floor(8, 7).unwrap_err();
        assert_eq!(failure.help, "--floor 7 closes all numbers below this event");
    }
}
