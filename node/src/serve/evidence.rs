//! Evidence: handed in, and told.

use consign_ledger::evidence::Accused;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::page::{Cursor, PAGE_BYTES_MAX, PageLimit};
use consign_rpc::views::{AccusedView, Base64, EvidencePage, EvidenceView, ReportedView};
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;

use super::Serving;
use super::pages::place;
use crate::evidence::{self, Judged, Refused};
use crate::state::sure;

/// Names the list in cursors, which count down.
const FEED: &str = "evidence";

impl Serving {
    /// Checks and keeps a file.
    pub(super) fn submit_evidence_view(&self, file: &[u8]) -> Result<EvidenceView, RpcError> {
        let judged = evidence::hand_in(&self.parts.committed, file).map_err(|refused| {
            let error = RpcError::rule(refused.code(), &refused, false).with_field("evidence");
            match refused {
                Refused::Full => RpcError { kind: ErrorKind::PoolFull, retryable: true, ..error },
                _ => error,
            }
        })?;
        Ok(self.evidence_view(&judged))
    }

    /// The file of this id.
    pub(super) fn evidence_of(&self, id: &Digest) -> Result<EvidencePage, RpcError> {
        let store = self.parts.committed.store();
        let none = || RpcError::not_found(format!("no evidence {id} is kept here"));
        let bytes = sure(store.evidence(id)).ok_or_else(none)?;
        let mut view = self.view_of(&bytes)?;
        view.evidence = Some(Base64(bytes));
        Ok(EvidencePage { data: vec![view], next_cursor: None, has_next_page: false })
    }

    /// All of it, newest first.
    pub(super) fn evidence_page(
        &self,
        cursor: Option<&Cursor>,
        limit: PageLimit,
    ) -> Result<EvidencePage, RpcError> {
        let store = self.parts.committed.store();
        // A cursor holds how many of the numbers are left, so that a fresh one means all.
        let end = place(cursor, FEED, u64::MAX)?;
        let rows = sure(store.evidence_below(end, limit.entries() + 1));
        let (mut data, mut read, mut next) = (Vec::new(), 0, end);
        for (number, id) in rows.iter().take(limit.entries()) {
            let missing = || store.damaged("evidence", format!("{id} is missing"));
            let bytes = sure(sure(store.evidence(id)).ok_or_else(missing));
            read += bytes.len();
            data.push(self.view_of(&bytes)?);
            next = *number;
            if read >= PAGE_BYTES_MAX {
                break;
            }
        }
        let more = data.len() < rows.len();
        let next_cursor = more.then(|| Cursor::at(FEED, next));
        Ok(EvidencePage { data, next_cursor, has_next_page: more })
    }

    /// What was kept once is told as it was judged then: whose key it is may have changed since.
    fn view_of(&self, bytes: &[u8]) -> Result<EvidenceView, RpcError> {
        evidence::read(&self.parts.committed, bytes)
            .map(|judged| self.evidence_view(&judged))
            .map_err(|refused| RpcError::internal(format!("evidence that was kept: {refused}")))
    }

    fn evidence_view(&self, judged: &Judged) -> EvidenceView {
        let Judged { file, accused } = judged;
        let accused: Vec<AccusedView> = accused
            .iter()
            .map(|Accused { who, did }| {
                let fault = file.fault(who).0;
                AccusedView {
                    who: who.to_string(),
                    signer: who.signer().map(Into::into),
                    did: did.clone(),
                    fault: fault.into(),
                    reported: self.report_of(fault),
                }
            })
            .collect();
        let all = accused.iter().all(|accused| accused.reported.is_some());
        EvidenceView {
            evidence_id: file.id().0.into(),
            kind: file.case.kind().to_string(),
            bytes: file.to_bytes().len() as u64,
            reported: accused.first().filter(|_| all).and_then(|first| first.reported),
            accused,
            evidence: None,
        }
    }

    fn report_of(&self, fault: Digest) -> Option<ReportedView> {
        let report = evidence::reported(&self.parts.committed, fault)?.report;
        // The entry and the event are in one write: where there is one, there is the other.
        let index = self.parts.committed.event_index(&report)?;
        let (height, _) = self.block_of(index);
        Some(ReportedView { height: height.0, event_id: report.into() })
    }
}
