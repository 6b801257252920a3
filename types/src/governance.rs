//! What members decide together: who is one of them, whose nodes vote, and the parameters.
//!
//! A change is data; it is proposed and voted on by events, and counted by the ledger.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::block::Height;
use crate::codec::{DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, NetworkId, encode_hex};
use crate::event::{Subject, possession_message};
use crate::genesis::Params;
use crate::key::{PublicKey, Signature};
use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use crate::party::{PartyId, SignerId};
use crate::signer_key::SignerKey;
use crate::validator::Validator;
use crate::witness::{Witness, read_witnesses, write_witnesses};

/// Where a member's node is met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Ed25519 key of its libp2p identity: peers admit no other.
    pub network_key: PublicKey,
    /// Multiaddresses that peers dial, best first; empty where it dials them.
    pub addresses: Vec<String>,
}

/// What is proposed. Parties are members unless it says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A party becomes a member.
    Admit {
        /// No member yet.
        party: PartyId,
        /// Its member key. A party that comes back has the one it had, or one that it never had. Of other
        /// parties' keys nothing is asked: whoever holds one key under two names speaks for each by that name.
        key: PublicKey,
        /// That key's signature over [`possession_message`].
        possession: Signature,
        /// Whether its devices act as an authority.
        authority: bool,
        /// Its node, if it runs one: peers admit it from then on, whether or not it votes.
        node: Option<Box<Node>>,
    },
    /// A party is no member any more: its devices sign nothing, its node is cut off.
    Expel {
        /// Which.
        party: PartyId,
    },
    /// A member's node that does not vote, or none.
    Node {
        /// Whose.
        party: PartyId,
        /// Where.
        node: Option<Box<Node>>,
    },
    /// A member's node votes, under these keys; where it votes already, in the place of its others.
    Validator {
        /// Who, and under which keys.
        validator: Box<Validator>,
        /// Signatures of its three keys over [`possession_message`], in their order.
        possession: Box<[Signature; 3]>,
        /// Where peers dial it, best first.
        addresses: Vec<String>,
    },
    /// A member's node votes no more; it stays a member's node.
    Retire {
        /// Whose.
        party: PartyId,
    },
    /// The parameters.
    Params(Params),
    /// The witnesses that the network asks, in the place of those before: in ascending order of their names.
    Witnesses(Vec<Witness>),
    /// A member speaks under another key from here on, without a word of the key before: that one is lost,
    /// or in other hands.
    Key {
        /// Whose.
        party: PartyId,
        /// Which it never had before.
        key: PublicKey,
        /// That key's signature over [`possession_message`].
        possession: Signature,
    },
}

/// A change, from when on, and what is accepted with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Motion {
    /// What changes.
    pub change: Change,
    /// The first height that it is in force at; where it is decided later, the one after that.
    pub from: Height,
    /// Whether fewer than four validators are accepted: such a network survives no faulty one.
    pub few: bool,
}

impl Change {
    /// The party that it is about; none for parameters and witnesses.
    pub const fn party(&self) -> Option<&PartyId> {
        match self {
            Self::Admit { party, .. }
            | Self::Expel { party }
            | Self::Node { party, .. }
            | Self::Key { party, .. }
            | Self::Retire { party } => Some(party),
            Self::Validator { validator, .. } => Some(&validator.party),
            Self::Params(_) | Self::Witnesses(_) => None,
        }
    }

    /// Whether every key in it was shown to be somebody's who has it.
    pub fn possession_holds(&self, network: NetworkId) -> bool {
        let shows = |party: &PartyId, key: &PublicKey, possession: &Signature| {
            let subject = Subject::Signer(SignerId::member(party.clone()));
            key.verify(&possession_message(network, &subject, &(*key).into()), possession).is_ok()
        };
        match self {
            Self::Admit { party, key, possession, .. } | Self::Key { party, key, possession } => {
                shows(party, key, possession)
            }
            Self::Validator { validator, possession, .. } => {
                let Validator { party, consensus_key, cosigner_key, network_key } = &**validator;
                let keys = [consensus_key, cosigner_key, network_key];
                keys.iter().zip(&**possession).all(|(key, signature)| shows(party, key, signature))
            }
            Self::Expel { .. }
            | Self::Node { .. }
            | Self::Retire { .. }
            | Self::Params(_)
            | Self::Witnesses(_) => true,
        }
    }

