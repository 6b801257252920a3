//! A directory as an operator has it: a configuration that starts, a genesis, keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use consign_types::codec::Canonical as _;
use consign_types::digest::encode_hex;
use consign_types::genesis::Genesis;

use super::key;

/// Every setting there is, with a value that starts; `NETWORK` is the genesis's name.
pub const CONFIG: &str = r#"[network]
genesis = "genesis.cbor"
id = "NETWORK"
allow_few_validators = false
[node]
party = "airline"
data_dir = "data"
keys_dir = "keys"
receipt_key = "receipt.key"
[rpc]
listen = "127.0.0.1:9301"
connections_max = 512
subscriptions_per_connection_max = 32
requests_per_second_max = 20000
read_timeout_ms = 5000
[p2p]
listen = [
  "/ip4/127.0.0.1/tcp/9201",
  "/ip4/127.0.0.1/udp/9201/quic-v1",
]
[[p2p.peer]]
party = "customs"
addresses = ["/dns4/customs.example/tcp/9201"]
[[p2p.peer]]
party = "forwarder"
addresses = ["/ip4/192.0.2.7/tcp/9201"]
[log]
level = "info,libp2p=warn"
format = "text"
"#;

/// Purposes of a node's keys, each in a file of its own.
pub const PURPOSES: [&str; 4] = ["consensus", "cosigner", "log", "network"];

/// Writes what the airline's operator has into `dir`.
pub fn lay_out(dir: &Path, genesis: &Genesis, config: &str) {
    fs::write(dir.join("genesis.cbor"), genesis.to_bytes()).unwrap();
    fs::create_dir(dir.join("keys")).unwrap();
    for purpose in PURPOSES {
        write_key(dir, purpose, &format!("airline {purpose}"));
    }
    let receipt = encode_hex(&*key("airline receipt").to_seed());
    write_file(&dir.join("receipt.key"), &format!("consign-key-v1 receipt {receipt}\n"), 0o600);
    let config = config.replace("NETWORK", &genesis.network().to_string());
    fs::write(dir.join("consignd.toml"), config).unwrap();
}

pub fn write_key(dir: &Path, purpose: &str, name: &str) {
    let seed = encode_hex(&*key(name).to_seed());
    let path = dir.join("keys").join(format!("{purpose}.key"));
    write_file(&path, &format!("consign-key-v1 {purpose} {seed}\n"), 0o600);
}

pub fn write_file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
