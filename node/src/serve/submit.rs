//! Taking events: offering them to the pool, telling why one was refused, and waiting for the others.

use std::pin::pin;
use std::time::Duration;

use consign_ledger::errors::Rejection;
use consign_rpc::backend::Submitter;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::params::Wait;
use consign_rpc::views::{EventStatus, Submitted};
use consign_types::digest::EventId;
use consign_types::event::{NotVerified, SignedEvent};

use super::Serving;
use crate::pool::{Admission, Refused};

impl Serving {
    /// Takes events, and waits for those that are taken until `wait` is reached, for as long as there is time and
    /// the submitter is not hurried.
    pub(super) async fn take(
        &self,
        envelopes: Vec<Vec<u8>>,
        wait: Wait,
        timeout: Duration,
        submitter: &dyn Submitter,
    ) -> Vec<Result<Submitted, RpcError>> {
        let count = envelopes.len();
        let offered = self.blocking(move |own| Ok(own.offer(envelopes))).await;
        let offered = match offered {
            Ok(offered) => offered,
            Err(error) => return vec![Err(error); count],
        };
        let forged = offered.iter().flatten().filter(|(_, admission)| is_forged(admission)).count();
        if forged > 0 {
            submitter.forged(forged);
        }
        let mut patience = pin!(async {
            let hurried = submitter.hurried();
            // Whether there was time or a hurry, whoever waits is told what was reached.
            let _ = tokio::time::timeout(timeout, hurried).await;
        });
        for (id, admission) in offered.iter().flatten() {
            if matches!(admission, Admission::Refused(_)) {
                continue;
            }
            tokio::select! {
                biased;
                () = self.has_reached(*id, wait) => {}
                () = &mut patience => break,
            }
        }
        let answers = self.blocking(move |own| Ok(own.answers(offered))).await;
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// What became of events that were offered.
    fn answers(
        &self,
        offered: Vec<Result<(EventId, Admission), RpcError>>,
    ) -> Vec<Result<Submitted, RpcError>> {
        let answer = |offered: Result<(EventId, Admission), RpcError>| {
            let (id, admission) = offered?;
            if let Admission::Refused(refused) = &admission {
                return Err(refusal(id, refused));
            }
            let duplicate = matches!(admission, Admission::Known | Admission::Committed);
            let status = self.status_of(&id);
            match (&status, self.parts.pool.refusal(&id)) {
                // Refused while it waited: the answer is the refusal.
                (EventStatus::Refused { .. }, Some(refused)) => Err(refusal(id, &refused)),
                _ => Ok(Submitted { event_id: id.into(), status, duplicate }),
            }
        };
        offered.into_iter().map(answer).collect()
    }

    /// Checks events and offers those that are new; the pool passes them on.
    fn offer(&self, envelopes: Vec<Vec<u8>>) -> Vec<Result<(EventId, Admission), RpcError>> {
        let decoded: Vec<_> =
            envelopes.iter().map(|bytes| SignedEvent::decode_submitted(bytes)).collect();
        let events: Vec<_> = decoded.iter().filter_map(|d| d.as_ref().ok()).cloned().collect();
        let admissions = self.parts.pool.submit(events, &self.quotas);
        let mut admissions = admissions.into_iter();
        decoded
            .into_iter()
            .map(|decoded| {
                let event = decoded.map_err(RpcError::malformed_event)?;
                let admission = admissions.next().unwrap_or(Admission::Known);
                Ok((event.id(), admission))
            })
            .collect()
    }

    /// Done once an event has come as far as `wait` says, or will not.
    async fn has_reached(&self, id: EventId, wait: Wait) {
        let is_there: fn(&EventStatus) -> bool = match wait {
            Wait::None | Wait::Accepted => return,
            Wait::Committed => EventStatus::is_committed,
            Wait::Proven => EventStatus::is_proven,
        };
        let mut progress = self.parts.committed.progress();
        loop {
            progress.borrow_and_update();
            let status = self.blocking(move |own| Ok(own.status_of(&id))).await;
            // Where it cannot be read the node is stopping.
            let Ok(status) = status else { return };
            if is_there(&status) || matches!(status, EventStatus::Refused { .. }) {
                return;
            }
            if progress.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether its signature was checked and does not hold.
const fn is_forged(admission: &Admission) -> bool {
    matches!(admission, Admission::Refused(Refused::NotVerified(NotVerified::Signature(_))))
}

/// What a refusal is at the door.
fn refusal(id: EventId, refused: &Refused) -> RpcError {
    let error = match refused {
        Refused::NotVerified(NotVerified::Signature(_)) => {
            RpcError::new(ErrorKind::BadSignature, refused)
        }
        Refused::NotVerified(NotVerified::UnknownKey(_))
        | Refused::Rule { rejection: Rejection::UnknownDevice { .. }, .. } => {
            RpcError::new(ErrorKind::UnknownDevice, refused)
        }
        Refused::Rule { rejection: Rejection::SequenceUsed { .. }, .. } => {
            RpcError::new(ErrorKind::SequenceConflict, refused).with_code(refused.code())
        }
        Refused::Rule {
            rejection: Rejection::RevokedKey { .. } | Rejection::SuspendedKey { .. },
            ..
        } => RpcError::new(ErrorKind::RevokedKey, refused).with_code(refused.code()),
        Refused::Rule { .. } | Refused::Orphaned => {
            RpcError::rule(refused.code(), refused, refused.retryable())
        }
        Refused::Full => RpcError::new(ErrorKind::PoolFull, refused).with_retry_after_ms(500),
        Refused::Quota(exceeded) => {
            RpcError::new(ErrorKind::Quota, refused).with_retry_after_ms(exceeded.retry_after_ms)
        }
    };
    error.with_event(id)
}
