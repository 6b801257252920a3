//! The worked examples of `docs/spec/evidence.md` are what the code makes. `UPDATE=1` prints what it should
//! hold.

use std::path::Path;

use consign_ledger::evidence::{Believed, read};
use consign_types::codec::Canonical as _;
use consign_types::digest::encode_hex;
use consign_types::trust::Trust;

use super::{custodian, device, named, notes, votes};

fn block(page: &str, fence: &str) -> String {
    let (_, rest) = page.split_once(&format!("```{fence}\n")).unwrap_or(("", ""));
    rest.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn the_examples_on_the_page_are_what_the_code_makes() {
    let two_roots = notes::made(
        &notes::note(12, 1, &[("airline", 1_700_000_000), ("customs", 1_700_000_001)]),
        &notes::note(12, 2, &[("airline", 1_700_000_060), ("handler", 1_700_000_061)]),
    );
    let examples = [
        ("double-vote", votes::example()),
        ("two-roots", two_roots.unwrap()),
        ("same-number", device::example("forwarder.dock1")),
        ("double-offer", custodian::example(1)),
    ];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/evidence.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    let passport = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/passport.md");
    let passport = std::fs::read_to_string(passport).unwrap();
    let written = Trust::from_json(&block(&passport, "text trust")).unwrap();
    for (name, evidence) in examples {
        let hex = encode_hex(&evidence.to_bytes());
        let said: String = named(&evidence).iter().map(|line| format!("{line}\n")).collect();
        if std::env::var_os("UPDATE").is_some() {
            let folded: Vec<&str> =
                hex.as_bytes().chunks(128).map(|line| str::from_utf8(line).unwrap()).collect();
            println!("```hex {name}\n{}\n```\n\n```text {name}\n{said}```\n", folded.join("\n"));
            continue;
        }
        assert_eq!(block(&page, &format!("hex {name}")).replace('\n', ""), hex, "{name}");
        assert_eq!(block(&page, &format!("text {name}")), said, "{name}");
        let accused = read(&evidence.to_bytes(), Believed::from(&written)).unwrap();
        assert_eq!(accused.len(), said.lines().count());
    }
}
