//! What an error comes from: messages name their own news alone, so whoever prints walks the chain.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::error::Error;
use core::iter::successors;

/// The causes of `error`, nearest first, without itself.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(error.source(), |cause| (*cause).source())
}

/// `error` and what it comes from, on one line. A cause whose words already stand there is left out: some
/// libraries print theirs and also name it.
pub fn on_one_line(error: &dyn Error) -> String {
    causes(error).fold(error.to_string(), |said, cause| {
        let more = cause.to_string();
        if said.contains(&more) { said } else { format!("{said}: {more}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Disk;

    #[derive(Debug, thiserror::Error)]
    enum Write {
        #[error("it cannot be kept")]
        Named(#[source] Disk),
        #[error("it cannot be kept: {0}")]
        Repeated(#[source] Disk),
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no vote")]
    struct Vote(#[source] Write);

    #[test]
    fn each_cause_is_said_once() {
        for write in [Write::Named(Disk), Write::Repeated(Disk)] {
            let line = on_one_line(&Vote(write));
            assert_eq!(line, "no vote: it cannot be kept: the disk is full");
        }
        assert_eq!(on_one_line(&Disk), "the disk is full");
    }
}
