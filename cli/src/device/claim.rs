//! `consign device claim`: a member enrols the device that a claim is of.

use clap::Args;
use consign_rpc::views::{DeviceStatus, DeviceView, EventStatus};
use consign_types::causes::on_one_line;
use consign_types::claim::Claim;
use consign_types::digest::encode_hex;
use consign_types::event::{Action, Subject};
use consign_types::key::Signature;
use consign_types::party::PartyId;
use consign_types::signer_key::SignerKey;
use serde::Serialize;

use super::scope::{Scope, ScopeArgs};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::{self, progress};
use crate::failure::{Exit, Failure};
use crate::member::{self, MemberArgs};
use crate::node::Node;

/// `consign device claim`.
#[derive(Args, Debug)]
pub struct ClaimArgs {
    /// What `consign device new` printed
    claim: String,
    /// The member that enrols it; the claim names it where absent
    #[arg(long = "as", value_name = "PARTY")]
    party: Option<PartyId>,
    #[command(flatten)]
    member: MemberArgs,
    #[command(flatten)]
    scope: ScopeArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    device: String,
    key_id: String,
    kinds: Vec<String>,
    /// Whether it was before.
    already: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<EventStatus>,
}

impl Report for Enrolled {
    fn text(&self) -> String {
        let how = match &self.status {
            Some(status) => progress(status),
            None if self.already => "it was enrolled before, the same way".to_owned(),
            None => "signed and not sent".to_owned(),
        };
        format!(
            "{} under key {}, for {}\n{how}\nrevoke it: consign device revoke {0} --key MEMBERKEY",
            self.device,
            self.key_id,
            self.kinds.join(", "),
        )
    }
}

/// Carries it out.
///
/// # Errors
/// When the claim is none, or the node says no.
pub async fn run(console: &Console, global: &Global, args: ClaimArgs) -> Result<(), Failure> {
    let claim: Claim = args.claim.trim().parse().map_err(|e| {
        let help = "ask for the whole string that `consign device new` printed";
        Failure::new(Exit::Refused, "bad_claim", on_one_line(&e), help)
    })?;
    let party = claim.device().party().clone();
    if let Some(other) = args.party.filter(|named| *named != party) {
        let message =
            format!("the claim is of {}, which {other} does not answer for", claim.device());
        let help = "have the device claim a name of yours: `consign device new --party`";
        return Err(Failure::new(Exit::Refused, "foreign_device", message, help));
    }
    let scope = args.scope.scope(claim.class()).map_err(|bad| {
        let help = "see `consign device claim --help`";
        Failure::usage("bad_scope", format!("{}: {}", bad.list, bad.why), help)
    })?;
    let mut enrolled = Enrolled {
        device: claim.device().to_string(),
        key_id: encode_hex(&claim.key().key_id()),
        kinds: scope.kinds.iter().map(|kind| kind.to_string()).collect(),
        already: false,
        status: None,
    };
    if args.member.out.is_none() {
        let node = Node::first(global).await?;
        let network = event::network_at(global, &node).await?;
        if claim.network() != network {
            let message =
                format!("the claim is for network {}, not for {network}", claim.network());
            let help = "have the device made for this network, or name a node of the other";
            return Err(Failure::new(Exit::Refused, "foreign_network", message, help));
        }
        if let Some(known) = member::look_up(global, &node, claim.device()).await? {
            differs(&known, claim.key(), &scope).map_or(Ok(()), Err)?;
            enrolled.already = true;
            return console.result(&enrolled);
        }
    }
    let subject = Subject::Signer(claim.device().clone());
    let action = enrolment(claim.key(), claim.possession(), scope);
    enrolled.status = member::say(console, global, &args.member, &party, subject, action).await?;
    console.result(&enrolled)
}

/// The enrolment of a device with this key.
pub fn enrolment(key: SignerKey, possession: Signature, scope: Scope) -> Action {
    let Scope { kinds, places, classes, until } = scope;
    Action::Enrol { key, possession, kinds, places, classes, until }
}

/// How a device that is enrolled differs from what it is to be; none where it does not.
pub fn differs(known: &DeviceView, key: SignerKey, scope: &Scope) -> Option<Failure> {
    let device = &known.device;
    let why = if !matches!(known.status, DeviceStatus::Active) {
        format!("{device} was enrolled before, and is stopped")
    } else if known.key.0 != key {
        format!("{device} is enrolled already, under key {}", known.key_id)
    } else if !same_scope(known, scope) {
        format!(
            "{device} is enrolled already, for other kinds, places or units, or with another end"
        )
    } else {
        return None;
    };
    let help = "an enrolment does not change: revoke the device, and enrol it under another name";
    Some(Failure::new(Exit::Refused, "device_known", why, help))
}

fn same_scope(known: &DeviceView, scope: &Scope) -> bool {
    let kinds = known.kinds.iter().map(|kind| kind.0).eq(scope.kinds.iter());
    let places = known.places.iter().map(|place| &place.0).eq(&scope.places);
    let classes = known.classes.iter().map(String::as_str);
    let until = known.until.as_ref().map(|until| until.ms) == scope.until.map(|until| until.0);
    kinds && places && until && classes.eq(scope.classes.iter().map(|class| class.prefix()))
}
