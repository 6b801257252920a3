//! The worked example of `docs/spec/passport.md` is what the code makes. `UPDATE=1` prints what it should
//! hold.

use std::path::Path;

use consign_ledger::passport::{Passport, read, story};
use consign_types::codec::Canonical as _;
use consign_types::digest::encode_hex;
use consign_types::trust::Trust;

use super::support::node::{Node, trust};
use super::support::scene::{EXCURSION, into};
use super::{SIGNER, desk};

/// A unit that was put into another, which then had an excursion.
fn example() -> Passport {
    let mut desk = desk();
    let (unit, pallet) = (desk.held("A"), desk.held("P"));
    desk.put(SIGNER, &pallet, into(&[&unit]));
    desk.put(SIGNER, &pallet, EXCURSION);
    Node::of(&desk).passport(&unit)
}

fn block(page: &str, fence: &str) -> String {
    let (_, rest) = page.split_once(&format!("```{fence}\n")).unwrap_or(("", ""));
    rest.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn the_example_on_the_page_is_what_the_code_makes() {
    let bytes = example().to_bytes();
    let verified = read(&bytes, &trust()).unwrap();
    let lines = story(&verified).iter().map(|line| format!("{line}\n")).collect::<String>();
    let hex = encode_hex(&bytes);
    if std::env::var_os("UPDATE").is_some() {
        let folded: Vec<&str> =
            hex.as_bytes().chunks(128).map(|line| str::from_utf8(line).unwrap()).collect();
        println!("```hex passport\n{}\n```", folded.join("\n"));
        println!("```text story\n{lines}```\n```text trust\n{}```", trust().to_json());
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/passport.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(block(&page, "hex passport").replace('\n', ""), hex);
    assert_eq!(block(&page, "text story"), lines);
    let written = Trust::from_json(&block(&page, "text trust")).unwrap();
    assert_eq!(read(&bytes, &written), Ok(verified));
}
