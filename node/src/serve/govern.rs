//! Who is in the network, what members decide, and how one validator set led to the next.

use std::sync::Arc;
use std::sync::PoisonError;

use consign_ledger::entry::{EntryKey, MemberState, StateView as _};
use consign_ledger::governance::{Governance, Proposal, Stage, approvals_needed};
use consign_ledger::passport::SetLink;
use consign_ledger::signer::SignerState;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::join::JoinRequest;
use consign_rpc::page::{Cursor, PageLimit};
use consign_rpc::views::{
    Base64, MemberView, MembersView, NodeView, ProposalView, ProposalsPage, RequestView,
    RequestsView, SetsView, ValidatorView,
};
use consign_types::block::Height;
use consign_types::codec::Canonical;
use consign_types::digest::EventId;
use consign_types::governance::{Change, Motion};
use consign_types::party::{PartyId, SignerId};

use super::Serving;
use super::pages::place;
use crate::join::{self, Kept, Refused};
use crate::state::Committed;
use crate::store::{Fault, SetInForce};

const FEED: &str = "proposals";

/// An entry that every network has.
fn entry<T: Canonical>(committed: &Committed, key: &EntryKey) -> Result<T, RpcError> {
    let missing = || RpcError::internal(format!("the unit map has no {}", T::WHAT));
    let bytes = committed.get(key).ok_or_else(missing)?;
    T::from_bytes(&bytes).map_err(RpcError::internal)
}

impl Serving {
    /// The certified changes of the validator set in the heights `since < from <= through`.
    pub(super) fn set_links(
        &self,
        since: Height,
        through: Height,
    ) -> Result<Vec<SetLink>, RpcError> {
        let store = self.parts.committed.store();
        let changes = self.parts.committed.sets_between(since, through).into_iter();
        let link = |SetInForce { from, set, .. }: SetInForce| {
            let damaged = |why: &str| store.damaged("block", why);
            let last = Height(from.0 - 1);
            let block = store.block(last)?.ok_or_else(|| damaged("it is missing"))?;
            let record = store.record(&block)?;
            let certificate = block.certificate.ok_or_else(|| damaged("it has no certificate"))?;
            let set = Arc::unwrap_or_clone(set);
            Ok(SetLink { record, size: block.size, root: block.root, certificate, set })
        };
        changes.map(link).collect::<Result<_, Fault>>().map_err(RpcError::internal)
    }

    /// Who is in the network now.
    pub(super) fn members_view(&self) -> Result<MembersView, RpcError> {
        let committed = &self.parts.committed;
        let set = committed.validators();
        let governance: Governance = entry(committed, &EntryKey::Governance)?;
        let members = governance.members.iter().map(|party| {
            let at = set.validators().iter().position(|v| v.party == *party);
            let validator = at.and_then(|at| set.validators().get(at).map(|v| (at, v)));
            let state: MemberState = entry(committed, &EntryKey::Member(party.clone()))?;
            let signer = EntryKey::Signer(SignerId::member(party.clone()));
            let signer: SignerState = entry(committed, &signer)?;
            Ok(MemberView {
                party: party.clone().into(),
                key: signer.key.into(),
                authority: state.authority,
                validator: validator.map(|(at, v)| ValidatorView {
                    index: at as u16,
                    consensus_key: v.consensus_key.into(),
                    cosigner_key: v.cosigner_key.into(),
                    network_key: v.network_key.into(),
                }),
                node: state.node.map(|node| NodeView {
                    network_key: node.network_key.into(),
                    addresses: node.addresses,
                }),
            })
        });
        Ok(MembersView {
            height: committed.tip().height().0,
            set: set.hash().into(),
            validators: self.validators_view(),
            params: committed.params().into(),
            members: members.collect::<Result<_, RpcError>>()?,
        })
    }

