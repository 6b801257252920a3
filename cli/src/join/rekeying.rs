//! What a member asks for that goes on under other keys: `rekey-request.json`.
//!
//! It shows the keys that change and no others, so that it can be made where those lie: a node's on its own machine,
//! where the member key is not.

use consign_rpc::join::ShownKey;
use consign_types::digest::NetworkId;
use consign_types::governance::Change;
use consign_types::key::{PublicKey, Signature};
use consign_types::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use consign_types::party::PartyId;
use consign_types::validator::Validator;
use serde::{Deserialize, Serialize};

/// What the document says of its form.
pub(super) const FORMAT: &str = "consign-rekey-v1";

/// The document. [`RekeyRequest::check`] says whether it holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RekeyRequest {
    /// `consign-rekey-v1`.
    pub format: String,
    /// The network, by the hash of its genesis.
    pub network: String,
    /// Whose keys they are.
    pub party: String,
    /// The member key, where it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_key: Option<ShownKey>,
    /// Under which keys the node votes, where one of them changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<ShownValidator>,
}

/// The keys of a node that votes, and where it is met.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ShownValidator {
    /// Signs votes.
    pub consensus_key: ShownKey,
    /// Cosigns checkpoints.
    pub cosigner_key: ShownKey,
    /// Identity of the node among nodes.
    pub network_key: ShownKey,
    /// Where other nodes dial it, as multiaddresses.
    pub addresses: Vec<String>,
}

/// Other keys of a member, which are shown to be held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rekeying {
    /// The network.
    pub network: NetworkId,
    /// The member speaks under another key.
    pub key: Option<Change>,
    /// The member's node votes under other keys.
    pub validator: Option<Change>,
}

impl RekeyRequest {
    /// What it asks for, if each key in it is shown to be held.
    pub(super) fn check(&self) -> Result<Rekeying, String> {
        if self.format != FORMAT {
            return Err(format!("its format is not {FORMAT:?}"));
        }
        let network: NetworkId = field("network", &self.network)?;
        let party: PartyId = field("party", &self.party)?;
        let key = self.member_key.as_ref().map(|shown| {
            let (key, possession) = pair("memberKey", shown)?;
            Ok::<_, String>(Change::Key { party: party.clone(), key, possession })
        });
        let validator = self.validator.as_ref().map(|shown| shown.change(&party));
        let (key, validator) = (key.transpose()?, validator.transpose()?);
        if !key.iter().chain(&validator).all(|change| change.possession_holds(network)) {
            return Err("a key in it is not shown to be held".to_owned());
        }
        Ok(Rekeying { network, key, validator })
    }
}

impl ShownValidator {
    fn change(&self, party: &PartyId) -> Result<Change, String> {
        let plain = |address: &String| {
            (1..=ADDRESS_BYTES_MAX).contains(&address.len())
                && address.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.addresses.len() > ADDRESSES_MAX || !self.addresses.iter().all(plain) {
            return Err("too many addresses, or one that is none".to_owned());
        }
        let (consensus_key, first) = pair("consensusKey", &self.consensus_key)?;
        let (cosigner_key, second) = pair("cosignerKey", &self.cosigner_key)?;
        let (network_key, third) = pair("networkKey", &self.network_key)?;
        let party = party.clone();
        Ok(Change::Validator {
            validator: Box::new(Validator { party, consensus_key, cosigner_key, network_key }),
            possession: Box::new([first, second, third]),
            addresses: self.addresses.clone(),
        })
    }
}

fn field<T: std::str::FromStr<Err: ToString>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|e: T::Err| format!("{name}: {}", e.to_string()))
}

fn pair(name: &str, shown: &ShownKey) -> Result<(PublicKey, Signature), String> {
    Ok((field(name, &shown.key)?, field(name, &shown.possession)?))
}

#[cfg(test)]
mod tests {
    use consign_types::digest::Digest;
    use consign_types::key::SecretKey;

    use super::*;

    const NETWORK: NetworkId = NetworkId(Digest([7; 32]));

    fn shown(whose: &str, role: u8) -> ShownKey {
        ShownKey::of(NETWORK, &whose.parse().unwrap(), &SecretKey::from_seed([role; 32]))
    }

    fn request() -> RekeyRequest {
        RekeyRequest {
            format: FORMAT.to_owned(),
            network: NETWORK.to_string(),
            party: "port".to_owned(),
            member_key: Some(shown("port", 1)),
            validator: Some(ShownValidator {
                consensus_key: shown("port", 2),
                cosigner_key: shown("port", 3),
                network_key: shown("port", 4),
                addresses: vec!["/ip4/192.0.2.5/tcp/9201".to_owned()],
            }),
        }
    }

    #[test]
    fn a_request_asks_for_what_it_shows_and_for_nothing_else() {
        let whole = request().check().unwrap();
        let asked = whole.key.iter().chain(&whole.validator).map(ToString::to_string);
        assert_eq!(
            asked.collect::<Vec<_>>(),
            ["port speaks under another member key", "port votes, under the keys that stand here"]
        );
        let node = RekeyRequest { member_key: None, ..request() }.check();
        assert_eq!(node, Ok(Rekeying { key: None, ..whole.clone() }));
        let member = RekeyRequest { validator: None, ..request() }.check();
        assert_eq!(member, Ok(Rekeying { validator: None, ..whole }));
    }

    #[test]
    fn a_key_that_is_not_shown_to_be_held_is_refused() {
        let not_held = Err("a key in it is not shown to be held".to_owned());
        let anothers = RekeyRequest { member_key: Some(shown("rail", 1)), ..request() };
        assert_eq!(anothers.check(), not_held);
        let mut request = request();
        request.validator.as_mut().unwrap().network_key.possession = shown("port", 2).possession;
        assert_eq!(request.check(), not_held);
    }
}
