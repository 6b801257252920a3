//! The JSON form of an event: a view that people and scripts write, never what is signed.
//!
//! One object with the fields of the event's kind; a field that the kind does not have is refused, so
//! that a mistyped name never drops out of sight.
//!
//! ```json
//! {"type": "offer", "unit": "00/106141412345678908", "place": "414/9521321000018",
//!  "time": "2026-11-22T12:00:03Z", "basis": "<event id>", "to": "airline",
//!  "until": "2026-11-22T18:00:00Z", "terms": "<64 hex digits>"}
//! ```
//!
//! Who signs, and under which number, is added by `consign event sign`. Kinds that are
//! about keys or carry evidence (enrol, report, testimony, revoke, ...) have no JSON form: the commands that know those make them.

use std::fmt::Display;
use std::str::FromStr;

use clap::Args;
use consign_rpc::views::Base64;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Fix, Kind, Label, Reason,
    SignedEvent, Subject, Verdict, Window,
};
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use serde::{Deserialize, Serialize};

use crate::instant;

/// The fields of an event, as text. Flags of `consign event build` and keys of the JSON object alike.
#[derive(Args, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Form {
    /// Kind of event: register, offer, accept, depart, arrive, seal-apply, hold, ...
    #[arg(
        long = "type",
        value_name = "KIND",
        required_unless_present = "json",
        default_value = ""
    )]
    #[serde(rename = "type")]
    pub kind: String,
    /// Unit that it is about: 00/<SSCC>, bic/<number>, ...
    #[arg(long, value_name = "UNIT", required_unless_present = "json", default_value = "")]
    pub unit: String,
    /// Place, as a GLN: 414/<13 digits>
    #[arg(long, value_name = "PLACE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Device time; the present where absent
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// offer: event by which the custodian came to hold the unit
    #[arg(long, value_name = "EVENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// offer, book: receiving party
    #[arg(long, value_name = "PARTY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// offer: until when it stands, by block time
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// offer: salted SHA-256 of the terms
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// accept, refuse, cancel: the offer
    #[arg(long, value_name = "EVENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// lost, destroyed: party in whose hands the unit was; resolve: who holds it from then on
    #[arg(long, value_name = "PARTY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// consent: the event that proposes it
    #[arg(long, value_name = "EVENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
    /// release: the hold
    #[arg(long, value_name = "EVENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// aggregate, disaggregate: units that go in or come out
    #[arg(long, value_name = "UNIT", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// accept, readings: how many
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// accept, seal-apply, seal-verify: seal ids
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<String>,
    /// accept: sound or damaged
    #[arg(long, value_name = "CONDITION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// accept: what was wrong
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<String>,
    /// exception: what was wrong
    #[arg(long, value_name = "CODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// refuse, hold, seal-break, attempt, return, lost, destroyed, resolve: why
    #[arg(long, value_name = "REASON")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// close-excursion: sound or damaged
    #[arg(long, value_name = "VERDICT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// load, unload, depart: conveyance
    #[arg(long, value_name = "LABEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conveyance: Option<String>,
    /// exception, observe: SHA-256 of what is kept outside
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// correct: what was wrong with the original
    #[arg(long, value_name = "FIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// correct: salted SHA-256 of what is right, which is kept outside
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// correct: the bytes of the event, fetched by `consign event correct`; handover: those of the acceptance, put here
    /// by `consign event handover`
    #[arg(long, value_name = "BASE64")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// correct, where the original is an acceptance, and handover: the bytes of its offer
    #[arg(long, value_name = "BASE64")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_offer: Option<String>,
    /// readings: Merkle root over the readings
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// book, excursion: begin; readings: first value of the sensor's counter
    #[arg(long, value_name = "TIME|N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// book, excursion: end; readings: last value of the sensor's counter
    #[arg(long, value_name = "TIME|N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// book: factors, each a word; deliver: each as factor=<SHA-256 of the proof>
    #[arg(long, value_name = "FACTOR", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<String>,
}

/// Who signs an event.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The network that the event is meant for.
    pub network: NetworkId,
    /// A device, or a member.
    pub id: SignerId,
    /// Its number.
    pub sequence: u64,
    /// Missing numbers below are closed for ever.
    pub floor: u64,
}

