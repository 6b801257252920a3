//! The parameters that all nodes share, as the command line names them.

use clap::Args;
use consign_types::genesis::Params;

/// What is named, and for the rest what was before: the defaults, or what is in force.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ParamsArgs {
    /// Shortest time between two blocks when busy; a new network begins with 100
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub block_interval_ms: Option<u32>,
    /// How long a spent basis still contests the present one; a new network begins with 604800000, 7 days
    #[arg(long, value_name = "MS")]
    pub contest_window_ms: Option<u64>,
    /// How long after a delivery its taker may return the unit; a new network begins with 2592000000, 30 days
    #[arg(long, value_name = "MS")]
    pub return_window_ms: Option<u64>,
    /// Whether everybody may read, or holders of a token alone; a new network begins with true
    #[arg(long, value_name = "BOOL")]
    pub open_reading: Option<bool>,
}

impl ParamsArgs {
    /// These parameters with what is named in its place.
    pub fn on(&self, before: Params) -> Params {
        Params {
            block_interval_ms: self.block_interval_ms.unwrap_or(before.block_interval_ms),
            contest_window_ms: self.contest_window_ms.unwrap_or(before.contest_window_ms),
            return_window_ms: self.return_window_ms.unwrap_or(before.return_window_ms),
            open_reading: self.open_reading.unwrap_or(before.open_reading),
        }
    }
}

/// Who may read, in words.
pub const fn readers(open_reading: bool) -> &'static str {
    if open_reading { "everybody" } else { "holders of a token" }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        params: ParamsArgs,
    }

    #[test]
    fn what_is_named_is_taken_and_the_rest_stays() {
        let of = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.params);
        let before = Params::default();
        assert_eq!(of("x").unwrap().on(before), before);
        let closed = of("x --open-reading false").unwrap().on(before);
        assert_eq!(closed, Params { open_reading: false, ..before });
        let all = "x --open-reading true --block-interval-ms 250 --contest-window-ms 1 --return-window-ms 2";
        let expected = Params {
            block_interval_ms: 250,
            contest_window_ms: 1,
            return_window_ms: 2,
            open_reading: true,
        };
        assert_eq!(of(all).unwrap().on(closed), expected);
        for bad in ["x --block-interval-ms 0", "x --block-interval-ms 60001", "x --open-reading no"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    /// What the help says a new network begins with is what it begins with.
    #[test]
    fn the_help_names_the_defaults() {
        let command = <Line as clap::CommandFactory>::command();
        let helps: Vec<String> =
            command.get_arguments().filter_map(|arg| Some(arg.get_help()?.to_string())).collect();
        let Params { block_interval_ms, contest_window_ms, return_window_ms, open_reading } =
            Params::default();
        let expected = [
            format!("begins with {block_interval_ms}"),
            format!("begins with {contest_window_ms}, 7 days"),
            format!("begins with {return_window_ms}, 30 days"),
            format!("begins with {open_reading}"),
        ];
        for (help, expected) in helps.iter().zip(&expected) {
            assert!(help.ends_with(expected), "{help}");
        }
        assert!(helps.len() >= expected.len(), "{helps:?}");
    }
}
