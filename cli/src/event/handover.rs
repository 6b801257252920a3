//! `consign event handover`: the offer and the acceptance that two devices signed without a network, as one event.
//!
//! Whoever is online first brings both: it signs the event around them, and need be neither of the two.

use std::path::{Path, PathBuf};

use clap::Args;
use consign_rpc::views::Base64;
use consign_types::causes::on_one_line;
use consign_types::event::{Action, SignedEvent};

use super::form::Form;
use super::{Built, bad_form, read};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::instant;

/// `consign event handover`.
#[derive(Args, Debug)]
pub struct HandoverArgs {
    /// The signed offer, as the giver's device wrote it
    offer: PathBuf,
    /// The signed acceptance, as the taker's device wrote it
    acceptance: PathBuf,
}

/// Prints the event to sign.
///
/// # Errors
/// When the two files do not belong together.
pub(super) fn run(console: &Console, args: &HandoverArgs) -> Result<(), Failure> {
    let (offer, acceptance) = (signed(&args.offer)?, signed(&args.acceptance)?);
    belong_together(&offer, &acceptance).map_err(bad_handover)?;
    let base64 = |event: &SignedEvent| Some(Base64(event.bytes().to_vec()).to_string());
    let form = Form {
        kind: "handover".to_owned(),
        unit: offer.event().subject.to_string(),
        time: Some(instant::now().to_string()),
        original: base64(&acceptance),
        original_offer: base64(&offer),
        ..Form::default()
    };
    form.check().map_err(bad_form)?;
    console.result(&Built(form))
}

fn signed(path: &Path) -> Result<SignedEvent, Failure> {
    SignedEvent::decode(&read(path)?).map_err(|e| {
        let message = format!("{} holds no signed event: {}", path.display(), on_one_line(&e));
        let help = "name the file that `consign event sign --out` or the device wrote";
        Failure::new(Exit::Refused, "malformed_event", message, help)
    })
}

/// As far as the two alone tell; the ledger says the rest.
fn belong_together(offer: &SignedEvent, acceptance: &SignedEvent) -> Result<(), String> {
    let Action::Offer { to, .. } = &offer.event().action else {
        let kind = offer.event().action.kind();
        return Err(format!("the first file is of type {kind}, not an offer"));
    };
    let Action::Accept { offer: accepted, .. } = &acceptance.event().action else {
        let kind = acceptance.event().action.kind();
        return Err(format!("the second file is of type {kind}, not an acceptance"));
    };
    if *accepted != offer.id() {
        return Err(format!(
            "the acceptance is of offer {accepted}, and the offer is {}",
            offer.id()
        ));
    }
    if acceptance.event().subject != offer.event().subject {
        let (of, about) = (&offer.event().subject, &acceptance.event().subject);
        return Err(format!("the offer is of {of}, and the acceptance is about {about}"));
    }
    let taker = acceptance.event().signer.party();
    if to != taker {
        return Err(format!("the offer is to {to}, and {taker} accepted it"));
    }
    Ok(())
}

fn bad_handover(why: String) -> Failure {
    let help = "name the offer first, and then the acceptance that its receiver signed";
    Failure::usage("handover_mismatch", why, help)
}

#[cfg(test)]
mod tests {
    use consign_types::digest::{Digest, NetworkId};
    use consign_types::key::SecretKey;

    use super::super::form::Signer;
    use super::*;

    fn said(device: &str, json: &str) -> SignedEvent {
        let network = NetworkId(Digest::of(&[b"net"]));
        let signer = Signer { network, id: device.parse().unwrap(), sequence: 1, floor: 0 };
        let form: Form = serde_json::from_str(json).unwrap();
        SignedEvent::sign(form.event(signer).unwrap(), &SecretKey::from_seed([7; 32]))
    }

    fn offer(unit: &str) -> SignedEvent {
        let id = "ab".repeat(32);
        let fields = format!(r#""to":"airline","until":"9","terms":"{id}","basis":"{id}""#);
        said("handler.dock7", &format!(r#"{{"type":"offer","unit":"{unit}","time":"5",{fields}}}"#))
    }

    fn acceptance(by: &str, unit: &str, offer: &SignedEvent) -> SignedEvent {
        let fields = format!(r#""offer":"{}","count":1"#, offer.id());
        said(by, &format!(r#"{{"type":"accept","unit":"{unit}","time":"6",{fields}}}"#))
    }

    #[test]
    fn an_offer_and_its_acceptance_make_one_event() {
        let [box1, box2] = ["trk/handler/BOX-1", "trk/handler/BOX-2"];
        let offered = offer(box1);
        let accepted = acceptance("airline.dock1", box1, &offered);
        assert_eq!(belong_together(&offered, &accepted), Ok(()));

        let other = offer(box2);
        for (offer, acceptance, why) in [
            (&accepted, &offered, "the first file is of type accept, not an offer".to_owned()),
            (&offered, &offered, "the second file is of type offer, not an acceptance".to_owned()),
            (
                &other,
                &accepted,
                format!(
                    "the acceptance is of offer {}, and the offer is {}",
                    offered.id(),
                    other.id()
                ),
            ),
            (
                &offered,
                &acceptance("airline.dock1", box2, &offered),
                format!("the offer is of {box1}, and the acceptance is about {box2}"),
            ),
            (
                &offered,
                &acceptance("customs.gate", box1, &offered),
                "the offer is to airline, and customs accepted it".to_owned(),
            ),
        ] {
            assert_eq!(belong_together(offer, acceptance), Err(why));
        }
    }
}
