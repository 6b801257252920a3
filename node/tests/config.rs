//! What a node refuses to start with, and the sentence that says what to change.
//!
//! A directory as an operator has it: a configuration that starts, changed in one thing at a time.

mod support;
mod wrong;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use consign_node::config::{
    Config, Doors, Kind, LogFormat, SETTINGS, Sources, Unset, effective, read_tokens,
};
use consign_rpc::server::{Gate, ServerLimits};
use consign_rpc::token::Secret;
use consign_types::codec::Canonical as _;
use consign_types::digest::encode_hex;
use consign_types::es256::Es256SecretKey;
use consign_types::genesis::{Genesis, Params};
use consign_types::key_file::{Fresh, seal};
use consign_types::time::Millis;

use support::home::{CONFIG, lay_out, write_file, write_key};
use support::{genesis, genesis_of, key, party};
use wrong::WRONG;

/// What loading says, without the path of the directory.
fn refusal(dir: &Path) -> String {
    refusal_of(dir, &Sources::file(&dir.join("consignd.toml")))
}

fn refusal_of(dir: &Path, sources: &Sources) -> String {
    let error = Config::load_from(sources).expect_err("this must not start");
    error.to_string().replace(&format!("{}/", dir.display()), "")
}

#[test]
fn a_configuration_is_read_with_paths_of_its_own_directory() {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &genesis(), CONFIG);
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    assert_eq!((config.genesis, config.party), (genesis(), party("airline")));
    assert_eq!(config.data_dir, dir.path().join("data"));
    assert_eq!(config.keys.consensus.public(), key("airline consensus").public());
    let expected = Es256SecretKey::from_scalar(*key("airline receipt").to_seed()).unwrap();
    assert_eq!(config.keys.receipt.map(|key| key.public()), Some(expected.public()));
    assert_eq!((config.p2p_listen.len(), config.peers.len()), (2, 2));
    assert_eq!((config.rpc.limits, config.log.format), (ServerLimits::default(), LogFormat::Text));
}

/// `consignd --config consignd.toml`, as it is documented: the file's directory is the present one.
#[test]
fn a_configuration_named_without_a_directory_has_its_paths_in_the_present_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("[rpc]\n", "[rpc]\nadmin_socket = \"admin.sock\"\n");
    lay_out(dir.path(), &genesis(), &config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_consignd"));
    command.current_dir(dir.path()).args(["config", "check", "--config", "consignd.toml"]);
    let ran = command.output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(said, ["consignd.toml: ok\n", ""].map(str::to_owned));
    assert!(ran.status.success());
}

/// The settings that have a default, left away.
#[test]
fn what_is_not_set_has_its_default() {
    let dir = tempfile::tempdir().unwrap();
    let absent = [
        "id =",
        "allow_few",
        "receipt_key",
        "_max",
        "_ms",
        "[log]",
        "level",
        "format",
        "read =",
        "submit =",
        "tokens_file",
    ];
    let kept = CONFIG.lines().filter(|line| !absent.iter().any(|word| line.contains(word)));
    let short = kept.fold(String::new(), |text, line| text + line + "\n");
    lay_out(dir.path(), &genesis(), &short);
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    assert!(config.keys.receipt.is_none());
    let rpc = &config.rpc;
    assert_eq!(rpc.limits, ServerLimits::default());
    assert_eq!(
        (rpc.events_per_second_per_device_max, rpc.events_per_second_per_member_max),
        (2_000, 10_000)
    );
    assert_eq!((rpc.doors.read, rpc.doors.submit, &rpc.doors.tokens), (None, Gate::Open, &vec![]));
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Json));
}

#[test]
fn each_setting_that_is_wrong_is_refused_with_its_line_and_its_mend() {
    let update = std::env::var_os("UPDATE").is_some();
    for (setting, from, to, said) in WRONG {
        assert!(CONFIG.contains(from), "{from}");
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), &CONFIG.replacen(from, to, 1));
        fs::write(dir.path().join("file"), "").unwrap();
        let refusal = refusal(dir.path()).replace(&genesis().network().to_string(), "NETWORK");
        if update {
            println!("    ({setting:?}, {from:?}, {to:?},\n     {refusal:?}),");
        } else {
            assert_eq!(refusal, *said, "{setting}: {from} -> {to}");
        }
    }
    let untested = SETTINGS.iter().filter(|known| !WRONG.iter().any(|row| row.0 == known.name));
    assert_eq!(untested.map(|setting| setting.name).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// What the members agreed on holds where nobody says anything, and nobody can say less.
#[test]
fn reading_needs_a_token_where_the_genesis_says_so() {
    let params = Params { open_reading: false, ..Params::default() };
    let open = genesis();
    let closed = Genesis::new(
        "test.example/closed",
        Millis(1_700_000_000_000),
        open.members().to_vec(),
        open.validators().clone(),
        params,
    );
    let closed = closed.unwrap();
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &closed, &CONFIG.replace("read = \"bearer\"\n", ""));
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    assert_eq!((config.rpc.doors.read, config.rpc.doors.submit), (None, Gate::Open));
    assert_eq!(config.rpc.doors.tokens.len(), 1);
    // Set or not, and what members agreed on: who reads shows what.
    let gate = |read, open| Doors { read, ..Doors::default() }.read_gate(open);
    let set = [None, Some(Gate::Open), Some(Gate::Bearer), Some(Gate::Mtls)];
    assert_eq!(
        set.map(|set| [gate(set, true), gate(set, false)]),
        [
            [Gate::Open, Gate::Bearer],
            [Gate::Open, Gate::Bearer],
            [Gate::Bearer, Gate::Bearer],
            [Gate::Mtls, Gate::Mtls]
        ]
    );
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &closed, &CONFIG.replace("read = \"bearer\"", "read = \"open\""));
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:16: rpc.read is \"open\", and the genesis says that reading is not; write \
         \"bearer\" or \"mtls\", or leave it out"
    );
}

