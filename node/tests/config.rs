//! What a node refuses to start with, and the sentence that says what to change.
//!
//! A directory as an operator has it: a configuration that starts, changed in one thing at a time.

mod support;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use consign_node::config::{Config, LogFormat};
use consign_types::codec::Canonical as _;
use consign_types::digest::encode_hex;
use consign_types::es256::Es256SecretKey;
use consign_types::genesis::Genesis;

use support::{genesis, genesis_of, key, party};

const CONFIG: &str = r#"
[network]
genesis = "genesis.cbor"

[node]
party = "airline"
data_dir = "data"
keys_dir = "keys"

[p2p]
listen = ["/ip4/127.0.0.1/tcp/9201", "/ip4/127.0.0.1/udp/9201/quic-v1"]

[[p2p.peer]]
party = "customs"
addresses = ["/dns4/customs.example/tcp/9201"]

[rpc]
listen = "127.0.0.1:9301"
"#;

/// Purposes of a node's keys, each in a file of its own.
const PURPOSES: [&str; 4] = ["consensus", "cosigner", "log", "network"];

/// Writes what the airline's operator has into `dir`.
fn lay_out(dir: &Path, genesis: &Genesis, config: &str) {
    fs::write(dir.join("genesis.cbor"), genesis.to_bytes()).unwrap();
    fs::create_dir(dir.join("keys")).unwrap();
    for purpose in PURPOSES {
        write_key(dir, purpose, &format!("airline {purpose}"));
    }
    fs::write(dir.join("consignd.toml"), config).unwrap();
}

fn write_key(dir: &Path, purpose: &str, name: &str) {
    let seed = encode_hex(&*key(name).to_seed());
    write_file(dir, purpose, &format!("consign-key-v1 {purpose} {seed}\n"), 0o600);
}

fn write_file(dir: &Path, purpose: &str, text: &str, mode: u32) {
    let path = dir.join("keys").join(format!("{purpose}.key"));
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What loading says, with all causes and without the path of the directory.
fn refusal(dir: &Path) -> String {
    let error = Config::load(&dir.join("consignd.toml")).expect_err("this must not start");
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said.replace(&format!("{}/", dir.display()), "")
}

#[test]
fn a_configuration_is_read_with_its_defaults_and_paths_of_its_own_directory() {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &genesis(), CONFIG);
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    assert_eq!((config.genesis, config.party), (genesis(), party("airline")));
    assert_eq!(config.data_dir, dir.path().join("data"));
    assert_eq!(config.keys.consensus.public(), key("airline consensus").public());
    assert_eq!((config.p2p_listen.len(), config.peers.len()), (2, 1));
    assert_eq!((config.rpc.connections_max, config.log.format), (512, LogFormat::Json));
}

/// Each row replaces one text in the configuration; what is said then names what is wrong.
#[test]
fn a_configuration_with_one_thing_wrong_is_refused_by_name() {
    let member = "is not a member of this network; node.party must be one of: \
                  airline, customs, forwarder, handler";
    let rows = [
        ("[rpc]", "[rpc]\nlisten_on = 1", "unknown field `listen_on`"),
        ("[node]", "[nodes]", "unknown field `nodes`"),
        ("[[p2p.peer]]", "[[p2p.peers]]", "unknown field `peers`"),
        ("[p2p]", "[logs]\n[p2p]", "unknown field `logs`"),
        ("data_dir = \"data\"\n", "", "missing field `data_dir`"),
        ("\"data\"", "7", "invalid type: integer `7`"),
        ("\"127.0.0.1:9301\"", "9301", "invalid type: integer `9301`"),
        ("\"127.0.0.1:9301\"", "\"localhost\"", "invalid socket address"),
        ("[rpc]", "[rpc]\nconnections_max = -1", "invalid value: integer `-1`"),
        ("[network]", "[network", "is not a valid configuration"),
        ("\"airline\"", "\"Airline\"", "\"Airline\" is not a name"),
        ("\"airline\"", "\"broker\"", member),
        ("\"airline\"", "\"handler\"", "the consensus key in keys_dir is not the one"),
        ("\"customs\"", "\"broker\"", "p2p.peer broker runs no validator of this network"),
        ("/ip4/127.0.0.1/tcp/9201", "127.0.0.1:9201", "\"127.0.0.1:9201\" is not a multiaddress"),
        ("/dns4/customs.example/tcp/9201", "customs", "\"customs\" is not a multiaddress"),
        ("\"genesis.cbor\"", "\"other.cbor\"", "cannot read other.cbor: No such file"),
        ("\"genesis.cbor\"", "\"consignd.toml\"", "consignd.toml holds no genesis document"),
        ("\"keys\"", "\"data\"", "cannot read key file data/consensus.key: No such file"),
    ];
    for (from, to, said) in rows {
        assert!(CONFIG.contains(from), "{from}");
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), &CONFIG.replacen(from, to, 1));
        let refusal = refusal(dir.path());
        assert!(refusal.contains(said), "{from} -> {to}: {refusal}");
    }
}

