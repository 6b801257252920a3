//! `consign gov approve` and `reject`: a vote on what the proposal itself says.
//!
//! Invariant: what is shown and signed is read from the bytes that the vote names by their hash. A node may say
//! whatever it likes about them: which proposal has a number is the most that it can be wrong about.

use std::fmt;

use consign_rpc::params::GetEvent;
use consign_types::digest::{EventId, NetworkId};
use consign_types::event::{Action, Event, SignedEvent};
use consign_types::governance::Motion;

use super::change::is_same;
use super::report::Shown;
use super::{BallotArgs, Named, find, speak};
use crate::args::Global;
use crate::console::Console;
use crate::event::{self, Stage};
use crate::failure::{Exit, Failure};
use crate::node::{Node, within};

/// Votes, and shows what the node says of the proposal then.
pub async fn cast(
    console: &Console,
    global: &Global,
    args: BallotArgs,
    approve: bool,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let network = within(global.patience(), node.status()).await?.network.0;
    let proposal = match args.proposal {
        Named::Event(id) => id,
        Named::Number(_) => find(global, &node, args.proposal).await?.proposal_id.0,
    };
    let params = GetEvent { event_id: proposal.into(), with_proof: false };
    let view = within(global.patience(), node.call(params)).await?;
    let said = Said::read(&view.envelope.0, proposal, network).map_err(|why| {
        let message = format!("what {} has for {proposal} {why}", node.url());
        Failure::new(Exit::Refused, "other_proposal", message, "ask the node of another member")
    })?;
    if let Some(typed) = &args.fingerprint {
        said.must_have(typed)?;
    }
    let verb = if approve { "approves" } else { "is against" };
    console.note(format!("{} {verb} {said}", args.speaker.party));
    let action = Action::Ballot { proposal, approve };
    let signed = speak(global, &node, network, &args.speaker, action).await?;
    event::submit(console, global, signed.bytes(), args.speaker.wait).await?;
    if args.speaker.wait == Stage::Accepted {
        return Ok(());
    }
    console.result(&Shown(find(global, &node, Named::Event(proposal)).await?))
}

/// What a proposal says, from its own bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Said {
    id: EventId,
    event: Event,
    motion: Motion,
}

impl Said {
    /// Reads the proposal that `id` names; or says what the bytes are instead.
    fn read(bytes: &[u8], id: EventId, network: NetworkId) -> Result<Self, String> {
        let signed = SignedEvent::decode(bytes).map_err(|e| format!("is no event: {e}"))?;
        if signed.id() != id {
            return Err(format!("is another event, {}", signed.id()));
        }
        let event = signed.event().clone();
        if event.network != network {
            return Err(format!("is of network {}, not {network}", event.network));
        }
        let Action::Propose { motion, .. } = &event.action else {
            return Err(format!("is no proposal but {}", event.action.kind()));
        };
        Ok(Self { id, motion: Motion::clone(motion), event })
    }

    fn fingerprint(&self) -> Option<String> {
        self.motion.change.fingerprint(self.event.network).map(|print| print.to_string())
    }