#[test]
fn tokens_that_others_may_read_or_write_are_refused() {
    for mode in [0o644, 0o640, 0o620, 0o602] {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), CONFIG);
        let path = dir.path().join("tokens.toml");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            refusal(dir.path()),
            format!(
                "consignd.toml:18: tokens file tokens.toml has mode {mode:04o}; nobody else may read \
                 or write it; chmod 600 tokens.toml"
            )
        );
    }
}

/// A certificate with its key, and an authority: what the server of TLS wants of a configuration.
#[test]
fn a_certificate_is_taken_with_its_own_key_that_nobody_else_reads() {
    let [(cert, key), (other, _)] = ["127.0.0.1", "other"].map(|name| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.key_pair.serialize_pem())
    });
    let named = "tls_cert = \"tls.crt\"\ntls_key = \"tls.key\"\nclient_ca = \"ca.crt\"\n[p2p]";
    let config = CONFIG.replace("[p2p]", named).replace("submit = \"open\"", "submit = \"mtls\"");
    let load = |cert: &str, mode: u32| {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &genesis(), &config);
        write_file(&dir.path().join("tls.crt"), cert, 0o644);
        write_file(&dir.path().join("ca.crt"), &other, 0o644);
        write_file(&dir.path().join("tls.key"), &key, mode);
        let loaded = Config::load(&dir.path().join("consignd.toml"));
        loaded.map_err(|e| e.to_string().replace(&format!("{}/", dir.path().display()), ""))
    };
    let doors = load(&cert, 0o600).unwrap().rpc.doors;
    assert_eq!((doors.submit, doors.tls.is_some()), (Gate::Mtls, true));
    assert!(!format!("{doors:?}").contains("PRIVATE"), "{doors:?}");
    assert_eq!(
        load(&cert, 0o640).unwrap_err(),
        "consignd.toml:20: key file tls.key has mode 0640; nobody else may read it; chmod 600 tls.key"
    );
    assert_eq!(
        load(&other, 0o600).unwrap_err(),
        "consignd.toml:19: rpc.tls_cert: tls.crt: it cannot be used: keys may not be consistent: \
         KeyMismatch; name a certificate in PEM, with those that lead to its authority, and its key"
    );
}

#[test]
fn few_validators_are_refused_unless_told_otherwise() {
    let few = genesis_of("test.example/few", 3);
    let mut names = few.validators().validators().iter().map(|v| v.party.as_str());
    assert!(["airline", "customs", "forwarder"].iter().all(|name| names.any(|n| n == *name)));
    let told = CONFIG.replace("validators = false", "validators = true");
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &few, CONFIG);
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:2: the network has 3 validators and survives no fault; 4 survive one; for \
         development set network.allow_few_validators = true"
    );
    let told = told.replace("NETWORK", &few.network().to_string());
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
                "consignd.toml:8: key file keys/network.key has mode {mode:04o}; nobody else may read \
                 it; chmod 600 keys/network.key"
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
        write_file(&dir.path().join("keys/log.key"), &text, 0o600);
        let refusal = refusal(dir.path());
        assert_eq!(
            refusal,
            "consignd.toml:8: keys/log.key is not a log key: expected one line `consign-key-v1 log \
             <64 hex digits>`, or one that `consign key encrypt` made of it; put this node's own key there"
        );
        assert!(!refusal.contains(&seed), "a seed is never printed");
    }
}