    /// What people compare by voice before they approve: who holds the keys that the change gives a say to.
    /// `None` where it gives none.
    pub fn fingerprint(&self, network: NetworkId) -> Option<Fingerprint> {
        let keys: Vec<&PublicKey> = match self {
            Self::Admit { key, node, .. } => {
                [key].into_iter().chain(node.iter().map(|node| &node.network_key)).collect()
            }
            Self::Key { key, .. } => [key].into(),
            Self::Node { node, .. } => [&node.as_ref()?.network_key].into(),
            Self::Validator { validator, .. } => {
                let Validator { consensus_key, cosigner_key, network_key, .. } = &**validator;
                [consensus_key, cosigner_key, network_key].into()
            }
            Self::Expel { .. } | Self::Retire { .. } | Self::Params(_) | Self::Witnesses(_) => {
                return None;
            }
        };
        let mut bytes = Vec::new();
        let mut to = Writer::new(&mut bytes);
        to.array(3).sure().u8(self.code()).sure();
        to.str(self.party()?.as_str()).sure().array(keys.len() as u64).sure();
        for key in keys {
            to.bytes(key.as_bytes()).sure();
        }
        Some(Fingerprint::of(network, &bytes))
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Admit { .. } => 0,
            Self::Expel { .. } => 1,
            Self::Node { .. } => 2,
            Self::Validator { .. } => 3,
            Self::Retire { .. } => 4,
            Self::Params(_) => 5,
            Self::Key { .. } => 6,
            Self::Witnesses(_) => 7,
        }
    }

    /// Stable.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Admit { .. } => "admit",
            Self::Expel { .. } => "expel",
            Self::Node { .. } => "node",
            Self::Validator { .. } => "validator",
            Self::Retire { .. } => "retire",
            Self::Params(_) => "params",
            Self::Key { .. } => "key",
            Self::Witnesses(_) => "witnesses",
        }
    }
}

/// Eighty bits that two people read to each other, in five groups.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 10]);

impl Fingerprint {
    /// Of a text, on a network.
    pub fn of(network: NetworkId, bytes: &[u8]) -> Self {
        let digest = Digest::of(&[b"consign/fingerprint/v1\0", network.as_bytes(), bytes]).0;
        Self(core::array::from_fn(|at| digest[at]))
    }

    /// Of a network and the member that speaks for it.
    pub fn of_inviter(network: NetworkId, member: &SignerKey) -> Self {
        Self::of(network, member.as_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pair) in self.0.chunks(2).enumerate() {
            let dash = if at == 0 { "" } else { "-" };
            write!(f, "{dash}{}", encode_hex(pair))?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admit { party, authority, node, .. } => {
                let authority = if *authority { " as an authority" } else { "" };
                let node = if node.is_some() { ", with a node that follows" } else { "" };
                write!(f, "{party} becomes a member{authority}{node}")
            }
            Self::Expel { party } => write!(f, "{party} is no member any more"),
            Self::Node { party, node: Some(_) } => write!(f, "{party} has a node that follows"),
            Self::Node { party, node: None } => write!(f, "{party} has no node that follows"),
            Self::Validator { validator, .. } => {
                write!(f, "{} votes, under the keys that stand here", validator.party)
            }
            Self::Retire { party } => write!(f, "{party} votes no more"),
            Self::Key { party, .. } => write!(f, "{party} speaks under another member key"),
            Self::Witnesses(witnesses) if witnesses.is_empty() => {
                f.write_str("no witnesses are asked")
            }
            Self::Witnesses(witnesses) => {
                // Whoever approves sees the keys and the addresses.
                let whole: Vec<String> =
                    witnesses.iter().map(|witness| witness.to_string()).collect();
                write!(f, "witnesses are {}", whole.join(", "))
            }
            Self::Params(params) => write!(
                f,
                "parameters: a block each {} ms when busy, contest window {} ms, return window {} ms, \
                 reading {}",
                params.block_interval_ms,
                params.contest_window_ms,
                params.return_window_ms,
                if params.open_reading { "open" } else { "for members" }
            ),
        }
    }
}

impl Node {
    /// Writes a node, or null: in events and in entries alike.
    pub fn write_maybe(node: Option<&Self>, to: &mut Writer<'_>) {
        let Some(node) = node else {
            to.null().sure();
            return;
        };
        to.array(2).sure().bytes(node.network_key.as_bytes()).sure();
        write_addresses(&node.addresses, to);
    }

