//! What an event does to a line of units: one, and the containers around it, innermost first.
//!
//! This mirrors `rules::contain`: who is named, in which order heads are extended, when a stay begins and
//! when it ends. It decides nothing; whoever plays events back compares heads.

use alloc::vec::Vec;

use consign_types::event::{Action, Event};
use consign_types::unit::UnitId;

/// What an event does to a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Touch<'e> {
    /// Position in the line of the innermost unit that the event names.
    pub inner: usize,
    /// Position of the outermost one.
    pub outer: usize,
    /// What becomes of the innermost one's stay.
    pub stay: Change<'e>,
}

/// What becomes of a stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change<'e> {
    /// As it was.
    Same,
    /// It begins: the end of the line is put into this unit.
    Begins(&'e UnitId),
    /// It ends, once the event is recorded.
    Ends,
    /// It ends if the handover made the unit contested.
    EndsIfContested,
}

/// What `event` does to `line`; `None` where it names no unit of it, or could not happen to it.
pub fn touch<'e>(line: &[&UnitId], event: &'e Event) -> Option<Touch<'e>> {
    let subject = event.subject.unit()?;
    let at = line.iter().position(|unit| *unit == subject);
    let alone = |stay| at.map(|at| Touch { inner: at, outer: at, stay });
    match &event.action {
        Action::Aggregate { children } => match inside(line, children)?[..] {
            [] => alone(Change::Same),
            // Only what is free enters, and nothing enters what is inside of it.
            [child] if child + 1 == line.len() && at.is_none() => {
                Some(Touch { inner: child, outer: child, stay: Change::Begins(subject) })
            }
            _ => None,
        },
        Action::Disaggregate { children } => match inside(line, children)?[..] {
            [] => alone(Change::Same),
            [child] if at == Some(child + 1) => {
                Some(Touch { inner: child, outer: child + 1, stay: Change::Ends })
            }
            _ => None,
        },
        Action::Handover { .. } if at.is_some_and(|at| at + 1 < line.len()) => {
            alone(Change::EndsIfContested)
        }
        _ => alone(Change::Same),
    }
}

/// Positions in the line of the units that an event names as children; `None` for more than one.
fn inside(line: &[&UnitId], children: &[UnitId]) -> Option<Vec<usize>> {
    let found: Vec<usize> = (0..line.len())
        .filter(|at| line.get(*at).is_some_and(|unit| children.binary_search(unit).is_ok()))
        .collect();
    (found.len() <= 1).then_some(found)
}
