//! One engine on the bench, and the keys of all its peers.

use std::sync::Arc;

use consign_consensus::message::{Proposal, Vote, VoteKind};
use consign_consensus::sign_state::{self, SignState, Signed};
use consign_consensus::{Config, Effect, Engine, Input, Message, Status, Timeouts, wal};
use consign_types::block::{Epoch, Height};
use consign_types::certificate::{Certificate, Domain, Round, Statement};
use consign_types::digest::{BlockId, Digest, NetworkId};
use consign_types::key::{SecretKey, Signer};
use consign_types::time::Millis;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};

pub const DOMAIN: Domain = Domain { network: NetworkId(Digest([5; 32])), epoch: Epoch(0) };
pub const PACE_MS: u64 = 100;
pub const TIMEOUTS: Timeouts = Timeouts {
    propose_ms: 400,
    prevote_ms: 100,
    precommit_ms: 100,
    rebroadcast_ms: 600,
    step_ms: 50,
    max_ms: 1_000,
};

/// A block id for tests.
pub const fn block(n: u8) -> BlockId {
    BlockId(Digest([n; 32]))
}

/// An engine, its clock and its disk.
pub struct Bench {
    pub me: Option<u8>,
    pub engine: Engine,
    pub now: Millis,
    pub keys: Vec<SecretKey>,
    pub set: ValidatorSet,
    pub log: Vec<u8>,
    pub slots: [Vec<u8>; 2],
    /// The slots as they were at first and after each save.
    pub saves: Vec<[Vec<u8>; 2]>,
    /// What others tell it of its own key when it starts.
    pub heard: Option<Signed>,
}

impl Bench {
    /// Validator `me` of `count`, not started; `None` follows.
    pub fn new(count: u8, me: Option<u8>) -> Self {
        let key = |n: u8, role: u8| {
            let mut seed = [n + 1; 32];
            seed[0] = role;
            SecretKey::from_seed(seed)
        };
        let validator = |n: u8| Validator {
            party: format!("party-{n}").parse().expect("a party id"),
            consensus_key: key(n, 1).public(),
            cosigner_key: key(n, 2).public(),
            network_key: key(n, 3).public(),
        };
        let set = ValidatorSet::new((0..count).map(validator).collect()).expect("distinct keys");
        let signer = me.map(|n| Arc::new(key(n, 1)) as Arc<dyn Signer>);
        let config = Config { domain: DOMAIN, signer, timeouts: TIMEOUTS, pace_ms: PACE_MS };
        let keys = (0..count).map(|n| key(n, 1)).collect();
        let first = SignState::fresh(Epoch(0)).slot();
        let slots = [first.bytes.to_vec(), Vec::new()];
        let (log, now) = (Vec::new(), Millis(1_000_000));
        let saves = vec![slots.clone()];
        Self { me, engine: Engine::new(config), now, keys, set, log, slots, saves, heard: None }
    }

    /// The same disk, another run.
    pub fn restart(mut self, me: Option<u8>, tip: u64) -> (Self, Vec<Effect>) {
        let other = Self::new(self.keys.len() as u8, me);
        self.engine = other.engine;
        let effects = self.start(tip);
        (self, effects)
    }

    pub fn start(&mut self, tip: u64) -> Vec<Effect> {
        let log = wal::recover(&self.log);
        self.log.truncate(log.valid_bytes as usize);
        let sign_state = sign_state::recover([&self.slots[0], &self.slots[1]]);
        self.step(Input::Start {
            tip: Height(tip),
            set: self.set.clone(),
            log,
            sign_state,
            heard: self.heard.map(Box::new),
        })
    }

    /// One step; the disk does what it is told.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.engine.step(self.now, input);
        for effect in &effects {
            match effect {
                Effect::TruncateLog(height) => self.log = wal::header(*height),
                Effect::Append(bytes) => self.log.extend_from_slice(bytes),
                Effect::SaveSignState(slot) => {
                    self.slots[usize::from(slot.index)] = slot.bytes.to_vec();
                    self.saves.push(self.slots.clone());
                }
                _ => {}
            }
        }
        effects
    }

    pub fn status(&self) -> Status {
        self.engine.status()
    }

    pub fn committed(&mut self, height: u64) -> Vec<Effect> {
        self.committed_at(height, PACE_MS)
    }

    /// The same, and from then on the pace is this.
    pub fn committed_at(&mut self, height: u64, pace_ms: u64) -> Vec<Effect> {
        let (height, next_set) = (Height(height), self.set.clone());
        self.step(Input::Committed { height, next_set, pace_ms })
    }

    pub fn proposal(&self, from: u16, height: u64, round: u32, block: BlockId) -> Message {
        self.proposal_again(from, height, round, block, None)
    }

    pub fn proposal_again(
        &self,
        from: u16,
        height: u64,
        round: u32,
        block: BlockId,
        valid_round: Option<Round>,
    ) -> Message {
        let (height, round, validator) = (Height(height), Round(round), ValidatorIndex(from));
        let statement = Statement::Proposal(block, valid_round);
        let bytes = DOMAIN.sign_bytes(height, round, &statement);
        let signature = self.keys[usize::from(from)].sign(&bytes);
        Message::Proposal(Proposal { height, round, block, valid_round, validator, signature })
    }

    pub fn vote(
        &self,
        from: u16,
        kind: VoteKind,
        height: u64,
        round: u32,
        block: Option<BlockId>,
    ) -> Message {
        let (height, round, validator) = (Height(height), Round(round), ValidatorIndex(from));
        let bytes = DOMAIN.sign_bytes(height, round, &kind.statement(block));
        let signature = self.keys[usize::from(from)].sign(&bytes);
        Message::Vote(Vote { height, round, kind, block, validator, signature })
    }

    /// Hands in a message, from the validator that signed it.
    pub fn receive(&mut self, message: Message) -> Vec<Effect> {
        let (from, _, _) = message.statements()[0];
        self.step(Input::Message { from, message })
    }

    /// Proof that the validators `from` decided `block`.
    pub fn certificate(&self, from: &[u16], height: u64, block: BlockId) -> Certificate {
        let statement = Statement::Precommit(Some(block));
        let bytes = DOMAIN.sign_bytes(Height(height), Round(0), &statement);
        let sign = |n: &u16| (ValidatorIndex(*n), self.keys[usize::from(*n)].sign(&bytes));
        let precommits = from.iter().map(sign).collect();
        Certificate { height: Height(height), round: Round(0), block, precommits }
    }
}

/// The statements that leave this node, without their signatures.
pub fn spoken(effects: &[Effect]) -> Vec<Statement> {
    let broadcast = effects.iter().filter_map(|effect| match effect {
        Effect::Broadcast(message @ (Message::Proposal(_) | Message::Vote(_))) => Some(message),
        _ => None,
    });
    broadcast.flat_map(Message::statements).map(|(_, statement, _)| statement).collect()
}