    /// The proposal that this event made.
    pub(super) fn proposal_view(&self, id: EventId) -> Result<ProposalView, RpcError> {
        let committed = &self.parts.committed;
        let missing = || RpcError::not_found(format!("no proposal {id} is known"));
        let bytes = committed.get(&EntryKey::Proposal(id)).ok_or_else(missing)?;
        let proposal = Proposal::from_bytes(&bytes).map_err(RpcError::internal)?;
        let governance: Governance = entry(committed, &EntryKey::Governance)?;
        let parties = |list: &[PartyId]| list.iter().cloned().map(Into::into).collect();
        let Motion { change, from, .. } = &*proposal.motion;
        // Nobody closes a proposal at its time: the next one to be made does.
        let over = proposal.stage == Stage::Open && committed.tip().record.time > proposal.until;
        let stage = if over { Stage::Expired } else { proposal.stage };
        Ok(ProposalView {
            proposal_id: id.into(),
            number: proposal.number,
            by: proposal.by.clone().into(),
            change: change.as_str().to_owned(),
            sentence: change.to_string(),
            fingerprint: change.fingerprint(committed.genesis().network()).map(|f| f.to_string()),
            party: change.party().cloned().map(Into::into),
            from: from.0,
            until: proposal.until.into(),
            approvals: parties(&proposal.approvals),
            rejections: parties(&proposal.rejections),
            needed: approvals_needed(governance.members.len()) as u64,
            stage: stage.as_str().to_owned(),
            height: match stage {
                Stage::Decided(height) | Stage::InForce(height) => Some(height.0),
                Stage::Open | Stage::Rejected | Stage::Expired | Stage::Void => None,
            },
        })
    }

    /// Every proposal there was, newest first.
    pub(super) fn proposals_page(
        &self,
        cursor: Option<&Cursor>,
        limit: PageLimit,
    ) -> Result<ProposalsPage, RpcError> {
        let governance: Governance = entry(&self.parts.committed, &EntryKey::Governance)?;
        let newest = u64::from(governance.proposals);
        let start = place(cursor, FEED, newest)?.min(newest);
        let numbers = (1..=start as u32).rev().take(limit.entries());
        let store = self.parts.committed.store();
        let data = numbers.map(|number| {
            let missing = || store.damaged("proposal", format!("{number} is missing"));
            let id = store.proposal(number).and_then(|id| id.ok_or_else(missing));
            self.proposal_view(id.map_err(RpcError::internal)?)
        });
        let data: Vec<ProposalView> = data.collect::<Result<_, RpcError>>()?;
        let next = start - data.len() as u64;
        let next_cursor = (next > 0).then(|| Cursor::at(FEED, next));
        Ok(ProposalsPage { has_next_page: next_cursor.is_some(), data, next_cursor })
    }

    /// Takes a request to join.
    pub(super) fn take_request(
        &self,
        invite: &str,
        request: JoinRequest,
    ) -> Result<RequestView, RpcError> {
        let _alone = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = join::take(&self.parts.committed, &self.party, invite, request);
        let kept = kept.map_err(|refused| {
            let error = RpcError::rule(refused.code(), &refused, false);
            match refused {
                Refused::Full => RpcError { kind: ErrorKind::PoolFull, retryable: true, ..error },
                _ => error,
            }
        })?;
        Ok(self.request_view(kept))
    }

    /// The requests to join that wait here.
    pub(super) fn requests_view(&self) -> RequestsView {
        let waiting = join::waiting(&self.parts.committed).into_iter();
        RequestsView { requests: waiting.map(|kept| self.request_view(kept)).collect() }
    }

    fn request_view(&self, kept: Kept) -> RequestView {
        let network = self.parts.committed.genesis().network();
        let fingerprint = |change: &Change| {
            change.fingerprint(network).map(|print| print.to_string()).unwrap_or_default()
        };
        RequestView {
            party: kept.joining.party.clone().into(),
            invited_by: kept.invited_by.into(),
            fingerprint: fingerprint(&kept.joining.admission(false)),
            validator_fingerprint: fingerprint(&kept.joining.validator()),
            received: kept.received.into(),
            request: kept.request,
        }
    }

    /// The certified changes of the validator set after the height `since`.
    pub(super) fn sets_view(&self, since: Height) -> Result<SetsView, RpcError> {
        // The next height has its set already.
        let height = self.parts.committed.tip().height().next();
        let links = self.set_links(since, height)?;
        let links = links.iter().map(|link| Base64(link.to_bytes())).collect();
        Ok(SetsView { height: height.0, links })
    }
}
