//! What Rust code here must not say: impure names in pure rooms, unfinished work, tests that wait.

use std::path::Path;

use crate::tokens::{Token, begins_with, split_at_tests, tokens};
use crate::{assert_none, rust_files};

const PURE_ROOMS: [&str; 3] = ["types/src", "ledger/src", "consensus/src"];

/// Modules of `std` that reach out of the program. All of `core` and `alloc` is pure.
const IMPURE_MODULES: [&str; 7] = ["env", "fs", "io", "net", "process", "thread", "time"];

/// Names that are impure wherever they come from. Hash maps iterate in an order that differs between
/// validators, and floats round differently between machines.
const IMPURE_NAMES: [&str; 9] =
    ["HashMap", "HashSet", "Instant", "SystemTime", "f32", "f64", "getrandom", "rand", "tokio"];

#[test]
fn pure_rooms_name_no_clock_disk_network_thread_randomness_float_or_hash_map() {
    let mut findings = Vec::new();
    let mut files = 0;
    for file in rust_files() {
        if !PURE_ROOMS.iter().any(|room| file.path.starts_with(room)) || is_test_file(&file.path) {
            continue;
        }
        files += 1;
        let (shipped, _) = split_at_tests(&tokens(&file.text));
        findings.extend(impurities(&shipped).map(|(line, what)| file.finding(line, what)));
    }
    assert!(files >= PURE_ROOMS.len(), "only {files} files were checked");
    assert_none(&findings, "a pure room is told the time and answers with effects");
}

#[test]
fn nothing_is_left_undone_and_no_test_is_ignored() {
    let mut findings = Vec::new();
    for file in rust_files() {
        let tokens = tokens(&file.text);
        for (at, token) in tokens.iter().enumerate() {
            let is_macro = ["todo", "unimplemented", "dbg"].contains(&token.text.as_str())
                && begins_with(&tokens, at + 1, &["!"]);
            if is_macro {
                findings.push(file.finding(token.line, format!("{}!", token.text)));
            }
            if begins_with(&tokens, at, &["#", "[", "ignore"]) {
                findings.push(file.finding(token.line, "an ignored test"));
            }
        }
    }
    assert_none(&findings, "what is committed is finished, and every test runs");
}

/// The rig in `tests/src` neither: `wait.rs` looks again and again until a condition holds. Only the
/// benchmark waits for points in time, because it keeps to a schedule; it asserts nothing by them.
#[test]
fn tests_wait_for_a_condition_and_never_for_time_to_pass() {
    let mut findings = Vec::new();
    for file in rust_files() {
        let all = tokens(&file.text);
        let rig = file.path.starts_with("tests/src/");
        let tests = if rig || is_test_file(&file.path) { all } else { split_at_tests(&all).1 };
        let schedule = file.path.starts_with("tests/src/bench/");
        for (at, token) in tests.iter().enumerate() {
            let sleeps = ["sleep", "sleep_ms", "sleep_until"].contains(&token.text.as_str());
            let scheduled = schedule && token.text == "sleep_until";
            if sleeps && !scheduled && begins_with(&tests, at + 1, &["("]) {
                findings.push(file.finding(token.line, "a test that sleeps"));
            }
        }
    }
    assert_none(&findings, "a sleep is too short on a busy machine and too long on any other");
}

/// The impure names among `tokens`, with their lines.
fn impurities(tokens: &[Token]) -> impl Iterator<Item = (usize, String)> {
    tokens.iter().enumerate().filter_map(|(at, token)| {
        let text = token.text.as_str();
        let is_float = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
        if IMPURE_NAMES.contains(&text) || is_float {
            return Some((token.line, text.to_owned()));
        }
        if !begins_with(tokens, at, &["std", "::"]) {
            return None;
        }
        let module = std_modules(&tokens[at + 2..]).find(|name| IMPURE_MODULES.contains(name))?;
        Some((token.line, format!("std::{module}")))
    })
}

/// The modules that a path names after `std::`: one, or those of `{...}` at its first level.
fn std_modules(after: &[Token]) -> impl Iterator<Item = &str> {
    let is_group = begins_with(after, 0, &["{"]);
    let mut depth = 0_usize;
    let mut starts = !is_group;
    let mut ended = false;
    after.iter().filter_map(move |token| {
        let text = token.text.as_str();
        if ended {
            return None;
        }
        let first = std::mem::replace(&mut starts, false) && depth == usize::from(is_group);
        match text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        starts = depth == 1 && (text == "{" || text == ",");
        ended = depth == 0;
        first.then_some(text)
    })
}

/// Whether the whole file is a test: in a `tests` folder of a crate, or a module named so. The crate
/// `tests` itself is not one; its `src` is the rig.
fn is_test_file(path: &Path) -> bool {
    let is_tests = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
    path.iter().skip(1).any(is_tests)
}

#[cfg(test)]
mod tests {
    use super::impurities;
    use crate::tokens::tokens;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let tokens = tokens(source);
        let found: Vec<_> = impurities(&tokens).map(|(_, what)| what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn impure_paths_are_found_in_every_form_of_import() {
        check("use std::time::Duration;", &["std::time"]);
        check("use std::{collections::BTreeMap, fs};", &["std::fs"]);
        check("use std::{fmt, net::{IpAddr}};", &["std::net"]);
        check("let x = ::std::thread::spawn(f);", &["std::thread"]);
        check("use tokio::fs; let x = 0.5;", &["tokio", "0.5"]);
    }

    #[test]
    fn pure_paths_pass() {
        check("use std::collections::{BTreeMap, BTreeSet}; fs::x; time.0.1", &[]);
        check("use std::{fmt::{self, fs}, vec}; use core::time::Duration;", &[]);
        check("use std::vec; fn f() { let time = { io }; }", &[]);
    }
}
