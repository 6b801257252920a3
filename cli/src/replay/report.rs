//! What a replay came to: plain figures, measured.

use serde::Serialize;

use crate::console::Report;

/// The figures of a replay.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// What was replayed.
    pub traffic: String,
    /// Whether the traffic was made up.
    pub synthetic: bool,
    /// Events sent.
    pub submitted: u64,
    /// Events of these that were proven.
    pub proven: u64,
    /// Events of these that the network had before.
    pub duplicates: u64,
    /// Events refused by a rule.
    pub refused: u64,
    /// Events that were not sent, because they rest on a refused one.
    pub dropped: u64,
    /// The first refusals, in words.
    pub refusals: Vec<String>,
    /// From the first submission to the last proof.
    pub seconds: f64,
    /// Events proven in a second.
    pub events_per_s: f64,
    /// Half of the events were proven in less, milliseconds from the submission.
    pub p50_ms: u64,
    /// All but one in a hundred were.
    pub p99_ms: u64,
    /// Milestones in the data.
    pub milestones: u64,
    /// Milestones that are on the log.
    pub milestones_proven: u64,
    /// Units.
    pub units: u64,
    /// Units that the ledger flags for a place discontinuity.
    pub flagged: Vec<String>,
    /// Units that the data say should be flagged.
    pub expected: Vec<String>,
}

impl Figures {
    /// Whether everything that was asked for came to be, and exactly the right units are flagged.
    pub fn holds(&self) -> bool {
        self.refused == 0
            && self.dropped == 0
            && self.proven + self.duplicates == self.submitted
            && self.milestones_proven == self.milestones
            && self.flagged == self.expected
    }

    /// The one line.
    pub fn line(&self) -> String {
        format!(
            "submitted {}  proven {}  duplicates {}  refused {}  events/s {:.0}  p50 {} ms  p99 {} ms",
            self.submitted,
            self.proven,
            self.duplicates,
            self.refused,
            self.events_per_s,
            self.p50_ms,
            self.p99_ms
        )
    }

    /// Takes latencies in milliseconds.
    pub fn set_latencies(&mut self, mut ms: Vec<u64>) {
        ms.sort_unstable();
        self.p50_ms = percentile(&ms, 50);
        self.p99_ms = percentile(&ms, 99);
    }
}

impl Report for Figures {
    fn text(&self) -> String {
        let made_up = if self.synthetic {
            "This traffic is synthetic: nothing in it happened."
        } else {
            "Durations are real; start times and party names are synthetic."
        };
        let flagged = match self.flagged.as_slice() {
            [] => "none".to_owned(),
            units => units.join(", "),
        };
        let as_data = if self.flagged == self.expected {
            "as the data have it".to_owned()
        } else {
            format!("the data have {}: {}", self.expected.len(), self.expected.join(", "))
        };
        let mut lines = vec![
            format!("{}. {made_up}", self.traffic),
            format!(
                "milestones {} of {} on the log, {} units",
                self.milestones_proven, self.milestones, self.units
            ),
            format!("place discontinuities {} ({as_data}): {flagged}", self.flagged.len()),
        ];
        lines.extend(self.refusals.iter().map(|refusal| format!("refused: {refusal}")));
        lines.push(self.line());
        lines.join("\n")
    }
}

/// The value that `percent` of the sorted values do not exceed (nearest rank); 0 where there are none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures {
            traffic: "synthetic day of traffic, seed 1, 2 shipments".to_owned(),
            synthetic: true,
            submitted: 40,
            proven: 40,
            seconds: 0.5,
            events_per_s: 80.0,
            milestones: 20,
            milestones_proven: 20,
            units: 4,
            flagged: vec!["00/195200000100000014".to_owned()],
            expected: vec!["00/195200000100000014".to_owned()],
            ..Figures::default()
        };
        figures.set_latencies((1..=200).rev().collect());
        figures
    }

    #[test]
    fn figures_read_as_plain_lines() {
        assert!(figures().holds());
        insta::assert_snapshot!(figures().text());
    }

    #[test]
    fn a_replay_does_not_hold_when_anything_is_refused_missing_or_wrongly_flagged() {
        for spoil in [
            (|f| f.refused = 1) as fn(&mut Figures),
            |f| f.proven -= 1,
            |f| f.milestones_proven -= 1,
            |f| f.flagged.clear(),
        ] {
            let mut figures = figures();
            spoil(&mut figures);
            assert!(!figures.holds());
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let figures = figures();
        assert_eq!((figures.p50_ms, figures.p99_ms), (100, 198));
        assert_eq!(percentile(&[], 99), 0);
        assert_eq!(percentile(&[7], 50), 7);
    }
}
