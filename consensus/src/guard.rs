//! The only hand that signs.
//!
//! Every signature passes [`SignState::advance`] first, and the state that covers it is saved before
//! the step's messages leave. Where what was signed may have been forgotten, nothing is signed until
//! the network is past it (quarantine); where it is contradicted, nothing is signed any more (halt).

use std::sync::Arc;

use consign_types::block::Height;
use consign_types::certificate::{Domain, Round, Statement};
use consign_types::key::{PublicKey, Signature, Signer};
use consign_types::validator::ValidatorSet;

use crate::seam::{Reason, Signing};
use crate::sign_state::{Recovered, SignState, Signed, Slot};

/// Why a sign-state that does not know what others hold is not believed.
const OUTDATED: &str = "others hold a later signature of this key than its sign-state knows";

/// Heights that a node without its sign-state watches being decided before it votes again.
const QUARANTINE_HEIGHTS: u64 = 10;

/// Signs, or says why not.
#[derive(Debug)]
pub struct Guard {
    domain: Domain,
    signer: Option<Arc<dyn Signer>>,
    key: Option<PublicKey>,
    state: SignState,
    quarantine: Option<Quarantine>,
    /// Began without a sign-state on an empty chain: a new network, or a lost disk.
    unproven: bool,
    unsaved: bool,
}

#[derive(Debug)]
struct Quarantine {
    reason: &'static str,
    through: Option<Height>,
}

impl Guard {
    pub fn new(domain: Domain, signer: Option<Arc<dyn Signer>>) -> Self {
        let key = signer.as_ref().map(|signer| signer.public());
        let state = SignState::fresh(domain.epoch);
        let (quarantine, unproven, unsaved) = (None, false, false);
        Self { domain, signer, key, state, quarantine, unproven, unsaved }
    }

    pub const fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// Takes over what the slots hold. `logged` is what the log of the height above `tip` says was
    /// signed, by ascending place; empty where there is no such log. `heard` is what others hold.
    ///
    /// # Errors
    /// When log and state hold two statements for one place.
    pub fn start(
        &mut self,
        tip: Height,
        recovered: Recovered,
        logged: &[Signed],
        heard: Option<&Signed>,
    ) -> Result<(), Reason> {
        self.recover(tip, recovered, logged)?;
        if let Some(signed) = heard {
            self.hear(signed);
        }
        Ok(())
    }

    /// Somebody else has `signed`, by this key. A state that does not know it was copied back from
    /// earlier, or another process signs with the key: in both cases this node cannot know what else
    /// was signed.
    pub fn hear(&mut self, signed: &Signed) {
        let silent = self
            .quarantine
            .as_ref()
            .is_some_and(|quarantine| quarantine.through.is_none_or(|last| last >= signed.height));
        if self.key.is_some() && !silent && !self.knows(signed) {
            self.quarantine(OUTDATED, None);
        }
    }

    /// Whether the state covers `signed`.
    pub fn knows(&self, signed: &Signed) -> bool {
        self.state.signed().is_some_and(|last| {
            last.place() > signed.place()
                || (last.place() == signed.place() && last.statement == signed.statement)
        })
    }

    fn recover(
        &mut self,
        tip: Height,
        recovered: Recovered,
        logged: &[Signed],
    ) -> Result<(), Reason> {
        match recovered {
            Recovered::Absent if tip == Height(0) && logged.is_empty() => self.unproven = true,
            Recovered::Absent => self.quarantine("the sign-state is missing", None),
            Recovered::Unreadable => {
                self.quarantine("the sign-state is missing or unreadable", None)
            }
            // An earlier incarnation of the network: nothing signed there conflicts here.
            Recovered::Found(state) if state.epoch() < self.domain.epoch => {}
            Recovered::Found(state) if state.epoch() > self.domain.epoch => {
                self.quarantine("the sign-state is of a later epoch", None);
            }
            Recovered::Found(state) => self.state = state,
        }
        let Some(signed) = self.state.signed().copied() else {
            return self.take_over(logged);
        };
        if signed.height <= tip {
            return self.take_over(logged);
        }
        match logged.last() {
            Some(last) if last.place() >= signed.place() => self.take_over(logged),
            // Synced bytes are gone, and with them perhaps a lock.
            _ => {
                let reason = "the sign-state is ahead of the log: synced bytes were lost";
                self.quarantine(reason, Some(signed.height));
                Ok(())
            }
        }
    }

    /// Whether this node signs at `height`, under `set`.
    pub fn signing(&self, height: Height, set: &ValidatorSet) -> Signing {
        if let Some(reason) = self.state.halted() {
            return Signing::Halted(reason);
        }
        if self.key.is_none_or(|key| set.index_of(&key).is_none()) {
            return Signing::Follower;
        }
        match &self.quarantine {
            Some(Quarantine { reason, through }) if through.is_none_or(|last| height <= last) => {
                Signing::Quarantined { through: *through, reason }
            }
            _ => Signing::Allowed,
        }
    }

    /// More than a third of the validators, or a certificate, say that the network is at `height`.
    pub fn network_at(&mut self, height: Height) {
        if self.unproven && self.state.signed().is_none() && height > Height(1) {
            let reason = "the sign-state is missing and the network is past its first height";
            self.quarantine(reason, None);
        }
    }

    /// `height` was decided by votes that came in while this node watched.
    pub fn decided_live(&mut self, height: Height) {
        if let Some(quarantine @ Quarantine { through: None, .. }) = &mut self.quarantine {
            // Anything that this key signed before lies at or below the height that is live now.
            quarantine.through = Some(Height(height.0.saturating_add(QUARANTINE_HEIGHTS)));
        }
    }

    /// Signs a statement.
    ///
    /// # Panics
    /// Without a key, or after a halt: the engine begins no height as a validator then.
    ///
    /// # Errors
    /// When it would contradict what was signed before.
    pub fn sign(
        &mut self,
        height: Height,
        round: Round,
        statement: &Statement,
    ) -> Result<Signature, Reason> {
        let signer = self.signer.as_ref().expect("only a validator's instance asks for signatures");
        assert!(self.state.halted().is_none(), "no instance signs after a halt");
        let bytes = self.domain.sign_bytes(height, round, statement);
        let next = Signed::new(height, round, statement, &bytes);
        if let Some(state) = self.state.advance(next).map_err(|_| Reason::SignConflict)? {
            self.state = state;
            self.unsaved = true;
        }
        Ok(signer.sign(&bytes))
    }

    /// Ends signing for good.
    pub fn halt(&mut self, reason: Reason) {
        if self.state.halted().is_none() {
            self.state = self.state.halt(reason);
            self.unsaved = true;
        }
    }

    /// The slot to be saved, if anything was signed since the last.
    pub fn take_unsaved(&mut self) -> Option<Slot> {
        std::mem::take(&mut self.unsaved).then(|| self.state.slot())
    }

    fn quarantine(&mut self, reason: &'static str, through: Option<Height>) {
        self.unproven = false;
        self.quarantine = Some(Quarantine { reason, through });
    }

    /// The log is ahead of the slot, or level: what it says was signed counts as signed.
    fn take_over(&mut self, logged: &[Signed]) -> Result<(), Reason> {
        for next in logged {
            if self.state.signed().is_some_and(|last| last.place() > next.place()) {
                continue;
            }
            if let Some(state) = self.state.advance(*next).map_err(|_| Reason::SignConflict)? {
                self.state = state;
                self.unsaved = true;
            }
        }
        Ok(())
    }
}
