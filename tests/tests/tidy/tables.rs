//! Tables that stand in a document and in the code, held against each other.

use consign_ledger::errors::Rejection;
use consign_rpc::errors::rule_help;
use consign_rpc::methods::{DISCOVER, METHODS};
use consign_rpc::scope::Scope;

use crate::{TrackedFile, assert_none, rust_files, tracked_files};

fn document(path: &str) -> TrackedFile {
    let found = tracked_files().into_iter().find(|file| file.path.ends_with(path));
    found.unwrap_or_else(|| panic!("{path} is not there"))
}

/// What stands in `code` in a text, wherever.
fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_code_in_the_log_of_a_node_is_in_the_manual() {
    let manual = document("docs/operating/running-a-node.md");
    let known = quoted(&manual.text);
    let mut findings = Vec::new();
    let mut codes = 0;
    for file in rust_files() {
        if !["node/src", "rpc/src"].iter().any(|room| file.path.starts_with(room)) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            for after in line.split("code = \"").skip(1) {
                let code = after.split('"').next().unwrap_or_default();
                codes += 1;
                if !known.contains(&code) {
                    findings.push(file.finding(number + 1, format!("{code} has no row")));
                }
            }
        }
    }
    assert!(codes > 50, "only {codes} codes were found");
    assert_none(&findings, "who reads a log looks its codes up in running-a-node.md");
}

/// Reading is told in words: it is what is left.
#[test]
fn the_methods_of_each_scope_are_those_of_the_table() {
    let page = document("docs/spec/token-file.md");
    for scope in [Scope::Public, Scope::Submit, Scope::Admin] {
        let begins = format!("| `{scope}` |");
        let row = page.text.lines().find_map(|line| line.strip_prefix(&begins)).expect("a row");
        let what = row.split('|').next().expect("a cell");
        let mut written: Vec<_> =
            quoted(what).into_iter().filter(|name| !name.starts_with('/')).collect();
        let own = METHODS.iter().filter(|method| method.scope == scope).map(|method| method.name);
        let discover = (scope == Scope::Public).then_some(DISCOVER);
        let mut served: Vec<_> = own.chain(discover).collect();
        written.sort_unstable();
        served.sort_unstable();
        assert_eq!(written, served, "{scope}");
    }
}

#[test]
fn every_code_of_a_refusal_has_advice() {
    let page = document("docs/spec/errors.md");
    let (_, table) = page.text.split_once("### Codes of refused events").expect("a heading");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    // What a request to join and an envelope beyond a quota are refused with.
    let others = "bad_invite invite_expired invite_used bad_request requests_full quota";
    let codes: Vec<_> =
        Rejection::CODES.iter().copied().chain(rows).chain(others.split(' ')).collect();
    assert!(codes.len() > Rejection::CODES.len() + 60, "only {} codes were found", codes.len());
    let without: Vec<_> = codes
        .into_iter()
        .filter(|code| rule_help(code).is_none())
        .map(|code| format!("{code} has none"))
        .collect();
    assert_none(&without, "whoever is refused is told what to do");
    assert_eq!(rule_help("not_custodiam"), None, "what is no code is no rule of the unit's");
}
