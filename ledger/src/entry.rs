//! Entries of the unit map: every input of a rule, under one root.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use consign_types::block::Height;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, EventId};
use consign_types::event::Label;
use consign_types::genesis::{Genesis, Params};
use consign_types::governance::Node;
use consign_types::limits::WITNESSES_MAX;
use consign_types::note::VerifierKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;
use consign_types::witness::Witness;

use crate::governance::Governance;

/// What an entry is about. The tag keeps kinds of entries apart, whatever their names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum EntryKey {
    /// A unit's state.
    Unit(UnitId),
    /// A device, or a member's own key.
    Signer(SignerId),
    /// A seal id that was used.
    Seal(Label),
    /// A member and its role.
    Member(PartyId),
    /// The validator set in force at the next block.
    Validators,
    /// The network's parameters.
    Params,
    /// A fault that was reported; named by what was done, not by the file that shows it.
    Fault(Digest),
    /// What checkpoints of the log are known by.
    Log,
    /// Who is a member, and which proposals wait.
    Governance,
    /// A proposal, by the event that made it.
    Proposal(EventId),
}

impl EntryKey {
    /// Where the entry lies in the map: SHA-256 over tag and name.
    pub fn map_key(&self) -> [u8; 32] {
        let (tag, name) = match self {
            Self::Unit(unit) => (1, unit.to_string()),
            Self::Signer(signer) => (2, signer.to_string()),
            Self::Seal(seal) => (3, seal.to_string()),
            Self::Member(party) => (4, party.to_string()),
            Self::Validators => (5, Default::default()),
            Self::Params => (6, Default::default()),
            Self::Fault(fault) => (7, fault.to_string()),
            Self::Log => (8, Default::default()),
            Self::Governance => (9, Default::default()),
            Self::Proposal(proposal) => (10, proposal.to_string()),
        };
        Digest::of(&[b"consign/map-key/v1\0", &[tag], name.as_bytes()]).0
    }
}

/// Where entries are read.
pub trait StateView {
    /// The bytes of an entry; `None` where there is none.
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>>;
}

impl<V: StateView + ?Sized> StateView for &V {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        (**self).get(key)
    }
}

/// A member's role, its node, and what was proven against it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemberState {
    /// Whether its devices act as an authority.
    pub authority: bool,
    /// Faults that committed evidence proves of it, of its nodes and of its devices. Never less.
    pub faults: u32,
    /// Its node, where a proposal named one; validators of the genesis stand in the set alone.
    pub node: Option<Node>,
    /// The height from which on it is none any more.
    pub expelled: Option<Height>,
}

impl Canonical for MemberState {
    const WHAT: &'static str = "member entry";
    const BYTES_MAX: usize = 1024;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().bool(self.authority).sure().u32(self.faults).sure();
        Node::write_maybe(self.node.as_ref(), to);
        match self.expelled {
            Some(height) => to.u64(height.0).sure(),
            None => to.null().sure(),
        };
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            authority: from.bool()?,
            faults: from.u32()?,
            node: Node::read_maybe(from)?,
            expelled: if from.null()? { None } else { Some(Height(from.u64()?)) },
        })
    }
}

/// What is known of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FaultState {
    /// SHA-256 of the evidence file that showed it first.
    pub evidence: Digest,
    /// The event that reported it.
    pub report: EventId,
}

impl Canonical for FaultState {
    const WHAT: &'static str = "fault entry";
    const BYTES_MAX: usize = 72;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(2).sure().bytes(self.evidence.as_bytes()).sure();
        to.bytes(self.report.as_bytes()).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        Ok(Self { evidence: from.digest()?, report: EventId(from.digest()?) })
    }
}

/// What checkpoints of the log are known by, from genesis on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogState {
    /// Their first line.
    pub origin: String,
    /// Keys of the network's witnesses, whose lines may stand under them.
    pub witnesses: Vec<VerifierKey>,
    /// Where each of them is asked, where members decided that since; else the genesis says it.
    pub addresses: Option<Vec<String>>,
}

impl LogState {
    /// The same log with these witnesses.
    pub fn with_witnesses(self, witnesses: &[Witness]) -> Self {
        Self {
            origin: self.origin,
            witnesses: witnesses.iter().map(|witness| witness.key().clone()).collect(),
            addresses: Some(witnesses.iter().map(|witness| witness.url().to_string()).collect()),
        }
    }

    /// The witnesses that the network of `genesis` asks.
    pub fn asked(&self, genesis: &Genesis) -> Vec<Witness> {
        let Some(addresses) = &self.addresses else { return genesis.witnesses().to_vec() };
        let asked = self.witnesses.iter().zip(addresses);
        asked.filter_map(|(key, url)| Witness::new(key, url).ok()).collect()
    }
}

impl Canonical for LogState {
    const WHAT: &'static str = "log entry";
    const BYTES_MAX: usize = 8192;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(2 + u64::from(self.addresses.is_some())).sure().str(&self.origin).sure();
        to.array(self.witnesses.len() as u64).sure();
        for key in &self.witnesses {
            to.str(&key.to_string()).sure();
        }
        if let Some(addresses) = &self.addresses {
            to.array(addresses.len() as u64).sure();
            for address in addresses {
                to.str(address).sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        if !(2..=3).contains(&items) {
            return Err(from.error("neither 2 nor 3 items"));
        }
        let state = Self {
            origin: from.text()?.to_string(),
            witnesses: from.list(WITNESSES_MAX, Reader::parse)?,
            addresses: match items {
                2 => None,
                _ => Some(from.list(WITNESSES_MAX, |from| from.text().map(String::from))?),
            },
        };
        let witnesses = state.witnesses.len();
        if state.addresses.as_ref().is_some_and(|addresses| addresses.len() != witnesses) {
            return Err(from.error("not an address for each witness"));
        }
        Ok(state)
    }
}

/// Reads an entry.
///
/// # Panics
/// When the entry does not decode: entries are written by this crate and authenticated by the map.
pub fn read<T: Canonical>(view: &(impl StateView + ?Sized), key: &EntryKey) -> Option<T> {
    let bytes = view.get(key)?;
    let value = T::from_bytes(&bytes);
    Some(value.unwrap_or_else(|e| panic!("the map holds an entry that this version wrote: {e}")))
}

/// What the map holds after the genesis block.
pub fn genesis_writes(
    genesis: &Genesis,
) -> alloc::collections::BTreeMap<EntryKey, alloc::vec::Vec<u8>> {
    let mut writes = alloc::collections::BTreeMap::new();
    for member in genesis.members() {
        let state = MemberState { authority: member.authority, ..MemberState::default() };
        writes.insert(EntryKey::Member(member.party.clone()), state.to_bytes());
        let signer = SignerId::member(member.party.clone());
        let state = crate::signer::SignerState::of_member(member.key.into());
        writes.insert(EntryKey::Signer(signer), state.to_bytes());
    }
    writes.insert(EntryKey::Validators, genesis.validators().to_bytes());
    writes.insert(EntryKey::Params, Params::to_bytes(genesis.params()));
    let members = genesis.members().iter().map(|member| member.party.clone()).collect();
    let governance = Governance { members, ..Governance::default() };
    writes.insert(EntryKey::Governance, governance.to_bytes());
    let witnesses = genesis.witnesses().iter().map(|witness| witness.key().clone()).collect();
    let log = LogState { origin: genesis.origin().to_string(), witnesses, addresses: None };
    writes.insert(EntryKey::Log, log.to_bytes());
    writes
}
