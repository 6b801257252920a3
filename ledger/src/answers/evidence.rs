//! Evidence: who misbehaved, and by what signatures of its own.

use alloc::string::ToString as _;
use alloc::{borrow::ToOwned as _, format};

use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::trust::Trust;

use super::{Answer, Verdict, Verification, assembled, broken, untrusted};
use crate::evidence::{self, Believed, Evidence, Why};

/// How every evidence file begins: an array of five items, the first of them the name of the format.
pub(super) const BEGINNING: &[u8] = b"\x85\x73consign/evidence/v1";

/// Verifies the evidence in `bytes`.
pub(super) fn verify(bytes: &[u8], trust: Option<&Trust>) -> Verification {
    let file = match Evidence::from_bytes(bytes) {
        Ok(file) => file,
        Err(error) => return broken("evidence", on_one_line(&error)),
    };
    let subject = format!("evidence of {}, {}", file.case.kind(), file.id());
    let Some(trust) = trust else {
        return untrusted(&subject, "no trust file says whose keys these are".to_owned());
    };
    match evidence::verify(&file, Believed::from(trust)) {
        Ok(accused) => {
            let integrity =
                Answer::new(Verdict::Ok, "both statements are signed, and contradict each other");
            let believed =
                Answer::new(Verdict::Ok, "the keys are those that the trust file leads to");
            let completeness = Answer::new(
                Verdict::Bounded,
                "one deed; nothing is said of what else was done, or why",
            );
            let time =
                Answer::new(Verdict::NotEstablished, "when it was done is the signers' own word");
            Verification {
                accused: accused.iter().map(|accused| accused.to_string()).collect(),
                completeness,
                ..assembled(subject.clone(), integrity, believed, time)
            }
        }
        Err(error) if matches!(error.why, Why::Network | Why::Origin | Why::SetLink(_)) => {
            untrusted(&subject, on_one_line(&error))
        }
        Err(error) => broken(&subject, on_one_line(&error)),
    }
}
