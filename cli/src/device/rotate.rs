//! `consign device rotate`: to a new key, while the device goes on signing.
//!
//! The new key and the signed rotation are on disk before anything is sent, and the key before stays the
//! device's key until the rotation is proven; running the command again after a crash goes on.

use std::path::PathBuf;

use clap::Args;
use consign_rpc::views::EventStatus;
use consign_types::digest::encode_hex;
use consign_types::signer_key::Algorithm;
use serde::Serialize;

use super::book::Book;
use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::{self, Stage, progress};
use crate::failure::Failure;
use crate::node::Node;

/// What no later block takes back: the rotation is void.
const VOID: [&str; 5] =
    ["sequence_used", "first_number_taken", "too_many_keys", "revoked_key", "suspended_key"];

/// `consign device rotate`.
#[derive(Args, Debug)]
pub struct RotateArgs {
    /// The device's directory, as `consign device new` made it
    dir: PathBuf,
    /// How the new key signs: ed25519 or p256; as the present one where absent
    #[arg(long, value_name = "ALGORITHM")]
    algorithm: Option<Algorithm>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rotated {
    device: String,
    key_id: String,
    first: u64,
    status: EventStatus,
}

impl Report for Rotated {
    fn text(&self) -> String {
        let Self { device, key_id, first, status } = self;
        format!("{device} signs under key {key_id} from number {first} on\n{}", progress(status))
    }
}

/// Carries it out.
///
/// # Errors
/// When a file, the node or a rule says no.
pub async fn run(console: &Console, global: &Global, args: RotateArgs) -> Result<(), Failure> {
    // The directory is not held while the network decides: the device goes on signing.
    let (device, network, first, rotation) = {
        let mut book = Book::open(&args.dir)?;
        let rotation = book.begin_rotation(args.algorithm)?;
        (book.id()?, book.network()?, book.rotates_at().unwrap_or_default(), rotation)
    };
    let node = Node::first(global).await?;
    let found = event::network_at(global, &node).await?;
    if found != network {
        let message = format!("{device} is of network {network}, not of {found}");
        return Err(Failure::usage("foreign_network", message, "name a node of its network"));
    }
    console.note(format!("{device} rotates; it may go on signing below number {first}"));
    let status = match event::bring(console, global, &node, &rotation, Stage::Proven).await {
        Ok(status) => status,
        Err(failure) => {
            if VOID.contains(&failure.code.as_str()) {
                Book::open(&args.dir)?.drop_rotation()?;
            }
            return Err(failure);
        }
    };
    let mut book = Book::open(&args.dir)?;
    book.finish_rotation()?;
    let key_id = encode_hex(&book.key()?.public().key_id());
    console.result(&Rotated { device: device.to_string(), key_id, first, status })
}
