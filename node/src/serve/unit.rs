//! A unit's state as a view.

use consign_ledger::entry::{EntryKey, read};
use consign_ledger::unit::{
    Closed, Counters, Custody, Journey, Pending, Proposal, Seal, UnitState,
};
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::views::{
    BookingView, ClosedWhy, ConditionView, ContainView, CountersView, CustodyView, JourneyView,
    OwnAndEffective, PendingView, SealView, UnitView,
};
use consign_types::block::Height;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::{Serving, text};

impl Serving {
    pub(super) fn unit_view(
        &self,
        unit: &UnitId,
        height: Option<Height>,
    ) -> Result<UnitView, RpcError> {
        let committed = &self.parts.committed;
        let tip = committed.tip();
        if height.is_some_and(|height| height != tip.height()) {
            let why = "this node answers for its last block only";
            return Err(RpcError::new(ErrorKind::ProofUnavailable, why));
        }
        let find = |unit: &UnitId| -> Option<UnitState> {
            read(&**committed, &EntryKey::Unit(unit.clone()))
        };
        let state =
            find(unit).ok_or_else(|| RpcError::not_found(format!("{unit} is not registered")))?;
        let mut around: Vec<(UnitId, UnitState)> = Vec::new();
        let mut next = state.inside.as_ref().map(|inside| inside.parent.clone());
        while let Some(parent) = next {
            let Some(container) = find(&parent) else { break };
            next = container.inside.as_ref().map(|inside| inside.parent.clone());
            around.push((parent, container));
        }
        let root = around.last().map_or(&state, |(_, root)| root);
        let custody = root.custody_at(tip.record.time);
        let own = condition(&state);
        let effective = around.iter().fold(own, |sum, (_, container)| {
            let other = condition(container);
            ConditionView {
                excursion: sum.excursion || other.excursion,
                damaged: sum.damaged || other.damaged,
                hold: sum.hold || other.hold,
            }
        });
        Ok(UnitView {
            unit: unit.clone().into(),
            height: tip.height().0,
            owner: state.owner.clone().into(),
            custodian: match &custody {
                Custody::Held(party) | Custody::Offered { by: party, .. } => {
                    Some(party.clone().into())
                }
                Custody::Contested { .. } | Custody::Closed { .. } => None,
            },
            custody: custody_view(custody),
            contain: match around.is_empty() {
                true => ContainView::Free,
                false => ContainView::In {
                    around: around.iter().map(|(unit, _)| text(unit.clone())).collect(),
                },
            },
            seal: match &state.seal {
                Seal::None => SealView::None,
                Seal::Sealed(ids) => {
                    SealView::Sealed { ids: ids.iter().cloned().map(text).collect() }
                }
                Seal::Broken { authorised } => SealView::Broken { authorised: *authorised },
            },
            condition: OwnAndEffective { own, effective },
            journey: journey_view(&root.journey),
            counters: OwnAndEffective {
                own: counters_view(state.counters),
                effective: counters_view(effective_counters(&state, &around)),
            },
            holds: state.holds.iter().copied().map(text).collect(),
            pending: pending_views(&state, tip.record.time),
            blocked_inside: state.blocked_inside,
            basis: state.basis.into(),
            booking: state.booking.as_ref().map(|booking| BookingView {
                receiver: booking.receiver.clone().into(),
                from: booking.window.from.into(),
                to: booking.window.to.into(),
                factors: booking.factors.iter().map(text).collect(),
            }),
            events: state.events,
            head: state.head.into(),
        })
    }
}

/// `effective(u) = own(u) + effective(p) - anchor(u)`, from the outermost unit inwards.
fn effective_counters(state: &UnitState, around: &[(UnitId, UnitState)]) -> Counters {
    let inwards = around.iter().rev().map(|(_, container)| container);
    let mut outer = Counters::default();
    for unit in inwards.chain(core::iter::once(state)) {
        let anchor = unit.inside.as_ref().map_or(outer, |inside| inside.anchor);
        outer = unit.counters.plus(outer.minus(anchor));
    }
    outer
}

/// What still waits at `now`: what ran out or rests on an earlier basis is nobody's concern any more.
fn pending_views(state: &UnitState, now: Millis) -> Vec<PendingView> {
    let waits = |pending: &&Pending| pending.is_open(state.basis, now);
    let view = |pending: &Pending| PendingView {
        event: pending.event.into(),
        kind: text(pending.what.kind()),
        by: pending.by.clone().into(),
        holder: match &pending.what {
            Proposal::Resolve { holder } => Some(holder.clone().into()),
            Proposal::Return | Proposal::Close(_) | Proposal::Correct { .. } => None,
        },
        corrects: match &pending.what {
            Proposal::Correct { original } => Some((*original).into()),
            _ => None,
        },
        awaits: pending.open.iter().cloned().map(text).collect(),
        until: pending.until.into(),
    };
    state.pending.iter().filter(waits).map(view).collect()
}

const fn condition(state: &UnitState) -> ConditionView {
    ConditionView {
        excursion: state.excursion_open,
        damaged: state.damaged,
        hold: !state.holds.is_empty(),
    }
}

fn custody_view(custody: Custody) -> CustodyView {
    match custody {
        Custody::Held(party) => CustodyView::Held { custodian: party.into() },
        Custody::Offered { by, to, until, offer } => CustodyView::Offered {
            custodian: by.into(),
            to: to.into(),
            until: until.into(),
            offer: offer.into(),
        },
        Custody::Contested { holder, claimant } => {
            CustodyView::Contested { claimants: vec![holder.into(), claimant.into()] }
        }
        Custody::Closed { why, by, .. } => {
            let why = match why {
                Closed::Delivered => ClosedWhy::Delivered,
                Closed::Lost => ClosedWhy::Lost,
                Closed::Destroyed => ClosedWhy::Destroyed,
            };
            CustodyView::Closed { why, by: by.into() }
        }
    }
}

fn journey_view(journey: &Journey) -> JourneyView {
    match journey {
        Journey::At { place, aboard } => JourneyView::At {
            place: Some(place.clone().into()),
            conveyance: aboard.clone().map(text),
        },
        Journey::Moving { conveyance, .. } => {
            JourneyView::Moving { conveyance: conveyance.clone().map(text), from: None }
        }
    }
}

const fn counters_view(counters: Counters) -> CountersView {
    CountersView {
        excursions: counters.excursions,
        holds: counters.holds,
        seal_breaks: counters.seal_breaks,
        exceptions: counters.exceptions,
        discontinuities: counters.discontinuities,
        reading_gaps: counters.reading_gaps,
    }
}
