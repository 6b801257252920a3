//! What a command says: data on standard output, everything else on standard error.
//!
//! A result is printed once, as text for people or as JSON for programs, never as a mixture. Nothing
//! moves on a screen that is none, and `NO_COLOR` is respected by drawing in no colour at all.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// A result that a command prints.
pub trait Report: Serialize {
    /// The text for people, without a final newline.
    fn text(&self) -> String;
}

/// Where a command speaks.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    format: Format,
    quiet: bool,
}

impl Console {
    /// A console that prints results as `format`; a quiet one prints results and errors alone.
    pub const fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Prints a result on standard output.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn result(&self, report: &impl Report) -> Result<(), Failure> {
        let text = match self.format {
            Format::Text => report.text(),
            Format::Json => serde_json::to_string_pretty(report)
                .map_err(|e| Failure::operational("output", e, "report this as a defect"))?,
        };
        self.data(format!("{text}\n").as_bytes())
    }

    /// Writes raw bytes to standard output.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| {
            Failure::operational(
                "output",
                format!("cannot write the result: {e}"),
                "keep the pipe open",
            )
        })
    }

    /// Says how things go, on standard error.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Prints a failure on standard error, as JSON where results are JSON.
    pub fn failure(&self, failure: &Failure) {
        match self.format {
            Format::Text => eprintln!("{failure}"),
            Format::Json => eprintln!(
                "{}",
                serde_json::json!({"error": {
                    "code": failure.code,
                    "exit": failure.exit as u8,
                    "message": failure.message,
                    "help": failure.help,
                }})
            ),
        }
    }

    /// A bar over `total` steps; invisible where nobody looks.
    pub fn bar(&self, total: u64) -> ProgressBar {
        let seen = !self.quiet && io::stderr().is_terminal();
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("  {wide_bar} {percent:>3} %  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(total), target).with_style(style)
    }

    /// Whether a bar would be seen: where not, milestones are told in lines.
    pub fn animates(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}
