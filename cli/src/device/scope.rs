//! What a device is enrolled for: kinds of event, places, classes of unit.

use clap::Args;
use consign_types::claim::DeviceClass;
use consign_types::event::{Kind, KindSet};
use consign_types::limits::ENROL_SCOPES_MAX;
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitClass;

use crate::instant;

/// Words for several kinds at once.
const GROUPS: &[(&str, &[Kind])] = &[
    ("scans", &[Kind::Arrive, Kind::Depart, Kind::Load, Kind::Unload, Kind::Observe]),
    ("handovers", &[Kind::Offer, Kind::Accept, Kind::Refuse, Kind::Cancel, Kind::Handover]),
    ("seals", &[Kind::SealApply, Kind::SealVerify, Kind::SealBreak]),
    ("containers", &[Kind::Aggregate, Kind::Disaggregate]),
    ("sensing", &[Kind::Readings, Kind::Excursion]),
    ("deliveries", &[Kind::Attempt, Kind::Deliver]),
    (
        "desk",
        &[
            Kind::Register,
            Kind::Book,
            Kind::Consent,
            Kind::Correct,
            Kind::Return,
            Kind::Lost,
            Kind::Destroyed,
            Kind::Found,
            Kind::Report,
        ],
    ),
];

/// What a device of each class does, unless its member says otherwise.
const fn usual(class: DeviceClass) -> &'static [&'static str] {
    match class {
        DeviceClass::Scanner => {
            &["scans", "handovers", "seals", "containers", "deliveries", "exception"]
        }
        DeviceClass::Gateway => &["scans", "handovers", "containers", "exception"],
        DeviceClass::Vehicle => &["scans", "handovers", "exception"],
        DeviceClass::Locker => &["scans", "handovers", "deliveries", "exception"],
        DeviceClass::Sensor => &["sensing", "observe"],
        DeviceClass::Office => &["desk", "handovers", "exception"],
    }
}

/// Flags of an enrolment.
#[derive(Args, Clone, Debug, Default)]
pub struct ScopeArgs {
    /// Kinds of event, or scans, handovers, seals, containers, sensing, deliveries, desk; what is usual for
    /// its class where absent
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    may: Vec<String>,
    /// Places that it may sign for, as GLNs; any where absent
    #[arg(long, value_name = "PLACE", value_delimiter = ',')]
    places: Vec<String>,
    /// Classes of unit that it may sign for: 00, 01, s10, bic, trk; any where absent
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    units: Vec<String>,
    /// Until when it may sign: 2026-11-22T12:00:03Z; without an end where absent
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    until: Option<Millis>,
}

/// What a device may sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// Kinds of event.
    pub kinds: KindSet,
    /// Places, ascending; any where empty.
    pub places: Vec<Place>,
    /// Classes of unit, ascending; any where empty.
    pub classes: Vec<UnitClass>,
    /// Until when, by block time; without an end where absent.
    pub until: Option<Millis>,
}

/// A word that means nothing, and which of the three lists it stands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadScope {
    /// `kinds`, `places` or `units`.
    pub list: &'static str,
    /// Why.
    pub why: String,
}

impl ScopeArgs {
    /// The scope of a device of this class.
    ///
    /// # Errors
    /// The first word that means nothing.
    pub fn scope(&self, class: DeviceClass) -> Result<Scope, BadScope> {
        let scope = Scope::parse(
            self.may.iter().map(String::as_str),
            self.places.iter().map(String::as_str),
            self.units.iter().map(String::as_str),
            class,
        )?;
        Ok(Scope { until: self.until, ..scope })
    }
}

impl Scope {
    /// Reads the three lists; without kinds, those that are usual for the class.
    ///
    /// # Errors
    /// The first word that means nothing.
    pub fn parse<'a>(
        kinds: impl IntoIterator<Item = &'a str>,
        places: impl IntoIterator<Item = &'a str>,
        classes: impl IntoIterator<Item = &'a str>,
        class: DeviceClass,
    ) -> Result<Self, BadScope> {
        let mut words: Vec<&str> = kinds.into_iter().collect();
        if words.is_empty() {
            words = usual(class).to_vec();
        }
        let bad = |list, why| BadScope { list, why };
        let mut set = Vec::new();
        for word in words {
            match GROUPS.iter().find(|(name, _)| *name == word) {
                Some((_, kinds)) => set.extend_from_slice(kinds),
                None => set.push(word.parse().map_err(|why| bad("kinds", why))?),
            }
        }
        if let Some(kind) = set.iter().find(|kind| kind.is_members_own()) {
            return Err(bad("kinds", format!("{kind} is for a member's own key alone")));
        }
        let places = places
            .into_iter()
            .map(|place| place.parse::<Place>().map_err(|e| bad("places", e.to_string())));
        let classes = classes.into_iter().map(|class| {
            let known = UnitClass::from_prefix(class);
            known.ok_or_else(|| {
                bad("units", format!("{class:?} is no class of unit: 00, 01, s10, bic, trk"))
            })
        });
        let places = ascending(places)?;
        if places.len() > ENROL_SCOPES_MAX {
            let why = format!("{} places; {ENROL_SCOPES_MAX} at most", places.len());
            return Err(bad("places", why));
        }
        Ok(Self { kinds: KindSet::of(&set), places, classes: ascending(classes)?, until: None })
    }
}

/// A set has one encoding.
fn ascending<T: Ord>(items: impl Iterator<Item = Result<T, BadScope>>) -> Result<Vec<T>, BadScope> {
    let mut items = items.collect::<Result<Vec<T>, BadScope>>()?;
    items.sort();
    items.dedup();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(words: &[&str], class: DeviceClass) -> Result<String, BadScope> {
        let scope = Scope::parse(words.iter().copied(), [], [], class)?;
        Ok(scope.kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_word_stands_for_a_kind_or_for_several() {
        let scanner = DeviceClass::Scanner;
        assert_eq!(
            kinds(&["seals", "arrive"], scanner).unwrap(),
            "arrive seal-apply seal-verify seal-break"
        );
        assert_eq!(kinds(&[], DeviceClass::Sensor).unwrap(), "observe readings excursion");
        for class in DeviceClass::ALL {
            assert!(kinds(&[], *class).is_ok(), "{class}");
        }
        let bad = kinds(&["scans", "fly"], scanner).unwrap_err();
        assert_eq!((bad.list, bad.why.as_str()), ("kinds", "\"fly\" is not a kind of event"));
        let bad = kinds(&["revoke"], scanner).unwrap_err();
        assert_eq!(bad.why, "revoke is for a member's own key alone");
    }

    #[test]
    fn places_and_classes_are_sets() {
        let (one, other) = ("414/9521321000018", "414/4012345000009");
        let scope =
            Scope::parse(["arrive"], [one, other, one], ["bic", "00", "bic"], DeviceClass::Office);
        let scope = scope.unwrap();
        assert_eq!(scope.places.len(), 2);
        assert!(scope.places[0] < scope.places[1]);
        assert_eq!(scope.classes, [UnitClass::Sscc, UnitClass::Bic]);
        let bad = Scope::parse(["arrive"], [], ["box"], DeviceClass::Office).unwrap_err();
        assert_eq!(bad.list, "units");
    }
}