impl Form {
    /// Checks that the form makes an event, whoever signs it.
    ///
    /// # Errors
    /// Which field is wrong, missing or too many.
    pub fn check(&self) -> Result<(), String> {
        self.clone().action().map(drop)
    }

    /// The event that this form makes when `signer` says it.
    ///
    /// # Errors
    /// Which field is wrong, missing or too many.
    pub fn event(mut self, signer: Signer) -> Result<Event, String> {
        let time = match self.time.take() {
            Some(text) => instant::parse(&text)?,
            None => return Err("field time is missing".to_owned()),
        };
        let place = may::<Place>("place", &self.place.take())?;
        let basis = may::<EventId>("basis", &self.basis.take())?;
        let (subject, action) = self.action()?;
        Ok(Event {
            network: signer.network,
            signer: signer.id,
            subject,
            sequence: signer.sequence,
            floor: signer.floor,
            time,
            place,
            basis,
            action,
        })
    }

    fn action(mut self) -> Result<(Subject, Action), String> {
        let kind: Kind = parse("type", &self.kind)?;
        let unit: UnitId = parse("unit", &self.unit)?;
        let action = self.take(kind)?;
        self.refuse_what_is_left(kind)?;
        Ok((Subject::Unit(unit), action))
    }

    /// Takes the fields of `kind` out of the form.
    fn take(&mut self, kind: Kind) -> Result<Action, String> {
        Ok(match kind {
            Kind::Register => Action::Register,
            Kind::Arrive => Action::Arrive,
            Kind::Book => Action::Book {
                receiver: need::<PartyId>("to", self.to.take())?,
                window: self.window()?,
                factors: FactorSet::of(&list("factors", std::mem::take(&mut self.factors))?),
            },
            Kind::Offer => Action::Offer {
                to: need("to", self.to.take())?,
                until: self
                    .until
                    .take()
                    .ok_or_else(|| missing("until"))
                    .and_then(|t| instant::parse(&t))?,
                terms: need::<Digest>("terms", self.terms.take())?,
            },
            Kind::Accept => Action::Accept {
                offer: need("offer", self.offer.take())?,
                count: self.count.take().ok_or_else(|| missing("count"))?,
                seals: self.seals()?,
                condition: may("condition", &self.condition.take())?.unwrap_or(Condition::Sound),
                exceptions: list::<ExceptionCode>(
                    "exceptions",
                    std::mem::take(&mut self.exceptions),
                )?,
            },
            Kind::Refuse => {
                Action::Refuse { offer: need("offer", self.offer.take())?, reason: self.reason()? }
            }
            Kind::Cancel => Action::Cancel { offer: need("offer", self.offer.take())? },
            Kind::Release => Action::Release { hold: need("hold", self.hold.take())? },
            Kind::Aggregate => Action::Aggregate { children: self.children()? },
            Kind::Disaggregate => Action::Disaggregate { children: self.children()? },
            Kind::Load => Action::Load { conveyance: need("conveyance", self.conveyance.take())? },
            Kind::Unload => {
                Action::Unload { conveyance: need("conveyance", self.conveyance.take())? }
            }
            Kind::Depart => {
                Action::Depart { conveyance: may::<Label>("conveyance", &self.conveyance.take())? }
            }
            Kind::Observe => Action::Observe { note: may("evidence", &self.evidence.take())? },
            Kind::SealApply => Action::SealApply { ids: self.seals()? },
            Kind::SealVerify => Action::SealVerify { ids: self.seals()? },
            Kind::SealBreak => Action::SealBreak { reason: self.reason()? },
            Kind::Hold => Action::Hold { reason: self.reason()? },
            Kind::Attempt => Action::Attempt { reason: self.reason()? },
            Kind::Return => Action::Return { reason: self.reason()? },
            Kind::Readings => Action::Readings {
                root: need("root", self.root.take())?,
                count: self.count.take().ok_or_else(|| missing("count"))?,
                first: need("from", self.from.take())?,
                last: need("through", self.through.take())?,
            },
            Kind::Excursion => Action::Excursion { window: self.window()? },
            Kind::CloseExcursion => {
                Action::CloseExcursion { verdict: need::<Verdict>("verdict", self.verdict.take())? }
            }
            Kind::Exception => Action::Exception {
                code: need("exception", self.exception.take())?,
                evidence: need("evidence", self.evidence.take())?,
            },
            Kind::Deliver => Action::Deliver { factors: self.shown_factors()? },
            Kind::Lost => {
                Action::Lost { holder: need("holder", self.holder.take())?, reason: self.reason()? }
            }
            Kind::Destroyed => Action::Destroyed {
                holder: need("holder", self.holder.take())?,
                reason: self.reason()?,
            },
            Kind::Found => Action::Found,
            Kind::Resolve => Action::Resolve {
                holder: need("holder", self.holder.take())?,
                reason: self.reason()?,
            },
            Kind::Consent => Action::Consent { proposal: need("proposal", self.proposal.take())? },
            Kind::Correct => self.correction()?,
            Kind::Handover => self.handover()?,
            Kind::Enrol
            | Kind::Report
            | Kind::Testimony
            | Kind::Revoke
            | Kind::Rotate
            | Kind::Propose
            | Kind::Ballot => {
                return Err(format!(
                    "an event of type {kind} is about a key or carries signatures and has no JSON form"
                ));
            }
        })
    }

