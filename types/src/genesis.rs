//! The genesis document: leaf 0 of the log, and the network's name.
//!
//! It lists members, validators and parameters; nothing else is known before the first event. Its
//! canonical bytes are the file: `sha256sum genesis.cbor` prints the [`NetworkId`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::block::{BlockRecord, Epoch, Height, LeafIndex, TreeSize};
use crate::certificate::Domain;
use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{BlockId, Digest, MapRoot, NetworkId, TreeRoot};
use crate::key::PublicKey;
use crate::limits::{CONTEST_WINDOW_MS, GENESIS_BYTES_MAX, MEMBERS_MAX, RETURN_WINDOW_MS};
use crate::merkle;
use crate::party::PartyId;
use crate::time::Millis;
use crate::validator::ValidatorSet;
use crate::witness::{self, BadWitness, Witness, read_witnesses, write_witnesses};

/// Longest origin line of a checkpoint.
const ORIGIN_BYTES_MAX: usize = 128;

/// A party admitted to the network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its name.
    pub party: PartyId,
    /// Signs enrolments and other events of the member itself.
    pub key: PublicKey,
    /// Whether its devices act as an authority (customs, quality).
    pub authority: bool,
}

/// Parameters that all nodes share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Params {
    /// Shortest time between two blocks when busy, milliseconds.
    pub block_interval_ms: u32,
    /// How long a spent basis still contests the current one, milliseconds of block time.
    pub contest_window_ms: u64,
    /// How long after a delivery the taker may return the unit, milliseconds of block time.
    pub return_window_ms: u64,
    /// Whether everybody may read.
    pub open_reading: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            block_interval_ms: 100,
            contest_window_ms: CONTEST_WINDOW_MS,
            return_window_ms: RETURN_WINDOW_MS,
            open_reading: true,
        }
    }
}

/// What a network begins with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Genesis {
    origin: String,
    time: Millis,
    members: Vec<Member>,
    validators: ValidatorSet,
    params: Params,
    witnesses: Vec<Witness>,
}

/// Why these values do not make a genesis.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadGenesis {
    /// The origin cannot stand in a checkpoint.
    #[error("the origin {0:?} is not 1 to {ORIGIN_BYTES_MAX} of a-z, 0-9, '.', '-' and '/'")]
    Origin(String),
    /// Members are not in ascending order of their names, each once.
    #[error("members are not 1 to {MEMBERS_MAX} in ascending order of their names, each once")]
    Members,
    /// A validator of a party that is no member.
    #[error("validator {0} is not a member")]
    Validator(PartyId),
    /// A member key that is also a validator's.
    #[error("the member key of {0} is also a validator's key")]
    KeyShared(PartyId),
    /// An interval of zero, or above a minute.
    #[error("the block interval is {0} ms, outside of 1 to 60000")]
    Interval(u32),
    /// Witnesses that cannot stand beside each other, or beside validators and members.
    #[error(transparent)]
    Witness(#[from] BadWitness),
}

