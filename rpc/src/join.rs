//! A request to join: what a party that is no member asks the members of a network for.
//!
//! It is public: keys, each with its own word that it is held, and where the party's node is met. What
//! speaks for the party stays with it.

use consign_types::digest::NetworkId;
use consign_types::event::{Subject, possession_message};
use consign_types::genesis::Member;
use consign_types::governance::{Change, Node};
use consign_types::key::{PublicKey, SecretKey, Signature};
use consign_types::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use consign_types::party::{PartyId, SignerId};
use consign_types::validator::Validator;
use serde::{Deserialize, Serialize};

/// What the document says of its form.
pub const FORMAT: &str = "consign-join-v1";

/// The document, as it is written and sent. [`JoinRequest::check`] says whether it holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinRequest {
    /// `consign-join-v1`.
    pub format: String,
    /// The network, by the hash of its genesis.
    pub network: String,
    /// Who asks.
    pub party: String,
    /// Speaks for the party.
    pub member_key: ShownKey,
    /// Signs votes.
    pub consensus_key: ShownKey,
    /// Cosigns checkpoints.
    pub cosigner_key: ShownKey,
    /// Identity of the party's node among nodes.
    pub network_key: ShownKey,
    /// Signs checkpoints as the serving log; goes into trust files, not on the ledger.
    pub log_key: String,
    /// Where other nodes dial it, as multiaddresses.
    pub addresses: Vec<String>,
}

/// A key, and its own word that whoever asks has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShownKey {
    /// Ed25519, 64 hexadecimal digits.
    pub key: String,
    /// Its signature over the network, itself and the party; 128 hexadecimal digits.
    pub possession: String,
}

impl ShownKey {
    /// Shows that `secret` is held by `party`.
    pub fn of(network: NetworkId, party: &PartyId, secret: &SecretKey) -> Self {
        let (subject, key) = (Subject::Signer(SignerId::member(party.clone())), secret.public());
        let possession = secret.sign(&possession_message(network, &subject, &key.into()));
        Self { key: key.to_string(), possession: possession.to_hex() }
    }
}

/// A request whose keys are shown to be held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joining {
    /// The network.
    pub network: NetworkId,
    /// Who asks.
    pub party: PartyId,
    member_key: (PublicKey, Signature),
    validator: Validator,
    possession: [Signature; 3],
    addresses: Vec<String>,
}

/// Why a request is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no request to join: {0}")]
pub struct BadRequest(String);

impl JoinRequest {
    /// Reads the document.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(text: &str) -> Result<Self, BadRequest> {
        serde_json::from_str(text).map_err(|e| BadRequest(e.to_string()))
    }

    /// The document, for a file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What it asks for, if each key in it is shown to be held.
    ///
    /// # Errors
    /// When a field is not what it is to be, or a signature does not hold.
    pub fn check(&self) -> Result<Joining, BadRequest> {
        fn field<T: std::str::FromStr<Err: ToString>>(
            name: &str,
            text: &str,
        ) -> Result<T, BadRequest> {
            text.parse().map_err(|e: T::Err| BadRequest(format!("{name}: {}", e.to_string())))
        }
        let pair = |name: &str, shown: &ShownKey| {
            Ok::<(PublicKey, Signature), BadRequest>((
                field(name, &shown.key)?,
                field(name, &shown.possession)?,
            ))
        };
        if self.format != FORMAT {
            return Err(BadRequest(format!("its format is not {FORMAT:?}")));
        }
        let plain = |address: &String| {
            (1..=ADDRESS_BYTES_MAX).contains(&address.len())
                && address.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.addresses.len() > ADDRESSES_MAX || !self.addresses.iter().all(plain) {
            return Err(BadRequest("too many addresses, or one that is none".to_owned()));
        }
        let party: PartyId = field("party", &self.party)?;
        let (consensus_key, first) = pair("consensusKey", &self.consensus_key)?;
        let (cosigner_key, second) = pair("cosignerKey", &self.cosigner_key)?;
        let (network_key, third) = pair("networkKey", &self.network_key)?;
        let _: PublicKey = field("logKey", &self.log_key)?;
        let joining = Joining {
            network: field("network", &self.network)?,
            party: party.clone(),
            member_key: pair("memberKey", &self.member_key)?,
            validator: Validator { party, consensus_key, cosigner_key, network_key },
            possession: [first, second, third],
            addresses: self.addresses.clone(),
        };
        let network = joining.network;
        let held = joining.admission(false).possession_holds(network)
            && joining.validator().possession_holds(network);
        let why = || BadRequest("a key in it is not shown to be held".to_owned());
        held.then_some(joining).ok_or_else(why)
    }
}