    /// Refuses what has another fingerprint than the one that was compared.
    fn must_have(&self, typed: &str) -> Result<(), Failure> {
        let own = self.fingerprint();
        if own.as_deref().is_some_and(|own| is_same(own, typed)) {
            return Ok(());
        }
        let message = match own {
            Some(own) => format!("the proposal has the fingerprint {own}"),
            None => "the proposal gives no key a say, and has no fingerprint".to_owned(),
        };
        let help =
            "do not vote on this one: compare again by voice, and look with `consign gov show`";
        Err(Failure::new(Exit::Refused, "other_fingerprint", message, help))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Motion { change, from, few } = &self.motion;
        write!(f, "what {} proposes: {change}", self.event.signer.party())?;
        if from.0 > 0 {
            write!(f, ", from height {from} on")?;
        }
        if *few {
            f.write_str("; fewer than four validators are accepted")?;
        }
        write!(f, "\nevent       {}", self.id)?;
        match self.fingerprint() {
            Some(print) => write!(f, "\nfingerprint {print}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::block::Height;
    use consign_types::digest::Digest;
    use consign_types::event::{Subject, possession_message};
    use consign_types::governance::Change;
    use consign_types::key::SecretKey;
    use consign_types::party::{PartyId, SignerId};
    use consign_types::time::Millis;

    const NETWORK: NetworkId = NetworkId(Digest([7; 32]));

    fn party(name: &str) -> PartyId {
        name.parse().expect("a name")
    }

    fn signed(network: NetworkId, action: Action) -> SignedEvent {
        let signer = SignerId::member(party("airline"));
        let event = Event {
            network,
            subject: Subject::Signer(signer.clone()),
            signer,
            sequence: 1,
            floor: 0,
            time: Millis(1),
            place: None,
            basis: None,
            action,
        };
        SignedEvent::sign(event, &SecretKey::from_seed([1; 32]))
    }

    fn proposes(change: Change) -> SignedEvent {
        let motion = Box::new(Motion { change, from: Height(40), few: true });
        signed(NETWORK, Action::Propose { motion, until: Millis(2) })
    }

    fn admit(seed: u8) -> Change {
        let (party, secret) = (party("port"), SecretKey::from_seed([seed; 32]));
        let subject = Subject::Signer(SignerId::member(party.clone()));
        let key = secret.public();
        let possession = secret.sign(&possession_message(NETWORK, &subject, &key.into()));
        Change::Admit { party, key, possession, authority: false, node: None }
    }

    #[test]
    fn a_vote_is_on_what_the_bytes_say() {
        let event = proposes(admit(9));
        let said = Said::read(event.bytes(), event.id(), NETWORK).expect("a proposal");
        let print = admit(9).fingerprint(NETWORK).expect("a key").to_string();
        assert_eq!(
            said.to_string(),
            format!(
                "what airline proposes: port becomes a member, from height 40 on; fewer than four validators \
                 are accepted\nevent       {}\nfingerprint {print}",
                event.id()
            )
        );
        assert_eq!(said.must_have(&print), Ok(()));
        let other = admit(8).fingerprint(NETWORK).expect("a key").to_string();
        assert_eq!(said.must_have(&other).map_err(|e| e.code), Err("other_fingerprint".to_owned()));
    }

    #[test]
    fn what_gives_no_key_a_say_has_no_fingerprint_to_compare() {
        let event = proposes(Change::Expel { party: party("port") });
        let said = Said::read(event.bytes(), event.id(), NETWORK).expect("a proposal");
        let refused = said.must_have("0000-0000-0000-0000-0000").map_err(|e| e.code);
        assert_eq!(refused, Err("other_fingerprint".to_owned()));
    }

    /// A node that answers with something else than what was named is caught before anything is signed.
    #[test]
    fn other_bytes_than_those_that_the_vote_names_are_refused() {
        let (harmless, harmful) = (proposes(admit(9)), proposes(admit(8)));
        let refused = |event: &SignedEvent, id| Said::read(event.bytes(), id, NETWORK).unwrap_err();
        assert_eq!(
            refused(&harmless, harmful.id()),
            format!("is another event, {}", harmless.id())
        );
        let vote = signed(NETWORK, Action::Ballot { proposal: harmful.id(), approve: true });
        assert_eq!(refused(&vote, vote.id()), "is no proposal but ballot");
        let elsewhere = NetworkId(Digest([8; 32]));
        let vote = signed(elsewhere, Action::Ballot { proposal: harmful.id(), approve: true });
        assert_eq!(refused(&vote, vote.id()), format!("is of network {elsewhere}, not {NETWORK}"));
        let cut = &harmful.bytes()[1..];
        let cut = Said::read(cut, harmful.id(), NETWORK).unwrap_err();
        assert!(cut.starts_with("is no event: "), "{cut}");
    }
}