    /// Reads what [`Self::write_maybe`] wrote.
    ///
    /// # Errors
    /// When something else comes.
    pub fn read_maybe(from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if from.null()? {
            return Ok(None);
        }
        from.array_of(2)?;
        let (network_key, addresses) = (PublicKey::read(from)?, read_addresses(from)?);
        Ok(Some(Self { network_key, addresses }))
    }
}

/// Writes addresses of a node.
pub(crate) fn write_addresses(addresses: &[String], to: &mut Writer<'_>) {
    to.array(addresses.len() as u64).sure();
    for address in addresses {
        to.str(address).sure();
    }
}

/// Reads what [`write_addresses`] wrote.
pub(crate) fn read_addresses(from: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    from.list(ADDRESSES_MAX, |from| {
        let text = from.text()?;
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=ADDRESS_BYTES_MAX).contains(&text.len()) || !plain {
            return Err(from.error("an address that is empty, too long or not plain text"));
        }
        Ok(text.to_string())
    })
}

impl Motion {
    /// Writes it, in an event and in an entry alike.
    pub fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u64(self.from.0).sure().bool(self.few).sure();
        to.u8(self.change.code()).sure();
        match &self.change {
            Change::Admit { party, key, possession, authority, node } => {
                to.array(5).sure().str(party.as_str()).sure().bytes(key.as_bytes()).sure();
                to.bytes(&possession.0).sure().bool(*authority).sure();
                Node::write_maybe(node.as_deref(), to);
            }
            Change::Expel { party } | Change::Retire { party } => {
                to.array(1).sure().str(party.as_str()).sure();
            }
            Change::Node { party, node } => {
                to.array(2).sure().str(party.as_str()).sure();
                Node::write_maybe(node.as_deref(), to);
            }
            Change::Validator { validator, possession, addresses } => {
                to.array(8).sure().str(validator.party.as_str()).sure();
                to.bytes(validator.consensus_key.as_bytes()).sure();
                to.bytes(validator.cosigner_key.as_bytes()).sure();
                to.bytes(validator.network_key.as_bytes()).sure();
                for signature in &**possession {
                    to.bytes(&signature.0).sure();
                }
                write_addresses(addresses, to);
            }
            Change::Params(params) => crate::codec::Canonical::write(params, to),
            Change::Key { party, key, possession } => {
                to.array(3).sure().str(party.as_str()).sure();
                to.bytes(key.as_bytes()).sure().bytes(&possession.0).sure();
            }
            Change::Witnesses(witnesses) => write_witnesses(witnesses, to),
        }
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// When something else comes.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        let (height, few, code) = (Height(from.u64()?), from.bool()?, from.u8()?);
        let change = match code {
            0 => {
                from.array_of(5)?;
                Change::Admit {
                    party: from.parse()?,
                    key: PublicKey::read(from)?,
                    possession: Signature(from.bytes_of()?),
                    authority: from.bool()?,
                    node: Node::read_maybe(from)?.map(Box::new),
                }
            }
            1 => {
                from.array_of(1)?;
                Change::Expel { party: from.parse()? }
            }
            2 => {
                from.array_of(2)?;
                Change::Node { party: from.parse()?, node: Node::read_maybe(from)?.map(Box::new) }
            }
            3 => {
                from.array_of(8)?;
                let validator = Validator {
                    party: from.parse()?,
                    consensus_key: PublicKey::read(from)?,
                    cosigner_key: PublicKey::read(from)?,
                    network_key: PublicKey::read(from)?,
                };
                let mut signature = || from.bytes_of().map(Signature);
                let possession = Box::new([signature()?, signature()?, signature()?]);
                let addresses = read_addresses(from)?;
                Change::Validator { validator: Box::new(validator), possession, addresses }
            }
            4 => {
                from.array_of(1)?;
                Change::Retire { party: from.parse()? }
            }
            5 => Change::Params(crate::codec::Canonical::read(from)?),
            6 => {
                from.array_of(3)?;
                Change::Key {
                    party: from.parse()?,
                    key: PublicKey::read(from)?,
                    possession: Signature(from.bytes_of()?),
                }
            }
            7 => Change::Witnesses(read_witnesses(from)?),
            code => return Err(from.error(alloc::format!("no change has code {code}"))),
        };
        Ok(Self { change, from: height, few })
    }
}
