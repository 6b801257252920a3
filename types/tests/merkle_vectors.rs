//! Published RFC 6962 proofs, good and bad, get their published verdicts.
//!
//! The vectors lie outside of the project; where they are missing this says so and proves nothing.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::digest::{Digest, LeafHash, TreeRoot};
use consign_types::merkle::{self, BadProof, ConsistencyProof, InclusionProof};
use serde_json::Value;

/// The folder of shared data: named by the environment, or beside the workspace. Asked at run time, so
/// that a test that was built elsewhere finds it.
fn shared() -> PathBuf {
    let crate_root = || std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    std::env::var_os("CONSIGN_SHARED")
        .map_or_else(|| PathBuf::from(crate_root()).join("../../shared"), PathBuf::from)
}

/// The vectors below `kind`, each with its path.
fn vectors(kind: &str) -> Vec<(PathBuf, Value)> {
    let shared = shared();
    let folder = shared.join("data/vectors/merkle").join(kind);
    if !folder.exists() {
        println!("NOT RUN: {} is missing; set CONSIGN_SHARED", folder.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(&folder, &mut found);
    assert!(found.len() >= 50, "{} vectors in {}", found.len(), folder.display());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Value)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "json") {
            let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            found.push((path, value));
        }
    }
}

/// A hash; `None` where the vector holds bytes that are none, which our types cannot even say.
fn digest(of: &Value) -> Option<Digest> {
    Digest::from_slice(&STANDARD.decode(of.as_str()?).unwrap())
}

fn path(of: &Value) -> Option<Vec<Digest>> {
    match of {
        Value::Null => Some(Vec::new()),
        _ => of.as_array()?.iter().map(digest).collect(),
    }
}

fn included(vector: &Value) -> bool {
    let verdict = || {
        let proof = InclusionProof {
            index: LeafIndex(vector["leafIdx"].as_u64()?),
            size: TreeSize(vector["treeSize"].as_u64()?),
            path: path(&vector["proof"])?,
        };
        let (leaf, root) = (digest(&vector["leafHash"])?, digest(&vector["root"])?);
        proof.verify(LeafHash(leaf), TreeRoot(root)).ok()
    };
    verdict().is_some()
}

fn consistent(vector: &Value) -> bool {
    let verdict = || {
        let proof = ConsistencyProof {
            from: TreeSize(vector["size1"].as_u64()?),
            to: TreeSize(vector["size2"].as_u64()?),
            path: path(&vector["proof"])?,
        };
        let (from, to) = (digest(&vector["root1"])?, digest(&vector["root2"])?);
        proof.verify(TreeRoot(from), TreeRoot(to)).ok()
    };
    verdict().is_some()
}

fn check(kind: &str, holds: impl Fn(&Value) -> bool) {
    let vectors = vectors(kind);
    let mut good = 0;
    for (path, vector) in &vectors {
        let expected = !vector["wantErr"].as_bool().unwrap();
        assert_eq!(holds(vector), expected, "{}: {}", path.display(), vector["desc"]);
        good += usize::from(expected);
    }
    assert!(vectors.is_empty() || (1..vectors.len()).contains(&good));
    println!("{good} good and {} bad {kind} proofs", vectors.len() - good);
}

#[test]
fn inclusion_verdicts_are_the_published_ones() {
    check("inclusion", included);
}

#[test]
fn consistency_verdicts_are_the_published_ones() {
    check("consistency", consistent);
}

/// RFC 9162 leaves equal sizes and the empty earlier tree out; what we say of them is fixed here.
#[test]
fn trivial_consistency_needs_the_right_roots_and_no_path() {
    let (a, b) = (TreeRoot(Digest::of(&[b"a"])), TreeRoot(Digest::of(&[b"b"])));
    let proof = |from, to, path: &[Digest]| ConsistencyProof {
        from: TreeSize(from),
        to: TreeSize(to),
        path: path.to_vec(),
    };
    assert_eq!(proof(5, 5, &[]).verify(a, a), Ok(()));
    assert_eq!(proof(5, 5, &[]).verify(a, b), Err(BadProof::Root));
    assert_eq!(proof(5, 5, &[a.0]).verify(a, a), Err(BadProof::Length));
    assert_eq!(proof(0, 5, &[]).verify(merkle::empty_root(), b), Ok(()));
    assert_eq!(proof(0, 5, &[]).verify(a, b), Err(BadProof::Root));
    assert_eq!(proof(6, 5, &[]).verify(a, b), Err(BadProof::Range));
    assert_eq!(proof(4, 5, &[]).verify(a, b), Err(BadProof::Length));
}
