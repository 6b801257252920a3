//! Entries of the unit map: every input of a rule, under one root.

use alloc::string::ToString as _;
use alloc::sync::Arc;

use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::Digest;
use consign_types::event::Label;
use consign_types::genesis::{Genesis, Params};
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;

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

/// A member's role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemberState {
    /// Whether its devices act as an authority.
    pub authority: bool,
}

impl Canonical for MemberState {
    const WHAT: &'static str = "member entry";
    const BYTES_MAX: usize = 8;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(1).sure().bool(self.authority).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(1)?;
        Ok(Self { authority: from.bool()? })
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
        let state = MemberState { authority: member.authority };
        writes.insert(EntryKey::Member(member.party.clone()), state.to_bytes());
        let signer = SignerId::member(member.party.clone());
        let state = crate::signer::SignerState::of_member(member.key);
        writes.insert(EntryKey::Signer(signer), state.to_bytes());
    }
    writes.insert(EntryKey::Validators, genesis.validators().to_bytes());
    writes.insert(EntryKey::Params, Params::to_bytes(genesis.params()));
    writes
}
