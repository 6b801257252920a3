//! Every setting there is: its name, what it takes, its bounds, and what holds where nobody sets it.
//!
//! The table is the one list of settings: reading, `config show` and the page in `docs/spec` follow it.

use consign_types::limits::{RPC_BATCH_MAX, RPC_BODY_BYTES_MAX};

/// What a setting takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A text of a form of its own.
    Text,
    /// A file or directory, relative to the file of the configuration.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number {
        /// Of what.
        unit: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Texts in a list.
    Texts,
}

/// What holds where nobody sets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unset {
    /// It must be set.
    Refused,
    /// Nothing; the node does without.
    Nothing,
    /// This flag.
    Flag(bool),
    /// This number.
    Number(u64),
    /// This text.
    Text(&'static str),
}

/// One setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// `section.key`; each peer has those of `p2p.peer`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where nobody sets it.
    pub unset: Unset,
    /// A value as it stands in a file.
    pub example: &'static str,
}

/// The tables of the file.
pub const SECTIONS: [&str; 5] = ["network", "node", "rpc", "p2p", "log"];

/// The settings of each `[[p2p.peer]]`.
pub const PEER: &str = "p2p.peer";

const fn setting(name: &'static str, kind: Kind, unset: Unset, example: &'static str) -> Setting {
    Setting { name, kind, unset, example }
}

const fn number(
    name: &'static str,
    unit: &'static str,
    bounds: (u64, u64),
    default: u64,
    example: &'static str,
) -> Setting {
    let (min, max) = bounds;
    assert!(min <= default && default <= max, "a default is within its bounds");
    setting(name, Kind::Number { unit, min, max }, Unset::Number(default), example)
}

/// Requests at once: where nobody sets it, twice those of a second.
const BURST: Kind = Kind::Number { unit: "requests", min: 1, max: 100_000_000 };

/// Every setting.
pub const SETTINGS: [Setting; 41] = [
    setting("network.genesis", Kind::Path, Unset::Refused, "\"genesis.cbor\""),
    setting("network.id", Kind::Text, Unset::Nothing, "\"<64 hex digits>\""),
    setting("network.allow_few_validators", Kind::Flag, Unset::Flag(false), "true"),
    setting("node.party", Kind::Text, Unset::Refused, "\"airline\""),
    setting("node.data_dir", Kind::Path, Unset::Refused, "\"data\""),
    setting("node.keys_dir", Kind::Path, Unset::Refused, "\"keys\""),
    setting("node.receipt_key", Kind::Path, Unset::Nothing, "\"keys/receipt.key\""),
    setting("node.passphrase_file", Kind::Path, Unset::Nothing, "\"passphrase\""),
    setting("node.after_genesis", Kind::Flag, Unset::Flag(false), "true"),
    setting("rpc.listen", Kind::Text, Unset::Refused, "\"127.0.0.1:9101\""),
    number("rpc.connections_max", "connections", (1, 65_536), 512, "512"),
    number("rpc.connections_per_address_max", "connections", (1, 65_536), 128, "128"),
    number("rpc.sockets_max", "connections", (1, 65_536), 2_048, "2048"),
    number("rpc.sockets_per_address_max", "connections", (1, 65_536), 256, "256"),
    number("rpc.websockets_max", "WebSockets", (1, 65_536), 512, "512"),
    number("rpc.websockets_per_address_max", "WebSockets", (1, 65_536), 64, "64"),
    number("rpc.websocket_idle_ms", "milliseconds", (1_000, 86_400_000), 60_000, "60000"),
    number("rpc.subscriptions_per_connection_max", "subscriptions", (1, 1_024), 32, "32"),
    number("rpc.requests_per_second_max", "requests a second", (1, 100_000_000), 20_000, "20000"),
    setting("rpc.requests_burst_max", BURST, Unset::Nothing, "40000"),
    number("rpc.batch_max", "calls", (1, 1_000), RPC_BATCH_MAX as u64, "20"),
    number(
        "rpc.body_bytes_max",
        "bytes",
        (65_536, 67_108_864),
        RPC_BODY_BYTES_MAX as u64,
        "2097152",
    ),
    number("rpc.response_bytes_max", "bytes", (65_536, 268_435_456), 16_777_216, "16777216"),
    number("rpc.read_timeout_ms", "milliseconds", (100, 600_000), 5_000, "5000"),
    number("rpc.feed_stall_ms", "milliseconds", (100, 600_000), 10_000, "10000"),
    number("rpc.write_stall_ms", "milliseconds", (100, 600_000), 30_000, "30000"),
    setting("rpc.read", Kind::Text, Unset::Nothing, "\"bearer\""),
    setting("rpc.submit", Kind::Text, Unset::Text("open"), "\"open\""),
    setting("rpc.cors_origins", Kind::Texts, Unset::Nothing, "[\"https://track.airline.example\"]"),
    setting("rpc.tokens_file", Kind::Path, Unset::Nothing, "\"tokens.toml\""),
    setting("rpc.tls_cert", Kind::Path, Unset::Nothing, "\"tls.crt\""),
    setting("rpc.tls_key", Kind::Path, Unset::Nothing, "\"tls.key\""),
    setting("rpc.client_ca", Kind::Path, Unset::Nothing, "\"callers.crt\""),
    number(
        "rpc.events_per_second_per_device_max",
        "events a second",
        (1, 100_000_000),
        2_000,
        "2000",
    ),
    number(
        "rpc.events_per_second_per_member_max",
        "events a second",
        (1, 100_000_000),
        10_000,
        "10000",
    ),
    setting("rpc.admin_socket", Kind::Path, Unset::Nothing, "\"admin.sock\""),
    setting("p2p.listen", Kind::Texts, Unset::Refused, "[\"/ip4/0.0.0.0/tcp/9201\"]"),
    setting("p2p.peer.party", Kind::Text, Unset::Refused, "\"forwarder\""),
    setting("p2p.peer.addresses", Kind::Texts, Unset::Refused, "[\"/ip4/192.0.2.1/tcp/9201\"]"),
    setting("log.level", Kind::Text, Unset::Text("info"), "\"info\""),
    setting("log.format", Kind::Text, Unset::Text("json"), "\"json\""),
];

impl Setting {
    /// What to write for it.
    pub fn wanted(&self) -> String {
        let key = self.name.rsplit('.').next().unwrap_or_default();
        match self.kind {
            Kind::Number { unit, min, max } => {
                format!("write a whole number of {unit} from {min} to {max}")
            }
            Kind::Flag => "write true or false".to_owned(),
            _ => format!("write it as {key} = {}", self.example),
        }
    }
}

/// The setting of this name.
pub fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
