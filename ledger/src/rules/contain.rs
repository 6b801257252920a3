//! Rows that put units into others and take them out, and the arithmetic of containment.
//!
//! An event changes only the units it names, plus the counts on the at most 6 units around them. What
//! happens to a container reaches everything in it through its effective counters: a unit keeps those of
//! the moment it entered as its anchor, and folds the difference into its own when it leaves.

use alloc::vec::Vec;

use consign_types::digest::EventId;
use consign_types::event::Event;
use consign_types::limits::{DEPTH_MAX, HOLDS_MAX};
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Custody, Inside, Journey, UnitState};

/// aggregate | C | children Held(C), Free, same place; the parent's root Held(C), not Offered; parent and
/// all around it neither Sealed nor on Hold | children In(parent)
pub fn aggregate<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    parent: &UnitId,
    children: &[UnitId],
) -> Result<(), Rejection> {
    let container = tx.unit(parent)?;
    need_accessible(tx, event, parent, &container)?;
    let here = place_of(tx, parent, &container)?;
    let depth = tx.around(&container).len() + 1;
    let root = tx.root(parent, &container).0;
    for child in children {
        let state = tx.unit(child)?;
        tx.need_free(child, &state)?;
        if *child == root {
            return Err(Rejection::Cycle { unit: child.clone() });
        }
        tx.need_held(child, &state, event.signer.party())?;
        if place_of(tx, child, &state)? != here {
            return Err(Rejection::ElsewherePlace { unit: child.clone() });
        }
        if depth + state.height() > DEPTH_MAX {
            return Err(Rejection::TooDeep { unit: child.clone() });
        }
    }
    // The container first: a child's head covers the container's head after this event.
    tx.record(parent)?;
    for child in children {
        enter(tx, child, parent)?;
        tx.record(child)?;
    }
    Ok(())
}

/// disaggregate | C | children In(parent); the rest as for aggregate | Free, Held(custodian of the root); a
/// new basis
pub fn disaggregate<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    parent: &UnitId,
    children: &[UnitId],
) -> Result<(), Rejection> {
    let container = tx.unit(parent)?;
    need_accessible(tx, event, parent, &container)?;
    for child in children {
        let state = tx.unit(child)?;
        if state.inside.as_ref().is_none_or(|inside| inside.parent != *parent) {
            return Err(Rejection::NotInside { unit: child.clone(), parent: parent.clone() });
        }
    }
    tx.record(parent)?;
    for child in children {
        // While it is still inside: its stay ends with this event.
        tx.record(child)?;
        let basis = tx.id();
        leave(tx, child, basis)?;
    }
    Ok(())
}

/// The container can be reached: held by the signer, and neither it nor anything around it is sealed or
/// on hold.
fn need_accessible<V: StateView>(
    tx: &Tx<'_, V>,
    event: &Event,
    parent: &UnitId,
    container: &UnitState,
) -> Result<(), Rejection> {
    tx.need_held(parent, container, event.signer.party())?;
    let own = (parent.clone(), container.clone());
    for (unit, state) in core::iter::once(own).chain(tx.around(container)) {
        if state.is_sealed() {
            return Err(Rejection::Sealed { unit });
        }
        if !state.holds.is_empty() {
            return Err(Rejection::OnHold { unit });
        }
    }
    Ok(())
}

fn place_of<V: StateView>(
    tx: &Tx<'_, V>,
    unit: &UnitId,
    state: &UnitState,
) -> Result<consign_types::place::Place, Rejection> {
    match tx.root(unit, state).1.journey {
        Journey::At { place, .. } => Ok(place),
        Journey::Moving { .. } => Err(Rejection::Moving { unit: unit.clone() }),
    }
}

fn enter<V: StateView>(
    tx: &mut Tx<'_, V>,
    child: &UnitId,
    parent: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(child)?;
    let container = tx.unit(parent)?;
    let anchor = tx.effective(&container);
    let open_there = container.excursion_open
        || tx.around(&container).iter().any(|(_, around)| around.excursion_open);
    if open_there {
        // It began before the anchor, and yet reaches this unit from now on.
        state.counters.excursions = state.counters.excursions.saturating_add(1);
    }
    let (height, blocked) = (state.height(), state.blocked_inside.saturating_add(state.blocks()));
    state.inside = Some(Inside { parent: parent.clone(), anchor });
    tx.put(child, state);
    change_children(tx, parent, None, Some(height))?;
    change_blocked(tx, child, |count| count.saturating_add(blocked))
}

/// Takes a unit out of what it is in: the difference is folded, and what is open is copied.
pub fn leave<V: StateView>(
    tx: &mut Tx<'_, V>,
    child: &UnitId,
    basis: EventId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(child)?;
    let Some(inside) = state.inside.clone() else { return Ok(()) };
    let around = tx.around(&state);
    let blocked = state.blocked_inside.saturating_add(state.blocks());
    change_blocked(tx, child, |count| count.saturating_sub(blocked))?;

    let (_, root) = tx.root(child, &state);
    state.counters = tx.effective(&state);
    state.excursion_open |= around.iter().any(|(_, container)| container.excursion_open);
    state.damaged |= around.iter().any(|(_, container)| container.damaged);
    // Where not all have room, those of the innermost stay: with any of them the unit does not move.
    for hold in around.iter().flat_map(|(_, container)| &container.holds) {
        if state.holds.len() < HOLDS_MAX && !state.holds.contains(hold) {
            state.holds.push(*hold);
        }
    }
    state.journey = root.journey.clone();
    if basis != state.basis {
        state.renew_basis(basis, tx.time());
    }
    state.custody = Custody::Held(root.holder().clone());
    let height = state.height();
    state.inside = None;
    tx.put(child, state);
    change_children(tx, &inside.parent, Some(height), None)
}

/// A direct child of `unit` went, came, or changed its height; what that changes further out follows.
fn change_children<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    gone: Option<usize>,
    come: Option<usize>,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let before = state.height();
    if let Some(count) = gone.and_then(|height| state.children.get_mut(height)) {
        *count = count.saturating_sub(1);
    }
    if let Some(count) = come.and_then(|height| state.children.get_mut(height)) {
        *count = count.saturating_add(1);
    }
    let after = state.height();
    let parent = state.inside.as_ref().map(|inside| inside.parent.clone());
    tx.put(unit, state);
    match parent {
        Some(parent) if before != after => change_children(tx, &parent, Some(before), Some(after)),
        _ => Ok(()),
    }
}

/// Changes the count of stopped units on everything around `unit`.
pub fn change_blocked<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    change: impl Fn(u32) -> u32,
) -> Result<(), Rejection> {
    let state = tx.unit(unit)?;
    let around: Vec<_> = tx.around(&state);
    for (container, mut state) in around {
        state.blocked_inside = change(state.blocked_inside);
        tx.put(&container, state);
    }
    Ok(())
}