    fn refuse_what_is_left(self, kind: Kind) -> Result<(), String> {
        // Those are of every kind.
        let rest = Self {
            kind: String::new(),
            unit: String::new(),
            place: None,
            time: None,
            basis: None,
            ..self
        };
        let left = serde_json::to_value(&rest).map_err(|e| e.to_string())?;
        let of_all = |name: &&String| !["type", "unit"].contains(&name.as_str());
        match left.as_object().and_then(|fields| fields.keys().find(of_all)) {
            Some(field) => Err(format!("an event of type {kind} has no field {field}")),
            None => Ok(()),
        }
    }

    fn window(&mut self) -> Result<Window, String> {
        let end = |name, field: Option<String>| -> Result<Millis, String> {
            instant::parse(&field.ok_or_else(|| missing(name))?)
        };
        let window = Window {
            from: end("from", self.from.take())?,
            to: end("through", self.through.take())?,
        };
        if window.to < window.from {
            return Err("through is before from".to_owned());
        }
        Ok(window)
    }

    fn seals(&mut self) -> Result<Vec<Label>, String> {
        list("seals", std::mem::take(&mut self.seals))
    }

    fn children(&mut self) -> Result<Vec<UnitId>, String> {
        let children = list("children", std::mem::take(&mut self.children))?;
        if children.is_empty() { Err(missing("children")) } else { Ok(children) }
    }

    fn reason(&mut self) -> Result<Reason, String> {
        need("reason", self.reason.take())
    }

    fn correction(&mut self) -> Result<Action, String> {
        let original = need("original", self.original.take())?;
        let offer = may("originalOffer", &self.original_offer.take())?;
        Ok(Action::Correct {
            original: decode("original", original)?,
            offer: offer.map(|bytes| decode("originalOffer", bytes)).transpose()?,
            fix: need::<Fix>("fix", self.fix.take())?,
            right: may("right", &self.right.take())?,
        })
    }

    fn handover(&mut self) -> Result<Action, String> {
        Ok(Action::Handover {
            offer: decode("originalOffer", need("originalOffer", self.original_offer.take())?)?,
            acceptance: decode("original", need("original", self.original.take())?)?,
        })
    }

    fn shown_factors(&mut self) -> Result<Vec<(DeliveryFactor, Digest)>, String> {
        let pair = |text: String| {
            let (factor, proof) = text
                .split_once('=')
                .ok_or_else(|| format!("factors: {text:?} is not factor=<SHA-256>"))?;
            Ok((parse("factors", factor)?, parse("factors", proof)?))
        };
        let mut factors = std::mem::take(&mut self.factors)
            .into_iter()
            .map(pair)
            .collect::<Result<Vec<_>, String>>()?;
        factors.sort_unstable();
        Ok(factors)
    }
}

fn missing(field: &str) -> String {
    format!("field {field} is missing")
}

