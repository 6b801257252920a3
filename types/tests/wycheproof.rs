//! Wycheproof's Ed25519 vectors give their published verdicts.
//!
//! A key that [`PublicKey`] refuses counts as the verdict "invalid". The vectors lie outside of the
//! project; where they are missing this says so and proves nothing.

use std::path::PathBuf;

use consign_types::digest::decode_hex;
use consign_types::key::{PublicKey, Signature};
use serde_json::Value;

/// The folder of shared data: named by the environment, or beside the workspace. Asked at run time, so
/// that a test that was built elsewhere finds it.
fn shared() -> PathBuf {
    let crate_root = || std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    std::env::var_os("CONSIGN_SHARED")
        .map_or_else(|| PathBuf::from(crate_root()).join("../../shared"), PathBuf::from)
}

fn vectors() -> Option<Value> {
    let shared = shared();
    let file = shared.join("data/vectors/wycheproof/ed25519_test.json");
    if !file.exists() {
        println!("NOT RUN: {} is missing; set CONSIGN_SHARED", file.display());
        return None;
    }
    Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

fn bytes(of: &Value) -> Vec<u8> {
    decode_hex(of.as_str().unwrap()).unwrap()
}

fn holds(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    let Ok(key) = PublicKey::from_bytes(key) else { return false };
    key.verify(message, &Signature(signature)).is_ok()
}

#[test]
fn ed25519_verdicts_are_the_published_ones() {
    let Some(vectors) = vectors() else { return };
    let (mut valid, mut invalid) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = bytes(&group["publicKey"]["pk"]);
        for test in group["tests"].as_array().unwrap() {
            let expected = match test["result"].as_str() {
                Some("valid") => true,
                Some("invalid") => false,
                other => panic!("test {}: result {other:?}", test["tcId"]),
            };
            let held = holds(&key, &bytes(&test["msg"]), &bytes(&test["sig"]));
            assert_eq!(held, expected, "test {}: {}", test["tcId"], test["comment"]);
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!(Some(valid + invalid), vectors["numberOfTests"].as_u64());
    assert!(valid > 0 && invalid > 0);
    println!("{valid} valid and {invalid} invalid signatures");
}
