//! `consign device revoke` and `testimony`: what a member does about a device that is stopped.

use std::path::PathBuf;

use clap::Args;
use consign_rpc::views::EventStatus;
use consign_types::causes::on_one_line;
use consign_types::event::{Action, SignedEvent, Subject};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::{self, progress};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::member::{self, MemberArgs};

/// `consign device revoke`.
#[derive(Args, Debug)]
pub struct RevokeArgs {
    /// The device: handler.dock7
    device: SignerId,
    /// Since when somebody else may have had the key: 2026-11-22T12:00:03Z
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    suspected_since: Option<Millis>,
    #[command(flatten)]
    member: MemberArgs,
}

/// `consign device testimony`.
#[derive(Args, Debug)]
pub struct TestimonyArgs {
    /// What the device signed; - for standard input
    file: PathBuf,
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<EventStatus>,
    #[serde(skip)]
    what: String,
}

impl Report for Said {
    fn text(&self) -> String {
        let how = self.status.as_ref().map_or_else(|| "signed and not sent".to_owned(), progress);
        format!("{}\n{how}", self.what)
    }
}

/// Revokes a device.
///
/// # Errors
/// When the node or a rule says no.
pub async fn revoke(console: &Console, global: &Global, args: RevokeArgs) -> Result<(), Failure> {
    let RevokeArgs { device, suspected_since, member } = args;
    if device.is_member() {
        let message = format!("{device} is a member, not a device");
        return Err(Failure::usage("bad_device", message, "name a device, as member.label"));
    }
    let (party, subject) = (device.party().clone(), Subject::Signer(device.clone()));
    let action = Action::Revoke { suspected_since };
    let status = member::say(console, global, &member, &party, subject, action).await?;
    let what = format!(
        "{device} is revoked for ever: nothing that it signed and that comes after this applies\n\
         what it signed before and did not send: consign device testimony FILE --key MEMBERKEY"
    );
    console.result(&Said { device: device.to_string(), status, what })
}

/// Files what a stopped device signed.
///
/// # Errors
/// When the bytes are no event, or the node or a rule says no.
pub async fn testimony(
    console: &Console,
    global: &Global,
    args: TestimonyArgs,
) -> Result<(), Failure> {
    let bytes = event::read(&args.file)?;
    let testified = SignedEvent::decode_submitted(&bytes).map_err(|e| {
        let help = "file the exact bytes that the device signed; nothing was sent";
        Failure::new(Exit::Refused, "malformed_event", on_one_line(&e), help)
    })?;
    let said = testified.event();
    let (device, subject) = (said.signer.clone(), said.subject.clone());
    let what =
        format!("what {device} said under number {} of {subject} is on record", said.sequence);
    let action = Action::Testimony { event: Box::new(testified) };
    let party = device.party();
    let status = member::say(console, global, &args.member, party, subject, action).await?;
    console.result(&Said { device: device.to_string(), status, what })
}
