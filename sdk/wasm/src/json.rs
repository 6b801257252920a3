//! Writes a [`Verification`] as JSON, in the names that `consign verify --output json` uses.

use alloc::string::String;
use core::fmt::Write as _;

use consign_ledger::answers::{Answer, Verification};

/// The object that JavaScript gets.
pub fn json(found: &Verification) -> String {
    let mut to = String::from("{\"verified\":");
    to.push_str(if found.verified { "true" } else { "false" });
    field(&mut to, "code", found.code());
    field(&mut to, "subject", &found.subject);
    answer(&mut to, "integrity", &found.integrity);
    answer(&mut to, "trust", &found.trust);
    answer(&mut to, "completeness", &found.completeness);
    answer(&mut to, "time", &found.time);
    if let Some(told) = &found.told {
        field(&mut to, "holder", &told.holder);
        list(&mut to, "flags", told.flags.iter(), |to, flag| string(to, flag.as_str()));
        list(&mut to, "story", told.story.iter(), |to, line| string(to, line));
    }
    if !found.accused.is_empty() {
        list(&mut to, "accused", found.accused.iter(), |to, accused| string(to, accused));
    }
    list(&mut to, "unmet", found.unmet.iter(), |to, unmet| {
        to.push_str("{\"code\":");
        string(to, unmet.code);
        field(to, "detail", &unmet.detail);
        to.push('}');
    });
    to.push('}');
    to
}

fn answer(to: &mut String, name: &str, answer: &Answer) {
    key(to, name);
    to.push_str("{\"verdict\":");
    string(to, answer.verdict.code());
    field(to, "detail", &answer.detail);
    to.push('}');
}

fn list<T>(
    to: &mut String,
    name: &str,
    items: impl Iterator<Item = T>,
    one: impl Fn(&mut String, T),
) {
    key(to, name);
    to.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            to.push(',');
        }
        one(to, item);
    }
    to.push(']');
}

fn field(to: &mut String, name: &str, value: &str) {
    key(to, name);
    string(to, value);
}

fn key(to: &mut String, name: &str) {
    to.push(',');
    string(to, name);
    to.push(':');
}

fn string(to: &mut String, text: &str) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            // A `String` takes everything.
            c if c < ' ' => drop(write!(to, "\\u{:04x}", u32::from(c))),
            c => to.push(c),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn whatever_a_file_says_stays_inside_its_string() {
        let mut to = String::new();
        string(&mut to, "a\"b\\c\n\u{0}\u{e9}</script>");
        assert_eq!(to, "\"a\\\"b\\\\c\\u000a\\u0000\u{e9}</script>\"");
    }
}