impl Joining {
    /// The party becomes a member, and its node follows.
    pub fn admission(&self, authority: bool) -> Change {
        let node =
            Node { network_key: self.validator.network_key, addresses: self.addresses.clone() };
        let (party, (key, possession)) = (self.party.clone(), self.member_key);
        Change::Admit { party, key, possession, authority, node: Some(Box::new(node)) }
    }

    /// The member's node votes.
    pub fn validator(&self) -> Change {
        Change::Validator {
            validator: Box::new(self.validator.clone()),
            possession: Box::new(self.possession),
            addresses: self.addresses.clone(),
        }
    }

    /// The party as a genesis lists it.
    pub fn member(&self, authority: bool) -> Member {
        Member { party: self.party.clone(), key: self.member_key.0, authority }
    }

    /// Its node as a genesis lists it.
    pub fn seat(&self) -> Validator {
        self.validator.clone()
    }

    /// The member speaks under another key.
    pub fn key(&self) -> Change {
        let (party, (key, possession)) = (self.party.clone(), self.member_key);
        Change::Key { party, key, possession }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::digest::Digest;

    fn key(name: &str) -> SecretKey {
        SecretKey::from_seed(Digest::of(&[name.as_bytes()]).0)
    }

    fn request() -> JoinRequest {
        let (network, party) = (NetworkId(Digest([7; 32])), "port".parse().unwrap());
        let shown = |purpose: &str| ShownKey::of(network, &party, &key(purpose));
        JoinRequest {
            format: FORMAT.to_owned(),
            network: network.to_string(),
            party: party.to_string(),
            member_key: shown("member"),
            consensus_key: shown("consensus"),
            cosigner_key: shown("cosigner"),
            network_key: shown("network"),
            log_key: key("log").public().to_string(),
            addresses: vec!["/ip4/192.0.2.5/tcp/9201".to_owned()],
        }
    }

    #[test]
    fn a_request_says_what_is_asked_for() {
        let read = JoinRequest::parse(&request().to_text()).unwrap();
        assert_eq!(read, request());
        let joining = read.check().unwrap();
        let Change::Admit { party, key: member, node: Some(node), authority: false, .. } =
            joining.admission(false)
        else {
            panic!("an admission with a node");
        };
        assert_eq!((party.as_str(), member), ("port", key("member").public()));
        assert_eq!(node.network_key, key("network").public());
        assert_eq!(node.addresses, ["/ip4/192.0.2.5/tcp/9201"]);
    }

    /// `UPDATE=1` writes it there.
    #[test]
    fn the_specification_shows_a_request() {
        const FENCE: &str = "```json request\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/spec/joining.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, after) = page.split_once(FENCE).unwrap();
        let (shown, after) = after.split_once("```").unwrap();
        let expected = request().to_text();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, format!("{before}{FENCE}{expected}```{after}")).unwrap();
        }
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said() {
        let wrong = |change: &dyn Fn(&mut JoinRequest)| {
            let mut request = request();
            change(&mut request);
            request.check().unwrap_err().to_string()
        };
        let said = "no request to join: ";
        assert_eq!(
            wrong(&|r| r.format = "v0".to_owned()),
            format!("{said}its format is not \"consign-join-v1\"")
        );
        let unheld = format!("{said}a key in it is not shown to be held");
        assert_eq!(wrong(&|r| r.party = "rail".to_owned()), unheld);
        assert_eq!(wrong(&|r| r.network = Digest([8; 32]).to_string()), unheld);
        assert_eq!(wrong(&|r| r.cosigner_key.key.clone_from(&r.consensus_key.key)), unheld);
        assert_eq!(wrong(&|r| r.member_key.key.clone_from(&r.consensus_key.key)), unheld);
        assert_eq!(
            wrong(&|r| r.addresses = vec![String::new()]),
            format!("{said}too many addresses, or one that is none")
        );
        assert!(
            wrong(&|r| r.network_key.key.clear()).starts_with("no request to join: networkKey: ")
        );
        assert!(JoinRequest::parse("{}").is_err());
    }
}