fn decode(field: &str, bytes: Base64) -> Result<Box<SignedEvent>, String> {
    SignedEvent::decode(&bytes.0).map(Box::new).map_err(|e| format!("{field}: {e}"))
}

fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|e: T::Err| format!("{field}: {e}"))
}

fn need<T: FromStr<Err: Display>>(field: &str, text: Option<String>) -> Result<T, String> {
    text.ok_or_else(|| missing(field)).and_then(|text| parse(field, &text))
}

fn may<T: FromStr<Err: Display>>(field: &str, text: &Option<String>) -> Result<Option<T>, String> {
    text.as_deref().map(|text| parse(field, text)).transpose()
}

/// A set has one encoding: ascending, each once.
fn list<T: FromStr<Err: Display> + Ord>(field: &str, texts: Vec<String>) -> Result<Vec<T>, String> {
    let mut items =
        texts.iter().map(|text| parse(field, text)).collect::<Result<Vec<T>, String>>()?;
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::key::SecretKey;

    fn signer() -> Signer {
        let network = NetworkId(Digest::of(&[b"net"]));
        Signer { network, id: "handler.dock7".parse().unwrap(), sequence: 1, floor: 0 }
    }

    fn event(json: &str) -> Result<Event, String> {
        serde_json::from_str::<Form>(json).map_err(|e| e.to_string())?.event(signer())
    }

    #[test]
    fn a_form_makes_an_event_that_has_one_encoding() {
        let id = "ab".repeat(32);
        for fields in [
            r#""type":"register""#.to_owned(),
            format!(r#""type":"offer","to":"airline","until":"9","terms":"{id}","basis":"{id}""#),
            format!(r#""type":"accept","offer":"{id}","count":1,"seals":["B","A"]"#),
            r#""type":"aggregate","children":["bic/TOLU4734787","bic/CSQU3054383"]"#.to_owned(),
            r#""type":"depart","conveyance":"XY123""#.to_owned(),
            r#""type":"hold","reason":"customs""#.to_owned(),
            format!(r#""type":"readings","root":"{id}","count":3,"from":"1","through":"3""#),
            format!(r#""type":"deliver","factors":["photo={id}","signature={id}"]"#),
            r#""type":"book","to":"airline","from":"1","through":"2","factors":["photo"]"#
                .to_owned(),
        ] {
            let json = format!(r#"{{"unit":"00/106141412345678908","time":"5",{fields}}}"#);
            let event = event(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
            let signed = SignedEvent::sign(event, &SecretKey::from_seed([7; 32]));
            assert_eq!(SignedEvent::decode(signed.bytes()), Ok(signed));
        }
    }

    #[test]
    fn a_correction_carries_the_event_that_it_is_about() {
        let key = SecretKey::from_seed([7; 32]);
        let json = r#"{"unit":"00/106141412345678908","time":"5","type":"observe"}"#;
        let original = Box::new(SignedEvent::sign(event(json).unwrap(), &key));
        let bytes = Base64(original.bytes().to_vec());
        let json = format!(
            r#"{{"unit":"00/106141412345678908","time":"6","type":"correct","fix":"place","original":"{bytes}"}}"#
        );
        let corrected = Action::Correct { original, offer: None, fix: Fix::Place, right: None };
        assert_eq!(event(&json).map(|event| event.action), Ok(corrected));
    }

    #[test]
    fn a_form_that_makes_no_event_says_which_field() {
        for (fields, why) in [
            (r#""type":"regster""#, "type: \"regster\" is not a kind of event"),
            (r#""type":"register","to":"airline""#, "an event of type register has no field to"),
            (r#""type":"offer","to":"airline""#, "field until is missing"),
            (r#""type":"hold","reason":"why""#, "reason: \"why\" is not a Reason"),
            (r#""type":"excursion","from":"2","through":"1""#, "through is before from"),
            (r#""type":"aggregate""#, "field children is missing"),
        ] {
            let json = format!(r#"{{"unit":"00/106141412345678908","time":"5",{fields}}}"#);
            assert_eq!(event(&json), Err(why.to_owned()));
        }
        assert!(event(r#"{"type":"register","unt":"x"}"#).unwrap_err().contains("unknown field"));
    }
}
