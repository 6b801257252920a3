//! The worked example of `docs/spec/unit-map.md` is a vector: what the page shows is what the code makes.
//!
//! Run with `UPDATE=1` and `--nocapture` to print what the page should hold.

use std::path::Path;

use consign_ledger::entry::EntryKey;
use consign_ledger::unit::{UnitState, next_head};
use consign_types::block::LeafIndex;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId, encode_hex};
use consign_types::time::Millis;

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
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/unit-map.md");
    let text = std::fs::read_to_string(page).unwrap();
    for (fence, lines) in examples() {
        let block = format!("```{fence}\n{}\n```\n", lines.join("\n"));
        if std::env::var_os("UPDATE").is_some() {
            println!("{block}");
        } else {
            assert!(text.contains(&block), "unit-map.md should hold\n{block}");
        }
    }
}