#[test]
fn few_validators_are_refused_unless_told_otherwise() {
    let few = genesis_of("test.example/few", 3);
    let told = CONFIG.replace("[network]", "[network]\nallow_few_validators = true");
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &few, CONFIG);
    assert_eq!(
        refusal(dir.path()),
        "the network has 3 validators and survives no fault; 4 survive one. For development set \
         network.allow_few_validators = true"
    );
    fs::write(dir.path().join("consignd.toml"), told).unwrap();
    assert!(Config::load(&dir.path().join("consignd.toml")).is_ok());
}

#[test]
fn a_genesis_that_is_changed_in_any_byte_is_refused_or_is_another_network() {
    let bytes = genesis().to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        match Genesis::from_bytes(&changed) {
            Ok(other) => assert_ne!(other.network(), genesis().network(), "byte {at}"),
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601, 0o777] {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), CONFIG);
        let path = dir.path().join("keys/network.key");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            refusal(dir.path()),
            format!(
                "the node's keys cannot be used: key file keys/network.key has mode {mode:04o}; \
                 nobody else may read it: chmod 600 keys/network.key"
            )
        );
    }
}

/// A key file says what its key is for, in one line and one form.
#[test]
fn a_key_file_of_any_other_form_is_refused() {
    let seed = encode_hex(&*key("airline log").to_seed());
    let texts = [
        String::new(),
        format!("consign-key-v1 network {seed}\n"),
        format!("consign-key-v1 log {seed}"),
        format!("consign-key-v1 log {seed}\n\n"),
        format!("consign-key-v1 log {seed}00\n"),
        format!("consign-key-v1 log {}\n", &seed[2..]),
        format!("consign-key-v1 log {}\n", seed.to_uppercase()),
        format!("consign-key-v2 log {seed}\n"),
        format!("{seed}\n"),
        " ".repeat(1000),
    ];
    for text in texts {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), CONFIG);
        write_file(dir.path(), "log", &text, 0o600);
        let refusal = refusal(dir.path());
        assert_eq!(
            refusal,
            "the node's keys cannot be used: keys/log.key is not a log key: expected one line \
             `consign-key-v1 log <64 hex digits>`"
        );
        assert!(!refusal.contains(&seed), "a seed is never printed");
    }
}

/// The one key that is not Ed25519, where the configuration names its file.
#[test]
fn a_receipt_key_is_read_where_one_is_named_and_nothing_else_is_taken_for_it() {
    let named = CONFIG.replace("[p2p]", "receipt_key = \"keys/receipt.key\"\n\n[p2p]");
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &genesis(), &named);
    let missing = refusal(dir.path());
    assert!(missing.contains("cannot read key file keys/receipt.key"), "{missing}");
    write_key(dir.path(), "receipt", "airline receipt");
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    let expected = Es256SecretKey::from_scalar(*key("airline receipt").to_seed()).unwrap();
    assert_eq!(config.keys.receipt.map(|key| key.public()), Some(expected.public()));
    // A log key, and a number that is no scalar of the curve.
    for text in [fs::read_to_string(dir.path().join("keys/log.key")).unwrap(), {
        format!("consign-key-v1 receipt {}\n", "f".repeat(64))
    }] {
        write_file(dir.path(), "receipt", &text, 0o600);
        let refusal = refusal(dir.path());
        assert!(refusal.contains("keys/receipt.key is not a receipt key"), "{refusal}");
    }
}

#[test]
fn keys_of_another_party_are_refused_whichever_it_is() {
    for purpose in ["consensus", "cosigner", "network"] {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), CONFIG);
        write_key(dir.path(), purpose, &format!("handler {purpose}"));
        assert_eq!(
            refusal(dir.path()),
            format!(
                "the {purpose} key in keys_dir is not the one that the genesis lists for airline; \
                 point node.keys_dir at that party's keys, or network.genesis at the right network"
            )
        );
    }
}
