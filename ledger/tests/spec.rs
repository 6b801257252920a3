//! Pages of `docs/spec` are vectors: what they show is what the code makes.
//!
//! Run with `UPDATE=1` and `--nocapture` to print what the page should hold.

use std::path::Path;

use consign_ledger::entry::EntryKey;
use consign_ledger::errors::{Rejection, Retry};
use consign_ledger::unit::{UnitState, next_head};
use consign_types::block::LeafIndex;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId, encode_hex};
use consign_types::time::Millis;

fn page(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec").join(name);
    std::fs::read_to_string(page).unwrap()
}

/// Each block of the page by what follows its fence, and its lines.
fn examples() -> [(&'static str, Vec<String>); 2] {
    let place = "414/9521321000018".parse().unwrap();
    let basis = EventId(Digest::of(&[b"the event that made the basis"]));
    let mut state = UnitState::registered("forwarder".parse().unwrap(), basis, place);
    state.head = next_head(&state.head, &basis, LeafIndex(2), Millis(1_700_000_200_000), &[]);
    state.events = 1;
    let entry = encode_hex(&state.to_bytes());
    let keys = [
        ("unit  ", EntryKey::Unit("00/106141412345678908".parse().unwrap())),
        ("device", EntryKey::Signer("forwarder.dock1".parse().unwrap())),
        ("params", EntryKey::Params),
    ];
    let keys = keys.map(|(name, key)| format!("{name}  {}", encode_hex(&key.map_key())));
    let lines = entry.as_bytes().chunks(126).map(|line| str::from_utf8(line).unwrap().to_owned());
    [("text map-keys", keys.to_vec()), ("hex unit-entry", lines.collect())]
}

#[test]
fn the_worked_example_is_what_the_code_makes() {
    let text = page("unit-map.md");
    for (fence, lines) in examples() {
        let block = format!("```{fence}\n{}\n```\n", lines.join("\n"));
        if std::env::var_os("UPDATE").is_some() {
            println!("{block}");
        } else {
            assert!(text.contains(&block), "unit-map.md should hold\n{block}");
        }
    }
}

/// A row of the page: a value that the sentence names is set in italics there.
fn row((code, sentence, retry): &(&str, &str, Retry)) -> String {
    let retry = match retry {
        Retry::Never => "",
        Retry::Later => "yes",
        Retry::Waits => "waits",
    };
    format!("| `{code}` | {} | {retry} |", sentence.replace(['{', '}'], "*"))
}

/// Codes of the page that are no rule of the ledger: a node refuses by them before it asks the rules, or has them for
/// one method alone.
const OF_A_NODE: [&str; 5] =
    ["malformed_event", "bad_signature", "pool_full", "unknown_reference", "evidence_full"];

#[test]
fn the_page_of_errors_has_each_rule_with_its_sentence_and_whether_to_try_again() {
    let text = page("errors.md");
    let (_, table) = text.split_once("| code | sentence | retry |\n| --- | --- | --- |\n").unwrap();
    let of_a_node =
        |line: &&str| OF_A_NODE.iter().any(|code| line.starts_with(&format!("| `{code}` |")));
    let found =
        table.lines().take_while(|line| line.starts_with('|')).filter(|line| !of_a_node(line));
    let mut found: Vec<String> = found.map(str::to_owned).collect();
    let mut expected: Vec<String> = Rejection::TABLE.iter().map(row).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
