//! Ours on others' bytes: the examples of the COSE working group, which the npm package `cose-js` ships.
//!
//! What is ours in it: the reader of CBOR, and the signature checks under the keys of events and receipts.

use std::collections::BTreeMap;

use consign_types::codec::{DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{decode_hex, encode_hex};
use consign_types::es256::Es256Key;
use consign_types::key::{PublicKey, Signature};
use serde_json::Value;

use crate::tools::npm_folder;

const TAG_SIGN1: u64 = 18;
const ALG_ES256: i64 = -7;
/// "EdDSA", which the examples say where RFC 9864 now says Ed25519 (-19).
const ALG_EDDSA: i64 = -8;

/// The order of P-256 (SEC 2, 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// One message with one signature, each signed with ES256 or Ed25519.
const EXAMPLES: [&str; 11] = [
    "ecdsa-examples/ecdsa-sig-01",
    "eddsa-examples/eddsa-sig-01",
    "sign1-tests/sign-fail-01",
    "sign1-tests/sign-fail-02",
    "sign1-tests/sign-fail-03",
    "sign1-tests/sign-fail-04",
    "sign1-tests/sign-fail-06",
    "sign1-tests/sign-fail-07",
    "sign1-tests/sign-pass-01",
    "sign1-tests/sign-pass-02",
    "sign1-tests/sign-pass-03",
];

#[test]
fn the_examples_of_the_cose_working_group_get_their_published_verdicts() {
    let Some(folder) = npm_folder("cose-js/test/Examples") else { return };
    let (mut verdicts, mut published) = (BTreeMap::new(), BTreeMap::new());
    let mut higher = Vec::new();
    for name in EXAMPLES {
        let text = std::fs::read_to_string(folder.join(name).with_extension("json"));
        let example: Value = serde_json::from_str(&text.expect("the example")).expect("JSON");
        published.insert(name, example["fail"] != true);
        verdicts.insert(name, holds(&example).unwrap_or(false));
        if example["fail"] != true && has_higher_s(&hex(&example["output"]["cbor"])) {
            higher.push(name);
            assert!(!verdicts[name], "{name}: of the two forms of a signature we take one");
            verdicts.insert(name, holds(&lowered(&example)).unwrap_or(false));
        }
    }
    assert_eq!(higher, ["ecdsa-examples/ecdsa-sig-01"]);
    assert_eq!(verdicts, published);
    assert_eq!(published.values().filter(|pass| **pass).count(), 5);
}

fn hex(value: &Value) -> Vec<u8> {
    decode_hex(&value.as_str().unwrap_or_default().to_lowercase()).expect("hexadecimal digits")
}

/// Whether the message of an example holds under its key.
fn holds(example: &Value) -> Result<bool, DecodeError> {
    let bytes = hex(&example["output"]["cbor"]);
    let sign0 = &example["input"]["sign0"];
    let mut from = Reader::new(&bytes, "example");
    // One example leaves the tag out; where there is one it must be that of a COSE_Sign1.
    if bytes[0] >= 0xc0 {
        from.tag(TAG_SIGN1)?;
    }
    from.array_of(4)?;
    let protected = from.bytes()?;
    let algorithm = match headers(&mut Reader::new(protected, "protected header"))? {
        None => headers(&mut from)?,
        algorithm => {
            headers(&mut from)?;
            algorithm
        }
    };
    let (payload, signature) = (from.bytes()?, Signature(from.bytes_of()?));
    // RFC 9052, 4.4: a header without labels is signed as no bytes at all.
    let protected = if protected == [0xa0] { &[] } else { protected };
    let external = hex(&sign0["external"]);
    let mut message = Vec::new();
    let mut to = Writer::new(&mut message);
    to.array(4).sure().str("Signature1").sure().bytes(protected).sure();
    to.bytes(&external).sure().bytes(payload).sure();

    Ok(match algorithm {
        Some(ALG_ES256) => es256_key(&sign0["key"]).verify(&message, &signature).is_ok(),
        Some(ALG_EDDSA) => {
            let key: [u8; 32] = hex(&sign0["key"]["x_hex"]).try_into().expect("32 bytes");
            let key = PublicKey::from_bytes(key).expect("a key");
            key.verify(&message, &signature).is_ok()
        }
        _ => false,
    })
}

/// Whether the message ends in an ES256 signature of the form that we refuse.
fn has_higher_s(message: &[u8]) -> bool {
    let is_es256 = message.windows(2).any(|two| two == [0x01, 0x26]);
    let s = &message[message.len() - 32..];
    is_es256 && s > difference(&ORDER, s).as_slice()
}

/// The example with its signature in the other form, which is as valid: s becomes the order less s.
fn lowered(example: &Value) -> Value {
    let mut message = hex(&example["output"]["cbor"]);
    let s = message.split_off(message.len() - 32);
    message.extend(difference(&ORDER, &s));
    let mut example = example.clone();
    example["output"]["cbor"] = encode_hex(&message).into();
    example
}

/// Of two numbers of 32 bytes, the first not the smaller.
fn difference(from: &[u8], what: &[u8]) -> Vec<u8> {
    let mut borrowed = false;
    let mut digits: Vec<u8> = std::iter::zip(from, what)
        .rev()
        .map(|(a, b)| {
            let (less, first) = a.overflowing_sub(*b);
            let (less, second) = less.overflowing_sub(u8::from(borrowed));
            borrowed = first || second;
            less
        })
        .collect();
    assert!(!borrowed, "the first number is not the smaller");
    digits.reverse();
    digits
}

/// The algorithm that a header names. The examples have algorithms, content types and key ids.
fn headers(from: &mut Reader<'_>) -> Result<Option<i64>, DecodeError> {
    let mut algorithm = None;
    for _ in 0..from.map()? {
        match from.u8()? {
            1 => algorithm = Some(from.i64()?),
            3 => {
                from.u64()?;
            }
            4 => {
                from.bytes()?;
            }
            label => return Err(from.error(format!("label {label}"))),
        }
    }
    Ok(algorithm)
}

/// A key in base64url, as JWK writes it.
fn es256_key(key: &Value) -> Es256Key {
    let coordinate = |name: &str| {
        let text = key[name].as_str().expect("a coordinate");
        let text = format!("{}=", text.replace('-', "+").replace('_', "/"));
        let bytes: consign_rpc::views::Base64 = text.parse().expect("32 bytes of base64");
        bytes.0
    };
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    Es256Key::from_bytes(point.try_into().expect("65 bytes")).expect("a point")
}