/// The one key that is not Ed25519.
#[test]
fn nothing_else_is_taken_for_a_receipt_key() {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &genesis(), CONFIG);
    // A log key, and a number that is no scalar of the curve.
    let log = fs::read_to_string(dir.path().join("keys/log.key")).unwrap();
    for text in [log, format!("consign-key-v1 receipt {}\n", "f".repeat(64))] {
        write_file(&dir.path().join("receipt.key"), &text, 0o600);
        assert_eq!(
            refusal(dir.path()),
            "consignd.toml:9: receipt.key is not a receipt key: expected one line `consign-key-v1 \
             receipt <64 hex digits>`, or one that `consign key encrypt` made of it; put this node's own \
             key there"
        );
    }
}

/// Keys under a passphrase open with the right one; any other, and none, is said clearly.
#[test]
fn encrypted_keys_are_opened_by_the_passphrase_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let named = CONFIG.replace("[rpc]", "passphrase_file = \"passphrase\"\n[rpc]");
    lay_out(dir.path(), &genesis(), &named);
    let seed = key("airline log").to_seed();
    let fresh = Fresh { salt: [1; 16], iv: [2; 16] };
    let text = seal("log", &seed, b"correct horse", fresh).unwrap();
    write_file(&dir.path().join("keys/log.key"), &text, 0o600);
    let passphrase = dir.path().join("passphrase");

    write_file(&passphrase, "correct horse\n", 0o600);
    let config = Config::load(&dir.path().join("consignd.toml")).unwrap();
    assert_eq!(config.keys.log.public(), key("airline log").public());

    write_file(&passphrase, "battery staple\n", 0o600);
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:8: key file keys/log.key cannot be opened: the passphrase does not open it; name \
         the file of the right passphrase in node.passphrase_file"
    );
    write_file(&passphrase, "\n", 0o600);
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:10: passphrase holds no passphrase: one line of text, at most 1024 bytes; write \
         the passphrase there, in one line"
    );
    fs::write(
        dir.path().join("consignd.toml"),
        named.replace("passphrase_file", "#").replace("NETWORK", &genesis().network().to_string()),
    )
    .unwrap();
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:8: key file keys/log.key cannot be opened: it is encrypted, and there is no \
         passphrase; name the file of the passphrase in node.passphrase_file"
    );
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
                "consignd.toml:8: the {purpose} key in node.keys_dir is not the one that the genesis \
                 lists for airline; point node.keys_dir at that party's keys, or network.genesis at \
                 the right network"
            )
        );
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let wrong =
        CONFIG.replace("512", "0").replace("\"data\"", "7").replace("customs\"", "broker\"");
    lay_out(dir.path(), &genesis(), &wrong);
    assert_eq!(
        refusal(dir.path()),
        "consignd.toml:7: node.data_dir is 7; write it as data_dir = \"data\"\n\
         consignd.toml:12: rpc.connections_max is 0; write a whole number of connections from 1 to 65536\n\
         consignd.toml:25: p2p.peer[0].party: broker runs no validator of this network; write one of \
         airline, customs, forwarder, handler"
    );
}

