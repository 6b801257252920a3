//! A member at work: what it signs under its own key, and under which number.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use consign_rpc::params::GetDevice;
use consign_rpc::views::{DeviceView, EventStatus};
use consign_types::digest::NetworkId;
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};

use crate::args::Global;
use crate::console::Console;
use crate::event::{self, Stage};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys::{self, Purpose};
use crate::node::{Node, within};

/// Flags of whatever a member signs.
#[derive(Args, Clone, Debug)]
pub struct MemberArgs {
    /// Key file of the member
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Number of the event among the member's; the node is asked where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sequence: Option<u64>,
    /// Write the signed event here, and send nothing
    #[arg(long, value_name = "FILE", requires = "sequence")]
    pub out: Option<PathBuf>,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Stage::Proven)]
    pub wait: Stage,
}

/// A member with its key.
pub struct Member {
    /// The member.
    pub party: PartyId,
    /// Where it signs.
    pub network: NetworkId,
    key: SecretKey,
}

impl Member {
    /// The member whose key lies in the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(party: PartyId, network: NetworkId, key: &Path) -> Result<Self, Failure> {
        Ok(Self::with(party, network, keys::read(key, Purpose::Member)?))
    }

    /// The member whose key is at hand.
    pub const fn with(party: PartyId, network: NetworkId, key: SecretKey) -> Self {
        Self { party, network, key }
    }

    /// Signs `action` about a subject.
    pub fn sign(&self, subject: Subject, action: Action, sequence: u64) -> SignedEvent {
        let event = Event {
            network: self.network,
            signer: SignerId::member(self.party.clone()),
            subject,
            sequence,
            floor: 0,
            time: instant::now(),
            place: None,
            basis: None,
            action,
        };
        SignedEvent::sign(event, &self.key)
    }

    /// The lowest number that the member never used, as a node knows it.
    ///
    /// # Errors
    /// When the node does not know the member, or knows it under another key.
    pub async fn next_number(&self, global: &Global, node: &Node) -> Result<u64, Failure> {
        let view = known(global, node, &self.party).await?;
        if view.key.0 != self.key.public().into() {
            return Err(wrong_key(&self.party, &view));
        }
        Ok(view.next_sequence)
    }
}

/// A member as a node knows it.
///
/// # Errors
/// When the node does not answer, or knows no such member.
pub async fn known(global: &Global, node: &Node, party: &PartyId) -> Result<DeviceView, Failure> {
    let own = SignerId::member(party.clone());
    look_up(global, node, &own).await?.ok_or_else(|| {
        let message = format!("{party} is no member of this network");
        Failure::new(Exit::Refused, "unknown_party", message, "see `consign gov members`")
    })
}

/// The key at hand is not that under which `party` is known.
pub fn wrong_key(party: &PartyId, known: &DeviceView) -> Failure {
    let message = format!("the key file is not that of {party}");
    let help = format!("its key has the public half {}", known.key);
    Failure::new(Exit::Refused, "wrong_key", message, help)
}

/// A device as a node knows it; none where it is not enrolled.
///
/// # Errors
/// When the node does not answer.
pub async fn look_up(
    global: &Global,
    node: &Node,
    device: &SignerId,
) -> Result<Option<DeviceView>, Failure> {
    let call = node.call(GetDevice { device_id: device.clone().into() });
    match within(global.patience(), call).await {
        Ok(view) => Ok(Some(view)),
        Err(failure) if failure.code == "not_found" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Signs `action` as a member, and sends it or writes it down.
///
/// # Errors
/// When the key, the node or a rule says no.
pub async fn say(
    console: &Console,
    global: &Global,
    args: &MemberArgs,
    party: &PartyId,
    subject: Subject,
    action: Action,
) -> Result<Option<EventStatus>, Failure> {
    if let (Some(out), Some(sequence)) = (&args.out, args.sequence) {
        let network = event::network_of(global).await?;
        let member = Member::new(party.clone(), network, &args.key)?;
        let signed = member.sign(subject, action, sequence);
        fs::write(out, signed.bytes()).map_err(|e| Failure::file("write", out, e))?;
        console.note(format!(
            "wrote {0}; next: consign event submit {0} --wait proven",
            out.display()
        ));
        return Ok(None);
    }
    let node = Node::first(global).await?;
    let network = event::network_at(global, &node).await?;
    let member = Member::new(party.clone(), network, &args.key)?;
    let sequence = match args.sequence {
        Some(sequence) => sequence,
        None => member.next_number(global, &node).await?,
    };
    let signed = member.sign(subject, action, sequence);
    event::bring(console, global, &node, &signed, args.wait).await.map(Some)
}