impl Genesis {
    /// A genesis of these values.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn new(
        origin: &str,
        time: Millis,
        members: Vec<Member>,
        validators: ValidatorSet,
        params: Params,
    ) -> Result<Self, BadGenesis> {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'/');
        if !(1..=ORIGIN_BYTES_MAX).contains(&origin.len()) || !origin.bytes().all(plain) {
            return Err(BadGenesis::Origin(origin.chars().take(ORIGIN_BYTES_MAX).collect()));
        }
        let ascending = members.windows(2).all(|pair| pair[0].party < pair[1].party);
        if members.is_empty() || members.len() > MEMBERS_MAX || !ascending {
            return Err(BadGenesis::Members);
        }
        for validator in validators.validators() {
            if !members.iter().any(|member| member.party == validator.party) {
                return Err(BadGenesis::Validator(validator.party.clone()));
            }
        }
        for member in &members {
            let shared = validators
                .validators()
                .iter()
                .any(|v| [v.consensus_key, v.cosigner_key, v.network_key].contains(&member.key));
            if shared {
                return Err(BadGenesis::KeyShared(member.party.clone()));
            }
        }
        if !(1..=60_000).contains(&params.block_interval_ms) {
            return Err(BadGenesis::Interval(params.block_interval_ms));
        }
        let witnesses = Vec::new();
        Ok(Self { origin: origin.to_string(), time, members, validators, params, witnesses })
    }

    /// The same with witnesses that the network asks; in ascending order of their names from here on.
    ///
    /// # Errors
    /// When there are too many, or one shares its name or key with another, a validator or a member.
    pub fn with_witnesses(mut self, mut witnesses: Vec<Witness>) -> Result<Self, BadGenesis> {
        witnesses.sort_by(|a, b| a.name().cmp(b.name()));
        let validators = self.validators.validators().iter();
        let others = validators
            .flat_map(|v| [v.consensus_key, v.cosigner_key, v.network_key])
            .chain(self.members.iter().map(|member| member.key));
        let keys: Vec<_> = witnesses.iter().map(Witness::key).collect();
        witness::distinct(&keys, &self.origin, &others.collect::<Vec<_>>())?;
        self.witnesses = witnesses;
        Ok(self)
    }

    /// First line of every checkpoint of this network.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Time of the genesis block.
    pub const fn time(&self) -> Millis {
        self.time
    }

    /// Members, ascending by name.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The first validator set.
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Parameters.
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Witnesses that the network asks, ascending by name.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The network's name.
    pub fn network(&self) -> NetworkId {
        NetworkId(Digest::of(&[&self.to_bytes()]))
    }

    /// Where consensus signatures of the first incarnation are valid.
    pub fn domain(&self) -> Domain {
        Domain { network: self.network(), epoch: Epoch(0) }
    }

    /// The genesis block: leaf 0 is this document, leaf 1 the record of height 0.
    pub fn block(&self, map_root: MapRoot) -> GenesisBlock {
        let set = self.validators.hash();
        let record = BlockRecord {
            height: Height(0),
            epoch: Epoch(0),
            time: self.time,
            parent: BlockId::default(),
            map_root,
            set,
            next_set: set,
            events: 0,
        };
        let document = merkle::leaf_hash(&self.to_bytes());
        let last = merkle::leaf_hash(&record.to_bytes());
        let root = TreeRoot(merkle::node_hash(&document.0, &last.0));
        let size = TreeSize(2);
        let id = record.block_id(size, root);
        GenesisBlock { record, size, root, id, document: LeafIndex(0) }
    }
}

/// The block that no vote decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GenesisBlock {
    /// Its record, leaf 1.
    pub record: BlockRecord,
    /// Size of the log after it: 2.
    pub size: TreeSize,
    /// Root of the log after it.
    pub root: TreeRoot,
    /// Its name.
    pub id: BlockId,
    /// Where the genesis document lies: leaf 0.
    pub document: LeafIndex,
}

/// First item of a genesis document.
const GENESIS_TAG: &str = "consign/genesis/v1";

impl Canonical for Genesis {
    const WHAT: &'static str = "genesis";
    const BYTES_MAX: usize = GENESIS_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        // Without witnesses the list is left out.
        let items = 6 + u64::from(!self.witnesses.is_empty());
        to.array(items).sure().str(GENESIS_TAG).sure();
        to.str(&self.origin).sure().u64(self.time.0).sure();
        to.array(self.members.len() as u64).sure();
        for member in &self.members {
            to.array(3).sure().str(member.party.as_str()).sure();
            to.bytes(member.key.as_bytes()).sure().bool(member.authority).sure();
        }
        self.validators.write(to);
        self.params.write(to);
        if !self.witnesses.is_empty() {
            write_witnesses(&self.witnesses, to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        if !(6..=7).contains(&items) {
            return Err(from.error(alloc::format!("an array of {items} items, not 6 or 7")));
        }
        if from.text()? != GENESIS_TAG {
            return Err(from.error("another tag"));
        }
        let origin = from.text()?;
        let time = Millis(from.u64()?);
        let members = from.list(MEMBERS_MAX, |from| {
            from.array_of(3)?;
            Ok(Member {
                party: from.parse()?,
                key: PublicKey::read(from)?,
                authority: from.bool()?,
            })
        })?;
        let validators = ValidatorSet::read(from)?;
        let params = Params::read(from)?;
        let genesis =
            Self::new(origin, time, members, validators, params).map_err(|e| from.error(e))?;
        if items == 6 {
            return Ok(genesis);
        }
        // An empty list prints differently: the codec refuses it.
        let witnesses = read_witnesses(from)?;
        genesis.with_witnesses(witnesses).map_err(|e| from.error(e))
    }
}

impl Canonical for Params {
    const WHAT: &'static str = "parameters";
    const BYTES_MAX: usize = 64;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u32(self.block_interval_ms).sure();
        to.u64(self.contest_window_ms).sure().u64(self.return_window_ms).sure();
        to.bool(self.open_reading).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            block_interval_ms: from.u32()?,
            contest_window_ms: from.u64()?,
            return_window_ms: from.u64()?,
            open_reading: from.bool()?,
        })
    }
}
