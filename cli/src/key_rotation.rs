//! `consign key rotate`: a member's own key gives way to another one, by an event that both sign.
//!
//! The new key lies beside the present one before anything is sent, and takes its place when the rotation is
//! proven. Running the command again after a crash goes on.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use consign_rpc::views::EventStatus;
use consign_types::digest::encode_hex;
use consign_types::event::{Action, SignedEvent, Subject, possession_message};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::durable;
use crate::event::{self, Stage, progress};
use crate::failure::{Exit, Failure};
use crate::keys::{self, Purpose};
use crate::member::{Member, known, wrong_key};
use crate::node::Node;

/// `consign key rotate`.
#[derive(Args, Debug)]
pub struct RotateArgs {
    /// The member's key file; the new key takes its place, under the same passphrase
    file: PathBuf,
    /// Whose key it is
    #[arg(long = "as", value_name = "PARTY")]
    party: PartyId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rotated {
    party: String,
    key_id: String,
    file: PathBuf,
    before: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<EventStatus>,
}

impl Report for Rotated {
    fn text(&self) -> String {
        let how = self.status.as_ref().map_or_else(
            || "it was proven before; the files have changed places now".to_owned(),
            progress,
        );
        format!(
            "{} speaks under key {}, in {}\nthe key before lies in {}: destroy it once nothing by it is under way\n{how}",
            self.party,
            self.key_id,
            self.file.display(),
            self.before.display()
        )
    }
}

/// Carries it out.
///
/// # Errors
/// When a file, the node or a rule says no.
pub async fn run(console: &Console, global: &Global, args: RotateArgs) -> Result<(), Failure> {
    refuse_other_purposes(&args.file)?;
    let (next, before) = (beside(&args.file, "next"), beside(&args.file, "before"));
    // With a new key beside it, it is what a crash between the last two steps left.
    if before.exists() && !next.exists() {
        let message = format!("{} is in the way", before.display());
        let help = "it is the key before the present one: destroy it, or move it away";
        return Err(Failure::new(Exit::Refused, "key_exists", message, help));
    }
    let (present, passphrase) = keys::read_opened(&args.file, Purpose::Member)?;
    let new = if next.exists() {
        keys::read_opened(&next, Purpose::Member)?.0
    } else {
        let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
        keys::create_under(&next, Purpose::Member, passphrase)?
    };
    let node = Node::first(global).await?;
    let known = known(global, &node, &args.party).await?;
    let status = if known.key.0 == new.public().into() {
        None
    } else if known.key.0 == present.public().into() {
        let network = event::network_at(global, &node).await?;
        let member = Member::with(args.party.clone(), network, present);
        let rotation = rotation(&member, known.next_sequence, &new);
        Some(event::bring(console, global, &node, &rotation, Stage::Proven).await?)
    } else {
        return Err(wrong_key(&args.party, &known));
    };
    if !before.exists() {
        fs::hard_link(&args.file, &before).map_err(|e| Failure::file("keep", &args.file, e))?;
    }
    durable::rename(&next, &args.file)?;
    console.result(&Rotated {
        party: args.party.to_string(),
        key_id: encode_hex(&new.public().key_id()),
        file: args.file,
        before,
        status,
    })
}

fn rotation(member: &Member, sequence: u64, new: &SecretKey) -> SignedEvent {
    let subject = Subject::Signer(SignerId::member(member.party.clone()));
    let key = new.public().into();
    let possession = new.sign(&possession_message(member.network, &subject, &key));
    member.sign(subject, Action::Rotate { key, possession, first: sequence + 1 }, sequence)
}

fn refuse_other_purposes(path: &Path) -> Result<(), Failure> {
    let purpose = keys::purpose_of(path)?;
    let help = match purpose.as_str() {
        "member" => return Ok(()),
        "device" | "device-p256" => {
            "a device rotates in its own directory: consign device rotate DIR"
        }
        "log" | "consensus" | "cosigner" | "network" => {
            "keys of a node: consign node rekey --home DIR --party PARTY --replace PURPOSE"
        }
        _ => "make another: consign key new --purpose receipt, and name it in consignd.toml",
    };
    let message = format!("{} is a {purpose} key, and not a member's own", path.display());
    Err(Failure::usage("key_purpose", message, help))
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}
