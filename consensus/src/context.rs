//! Our values in the shape that Malachite's core asks for.
//!
//! An address is the validator's place in the set in force at the height: the core is made anew for
//! each height, so a place means the same thing for its whole life. The value agreed on is the block
//! id and is its own id. Vote extensions and proposal parts are not used.

use core::fmt;

use arc_malachitebft_core_types as core_types;
use consign_types::block::Height;
use consign_types::digest::BlockId;
use consign_types::key::{PublicKey, SecretKey, Signature};
use consign_types::validator::{ValidatorIndex, ValidatorSet};
use core_types::{LinearTimeouts, NilOrVal, Round, SignedExtension, VoteType, VotingPower};

/// The core's type parameter.
#[derive(Clone, Debug)]
pub struct Ctx;

/// A validator's place in the set; [`Address::NOBODY`] for a node that has none.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Address(pub ValidatorIndex);

impl Address {
    /// The address of a node that is not in the set: no set is that large.
    pub const NOBODY: Self = Self(ValidatorIndex(u16::MAX));
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validator {}", self.0.0)
    }
}

impl core_types::Address for Address {}

/// A height.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct At(pub Height);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl core_types::Height for At {
    const ZERO: Self = Self(Height(0));
    const INITIAL: Self = Self(Height(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(Height(self.0.0.saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.0.checked_sub(n).map(|height| Self(Height(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.0
    }
}

/// What is agreed on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Value(pub BlockId);

impl core_types::Value for Value {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.0
    }
}

/// A validator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validator {
    address: Address,
    key: PublicKey,
}

impl core_types::Validator<Ctx> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

/// The validators of a height, never none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validators(Vec<Validator>);

impl From<&ValidatorSet> for Validators {
    fn from(set: &ValidatorSet) -> Self {
        let validator = |(place, validator): (usize, &consign_types::validator::Validator)| {
            let address = Address(ValidatorIndex(place as u16));
            Validator { address, key: validator.consensus_key }
        };
        Self(set.validators().iter().enumerate().map(validator).collect())
    }
}

impl core_types::ValidatorSet<Ctx> for Validators {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.0.len() as VotingPower
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.get(usize::from(address.0.0))
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

/// A proposal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The height.
    pub height: At,
    /// The round.
    pub round: Round,
    /// The block.
    pub value: Value,
    /// The round in which it last had a quorum of prevotes, or nil.
    pub valid_round: Round,
    /// Who proposes.
    pub address: Address,
}

impl core_types::Proposal<Ctx> for Proposal {
    fn height(&self) -> At {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }
}

/// A vote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vote {
    /// Which of the two.
    pub kind: VoteType,
    /// The height.
    pub height: At,
    /// The round.
    pub round: Round,
    /// The block or nil.
    pub value: NilOrVal<BlockId>,
    /// Who votes.
    pub address: Address,
}

impl core_types::Vote<Ctx> for Vote {
    fn height(&self) -> At {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _: SignedExtension<Ctx>) -> Self {
        self
    }
}

/// Bodies do not travel through the core: there is no part of a proposal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoPart {}

impl core_types::ProposalPart<Ctx> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// Ed25519 as `consign-types` does it. The core never signs or verifies by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scheme;

impl core_types::SigningScheme for Scheme {
    type DecodingError = &'static str;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = SecretKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, &'static str> {
        bytes.try_into().map(Signature).map_err(|_| "a signature has 64 bytes")
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, &'static str> {
        let bytes = bytes.try_into().map_err(|_| "a public key has 32 bytes")?;
        PublicKey::from_bytes(bytes).map_err(|_| "not an acceptable public key")
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl core_types::Context for Ctx {
    type Address = Address;
    type Height = At;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Scheme;

    /// Turn by turn, so that each height and each round has another proposer.
    fn select_proposer<'a>(&self, set: &'a Validators, height: At, round: Round) -> &'a Validator {
        let round = u64::from(round.as_u32().unwrap_or(0));
        let turn = (height.0.0 % set.0.len() as u64 + round) % set.0.len() as u64;
        &set.0[turn as usize]
    }

    fn new_proposal(
        &self,
        height: At,
        round: Round,
        value: Value,
        valid_round: Round,
        address: Address,
    ) -> Proposal {
        Proposal { height, round, value, valid_round, address }
    }

    fn new_prevote(
        &self,
        height: At,
        round: Round,
        value: NilOrVal<BlockId>,
        address: Address,
    ) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, address }
    }

    fn new_precommit(
        &self,
        height: At,
        round: Round,
        value: NilOrVal<BlockId>,
        address: Address,
    ) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, address }
    }
}
