//! What an error comes from: messages name their own news alone, so whoever prints walks the chain.

use std::error::Error;
use std::iter::successors;

/// The causes of `error`, nearest first, without itself.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(error.source(), |cause| (*cause).source())
}

/// `error` and what it comes from, on one line. A cause whose words already stand there is left out: some
/// libraries print theirs and also name it.
pub fn on_one_line(error: &(dyn Error + 'static)) -> String {
    causes(error).fold(error.to_string(), |said, cause| {
        let more = cause.to_string();
        if said.contains(&more) { said } else { format!("{said}: {more}") }
    })
}