/// Default, file, environment, command line: the later wins, is checked alike, and is named.
#[test]
fn environment_and_command_line_stand_above_the_file() {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &genesis(), &CONFIG.replace("format = \"text\"\n", ""));
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let sources = |environment: &[(&str, &str)], flags: &[(&str, &str)]| Sources {
        file: dir.path().join("consignd.toml"),
        environment: environment.iter().copied().map(pair).collect(),
        flags: flags.iter().copied().map(pair).collect(),
    };
    let given = sources(
        &[
            ("CONSIGN__RPC__LISTEN", "127.0.0.1:1"),
            ("CONSIGN__P2P__LISTEN", "/ip4/127.0.0.1/tcp/7,/ip4/127.0.0.1/tcp/8"),
            ("CONSIGN_NODE", "http://127.0.0.1:9"),
        ],
        &[("rpc.listen", "127.0.0.1:2"), ("rpc.connections_max", "9")],
    );
    let config = Config::load_from(&given).unwrap();
    assert_eq!(config.rpc.listen, ([127, 0, 0, 1], 2).into());
    assert_eq!(config.p2p_listen, ["/ip4/127.0.0.1/tcp/7", "/ip4/127.0.0.1/tcp/8"]);
    let shown = effective(&given).unwrap();
    let shown = shown.iter().map(|setting| setting.line() + "\n").collect::<String>();
    let network = genesis().network().to_string();
    let shown =
        shown.replace(&format!("{}/", dir.path().display()), "").replace(&network, "NETWORK");
    assert_eq!(
        shown,
        r#"log.format = "json"  # default
log.level = "info,libp2p=warn"  # consignd.toml:31
network.allow_few_validators = false  # consignd.toml:4
network.genesis = "genesis.cbor"  # consignd.toml:2
network.id = "NETWORK"  # consignd.toml:3
node.after_genesis = false  # default
node.data_dir = "data"  # consignd.toml:7
node.keys_dir = "keys"  # consignd.toml:8
node.party = "airline"  # consignd.toml:6
node.receipt_key = "receipt.key"  # consignd.toml:9
p2p.listen = ["/ip4/127.0.0.1/tcp/7","/ip4/127.0.0.1/tcp/8"]  # environment CONSIGN__P2P__LISTEN
p2p.peer[0].addresses = ["/dns4/customs.example/tcp/9201"]  # consignd.toml:26
p2p.peer[0].party = "customs"  # consignd.toml:25
p2p.peer[1].addresses = ["/ip4/192.0.2.7/tcp/9201"]  # consignd.toml:29
p2p.peer[1].party = "forwarder"  # consignd.toml:28
rpc.batch_max = 20  # default
rpc.body_bytes_max = 2097152  # default
rpc.connections_max = 9  # --set rpc.connections_max
rpc.connections_per_address_max = 128  # default
rpc.events_per_second_per_device_max = 2000  # default
rpc.events_per_second_per_member_max = 10000  # default
rpc.feed_stall_ms = 10000  # default
rpc.listen = "127.0.0.1:2"  # --set rpc.listen
rpc.read = "bearer"  # consignd.toml:16
rpc.read_timeout_ms = 5000  # consignd.toml:15
rpc.requests_per_second_max = 20000  # consignd.toml:14
rpc.response_bytes_max = 16777216  # default
rpc.sockets_max = 2048  # default
rpc.sockets_per_address_max = 256  # default
rpc.submit = "open"  # consignd.toml:17
rpc.subscriptions_per_connection_max = 32  # consignd.toml:13
rpc.tokens_file = "tokens.toml"  # consignd.toml:18
rpc.websocket_idle_ms = 60000  # default
rpc.websockets_max = 512  # default
rpc.websockets_per_address_max = 64  # default
rpc.write_stall_ms = 30000  # default
"#
    );
    let wrong = sources(
        &[("CONSIGN__RPC__LISTENS", "x"), ("CONSIGN__LOG__FORMAT", "xml")],
        &[("rpc.connections_max", "many"), ("p2p.peer.party", "x"), ("door", "x")],
    );
    assert_eq!(
        refusal_of(dir.path(), &wrong),
        "environment CONSIGN__RPC__LISTENS: rpc.listens is no setting; did you mean rpc.listen?\n\
         --set rpc.connections_max: rpc.connections_max is \"many\"; write a whole number of \
         connections from 1 to 65536\n\
         --set p2p.peer.party: peers are set in the file alone; write [[p2p.peer]] in the file\n\
         --set door: door is no setting; the sections are network, node, rpc, p2p, log\n\
         environment CONSIGN__LOG__FORMAT: log.format: \"xml\" is no form of a log; write \"json\" or \
         \"text\""
    );
}

/// docs/spec/config.md: its example is read, and its table has every setting with its default.
#[test]
fn the_page_of_the_specification_has_every_setting() {
    let page = include_str!("../../docs/spec/config.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consignd.toml");
    fs::write(&path, example).unwrap();
    assert!(effective(&Sources::file(&path)).is_ok());
    for setting in &SETTINGS {
        let default = match setting.unset {
            Unset::Refused => String::new(),
            Unset::Nothing => "none ".to_owned(),
            Unset::Flag(flag) => format!("`{flag}` "),
            Unset::Number(number) => format!("`{number}` "),
            Unset::Text(text) => format!("`\"{text}\"` "),
        };
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", setting.name)));
        let row = row.unwrap_or_else(|| panic!("no row for {}", setting.name));
        assert!(row.ends_with(&format!("| {default}|")), "{row}");
        if let Kind::Number { min, max, .. } = setting.kind {
            assert!(row.contains(&format!(", {min} to {max} |")), "{row}");
        }
    }
}

/// docs/spec/token-file.md: the file that it shows is read, and knows the secret that it shows.
#[test]
fn the_page_on_tokens_shows_a_file_that_knows_its_secret() {
    let page = include_str!("../../docs/spec/token-file.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let secret = page.lines().find_map(Secret::parse).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    write_file(&path, example, 0o600);
    let [token] = &read_tokens(&path).unwrap()[..] else { panic!("one token") };
    assert_eq!((token.sha256, token.to_toml().as_str()), (secret.digest(), example));
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let mend = "name the node's file with --config";
    assert_eq!(
        refusal(dir.path()),
        format!("consignd.toml: cannot read it: No such file or directory (os error 2); {mend}")
    );
    lay_out(dir.path(), &genesis(), &CONFIG.replace("party = \"airline\"", "party = canary"));
    let refusal = refusal(dir.path());
    assert!(refusal.starts_with("consignd.toml:6: not TOML: "), "{refusal}");
    assert!(!refusal.contains("canary"), "{refusal}");
}
