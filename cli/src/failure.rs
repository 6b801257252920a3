//! Why a command did not succeed: one sentence, one exit code, one thing to do next.
//!
//! A script reads the exit code, a person reads the sentence and the help. Nothing here prints.

use std::fmt;
use std::path::Path;

use consign_types::causes::on_one_line;

/// What the process says to its caller; the table is in `consign --help`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Network, disk, timeout.
    Operational = 1,
    /// A command line that means nothing.
    Usage = 2,
    /// Not verified: integrity failed.
    Integrity = 3,
    /// Integrity holds, trust is not established.
    Trust = 4,
    /// Not proven yet, or evidence is incomplete.
    Incomplete = 5,
    /// Proof of misbehaviour was found.
    Misbehaviour = 6,
    /// Refused by a rule, a permission or a version.
    Refused = 7,
}

/// A command that did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What the process exits with.
    pub exit: Exit,
    /// Stable name, for scripts: `node_unreachable`, `not_custodian`.
    pub code: String,
    /// One sentence, lower case, with the values.
    pub message: String,
    /// What to do next.
    pub help: String,
}

impl Failure {
    /// A failure of this exit code.
    pub fn new(
        exit: Exit,
        code: &str,
        message: impl fmt::Display,
        help: impl fmt::Display,
    ) -> Self {
        let (message, help) = (message.to_string(), help.to_string());
        Self { exit, code: code.to_owned(), message, help }
    }

    /// Something in the world around: a disk, a network, a process.
    pub fn operational(code: &str, message: impl fmt::Display, help: impl fmt::Display) -> Self {
        Self::new(Exit::Operational, code, message, help)
    }

    /// A command line, or an input file, that means nothing.
    pub fn usage(code: &str, message: impl fmt::Display, help: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, code, message, help)
    }

    /// A file or directory that could not be `verb`ed.
    pub fn file(verb: &str, path: &Path, cause: impl std::error::Error) -> Self {
        let message = format!("cannot {verb} {}: {}", path.display(), on_one_line(&cause));
        Self::operational("file", message, "check that the path exists and who owns it")
    }
}

/// `error[code]: sentence`, then `help: what to do next`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}\nhelp: {}", self.code, self.message, self.help)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_a_code_a_sentence_and_what_to_do_next() {
        let failure = Failure::file(
            "read",
            Path::new("genesis.cbor"),
            std::io::Error::from(std::io::ErrorKind::NotFound),
        );
        insta::assert_snapshot!(failure, @r"
        error[file]: cannot read genesis.cbor: entity not found
        help: check that the path exists and who owns it
        ");
    }
}
