//! Cases: what a tool is handed, and whether it ought to accept it.

use std::collections::BTreeMap;

use consign_rpc::views::Base64;
use serde_json::{Value, json};

/// What a tool is handed.
#[derive(Clone, Debug)]
pub struct Case {
    /// Tells the cases apart.
    pub name: String,
    /// Of which kind: tools know some of them.
    pub kind: &'static str,
    /// Whether it is what the network served.
    pub genuine: bool,
    /// The rest, by name.
    pub input: Value,
}

impl Case {
    pub fn genuine(kind: &'static str, name: impl Into<String>, input: Value) -> Self {
        Self { name: name.into(), kind, genuine: true, input }
    }

    /// The same with one thing in it changed.
    pub fn forged(&self, what: &str, field: &str, changed: Value) -> Self {
        let mut input = self.input.clone();
        assert!(input.get(field).is_some_and(|genuine| *genuine != changed), "{what}: {field}");
        input[field] = changed;
        let (name, kind) = (format!("{}; forged: {what}", self.name), self.kind);
        Self { name, kind, genuine: false, input }
    }

    /// As a tool reads it.
    pub fn json(&self) -> Value {
        let mut whole = self.input.clone();
        whole["name"] = json!(self.name);
        whole["kind"] = json!(self.kind);
        whole
    }
}

/// What a tool ought to answer that knows the cases for which `knows` is true.
pub fn expected(cases: &[Case], knows: impl Fn(&Case) -> bool) -> BTreeMap<String, bool> {
    let known: Vec<&Case> = cases.iter().filter(|case| knows(case)).collect();
    let expected: BTreeMap<_, _> =
        known.iter().map(|case| (case.name.clone(), case.genuine)).collect();
    assert_eq!(expected.len(), known.len(), "each case has a name of its own");
    assert!(expected.values().any(|genuine| *genuine), "something genuine is among them");
    assert!(expected.values().any(|genuine| !genuine), "something forged is among them");
    expected
}

/// Bytes as all the tools read them.
pub fn base64(bytes: &[u8]) -> Value {
    json!(Base64(bytes.to_vec()).to_string())
}

/// `bytes` with one bit of the byte at `at` flipped.
pub fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// Where `part` begins in `whole`.
pub fn place_of(part: &[u8], whole: &[u8]) -> usize {
    let mut windows = whole.windows(part.len());
    windows.position(|window| window == part).expect("a part of the whole")
}
