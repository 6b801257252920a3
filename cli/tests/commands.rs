//! The program itself, run as people and scripts run it: what it prints, what it writes, and what it
//! exits with. No node is needed.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use consign_rpc::token::Secret;
use consign_types::claim::Claim;
use consign_types::event::{Action, SignedEvent};
use consign_types::time::Millis;

const SSCC: &str = "00/106141412345678908";

struct Ran {
    exit: i32,
    out: String,
    err: String,
    bytes: Vec<u8>,
}

fn consign(dir: &Path, arguments: &[&str]) -> Ran {
    consign_fed(dir, arguments, b"")
}

/// With these bytes on its standard input.
fn consign_fed(dir: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for name in ["CONSIGN_NODE", "CONSIGN_TRUST", "CONSIGN_TOKEN_FILE", "CONSIGND", "DATA"] {
        command.env_remove(name);
    }
    let mut fed = tempfile::tempfile().unwrap();
    fed.write_all(input).unwrap();
    fed.rewind().unwrap();
    let Output { status, stdout, stderr } =
        command.current_dir(dir).args(arguments).stdin(fed).output().unwrap();
    Ran {
        exit: status.code().unwrap(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
        bytes: stdout,
    }
}

#[test]
fn help_says_what_each_command_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let ran = consign(dir.path(), arguments);
        assert_eq!(ran.exit, 0);
        ran.out
    };
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_devnet", help(&["devnet", "--help"]));
    insta::assert_snapshot!("help_devnet_demo", help(&["devnet", "demo", "--help"]));
    insta::assert_snapshot!("help_event_build", help(&["event", "build", "--help"]));
    insta::assert_snapshot!("help_device", help(&["device", "--help"]));
    insta::assert_snapshot!("help_replay_c2k", help(&["replay", "c2k", "--help"]));
    insta::assert_snapshot!("help_proof_consistency", help(&["proof", "consistency", "--help"]));
}

/// The example of the specification: a passport, and the trust file that goes with it.
fn spec_example(dir: &Path) -> Vec<u8> {
    let page = include_str!("../../docs/spec/passport.md");
    let block = |fence: &str| {
        let (_, rest) = page.split_once(&format!("```{fence}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let digits = block("hex passport").replace('\n', "");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    fs::write(dir.join("parcel.passport"), &bytes).unwrap();
    fs::write(dir.join("trust.json"), block("text trust")).unwrap();
    bytes
}

/// As it is shown to people and to programs.
#[test]
fn a_passport_is_shown_without_being_checked() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = spec_example(dir.path());
    let shown = consign(dir.path(), &["passport", "show", "parcel.passport"]);
    assert_eq!((shown.exit, shown.err.as_str()), (0, ""));
    insta::assert_snapshot!("passport_show", shown.out);
    let shown = consign(dir.path(), &["--output", "json", "passport", "show", "parcel.passport"]);
    insta::assert_snapshot!("passport_show_json", shown.out);

    fs::write(dir.path().join("parcel.passport"), &bytes[1..]).unwrap();
    let refused = consign(dir.path(), &["passport", "show", "parcel.passport"]);
    assert_eq!(refused.exit, 3);
    assert!(refused.err.contains("is no passport"), "{}", refused.err);
}

#[test]
fn a_proof_is_verified_from_standard_input_as_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = spec_example(dir.path());
    let now = ["--now", "2027-01-01T00:00:00Z", "--trust", "trust.json"];
    let of_file = consign(dir.path(), &[&["verify", "parcel.passport"][..], &now].concat());
    let piped = |bytes: &[u8]| {
        let command = [&["verify", "-"][..], &now].concat();
        consign_fed(dir.path(), &command, bytes)
    };
    let of_input = piped(&bytes);
    assert_eq!((of_input.exit, of_input.out), (0, of_file.out));
    assert_eq!(piped(&bytes[..bytes.len() - 1]).exit, 3);
    assert_eq!(piped(b"").exit, 3);
}

#[test]
fn completions_are_made_for_every_shell() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = consign(dir.path(), &["completions", shell]);
        assert_eq!((ran.exit, ran.out.contains("devnet")), (0, true), "{shell}");
    }
}

#[test]
fn a_command_line_that_means_nothing_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &["devnt"][..],
        &["key", "new", "--purpose", "door", "--out", "k"],
        &["unit", "get", "00/106141412345678901"],
        &["event", "get", "abc"],
        &["event", "build", "--type", "register"],
        &["--timeout", "0", "health"],
    ] {
        assert_eq!(consign(dir.path(), arguments).exit, 2, "{arguments:?}");
    }
}

#[test]
fn errors_are_a_code_a_sentence_and_what_to_do_next() {
    let dir = tempfile::tempdir().unwrap();
    let err = |arguments: &[&str], exit| {
        let ran = consign(dir.path(), arguments);
        assert_eq!((ran.exit, ran.out.as_str()), (exit, ""), "{arguments:?}");
        ran.err
    };
    insta::assert_snapshot!(err(&["devnet", "status"], 2), @r"
    error[no_devnet]: ./devnet holds no development network
    help: start one with `consign devnet up`, or name it with --dir
    ");
    insta::assert_snapshot!(err(&["verify", "absent.tlog-proof"], 1), @r"
    error[file]: cannot read absent.tlog-proof: No such file or directory (os error 2)
    help: check that the path exists and who owns it
    ");
    insta::assert_snapshot!(err(&["event", "build", "--type", "hold", "--unit", SSCC], 2), @r"
    error[bad_event]: field reason is missing
    help: see `consign event build --help`
    ");
    insta::assert_snapshot!(
        err(&["--output", "json", "network", "init", "--out", "n", "--party", "a", "--authority", "b"], 2),
        @r#"{"error":{"code":"bad_network","exit":2,"help":"add it with --party","message":"authority b is not one of the parties"}}"#
    );
}

/// Port 9 of loopback is the discard service, which nobody runs.
#[test]
fn a_node_that_does_not_answer_is_an_operational_error() {
    let dir = tempfile::tempdir().unwrap();
    let ran = consign(dir.path(), &["--node", "http://127.0.0.1:9", "unit", "get", SSCC]);
    assert_eq!(ran.exit, 1);
    assert!(
        ran.err.starts_with("error[node_unreachable]: no node answers at http://127.0.0.1:9: ")
    );
    assert!(ran.err.contains("help: start one with `consign devnet up`"));
}

#[test]
fn a_private_key_is_never_printed_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let new = ["key", "new", "--purpose", "device", "--out", "dock7.key"];
    let ran = consign(dir.path(), &new);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    let file = fs::read_to_string(dir.path().join("dock7.key")).unwrap();
    let seed = file.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert_eq!((ran.out.trim_end().len(), seed.len()), (64, 64));
    assert!(!ran.out.contains(&seed));

    let ran = consign(dir.path(), &new);
    assert_eq!(ran.exit, 7);
    assert!(ran.err.starts_with("error[key_exists]: dock7.key exists already"));
    assert_eq!(fs::read_to_string(dir.path().join("dock7.key")).unwrap(), file);
}

#[test]
fn an_event_is_built_signed_and_is_the_bytes_on_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    consign(dir.path(), &["key", "new", "--purpose", "device", "--out", "dock7.key"]);
    let place = "414/9521321000018";
    let build = ["event", "build", "--type", "register", "--unit", SSCC, "--place", place];
    let built = consign(dir.path(), &[&build[..], &["--time", "2026-11-22T12:00:03Z"]].concat());
    insta::assert_snapshot!(built.out, @r#"
    {
      "type": "register",
      "unit": "00/106141412345678908",
      "place": "414/9521321000018",
      "time": "2026-11-22T12:00:03Z"
    }
    "#);
    fs::write(dir.path().join("event.json"), &built.out).unwrap();

    let network = "ab".repeat(32);
    let sign = ["event", "sign", "event.json", "--key", "dock7.key", "--device", "handler.dock7"];
    let rest = ["--sequence", "1", "--network", &network];
    let signed = consign(dir.path(), &[&sign[..], &rest].concat());
    let event = SignedEvent::decode(&signed.bytes).unwrap();
    assert_eq!(event.event().signer.to_string(), "handler.dock7");
    assert_eq!(event.event().network.to_string(), network);
    // Ed25519 is deterministic: signing again makes the same bytes.
    assert_eq!(consign(dir.path(), &[&sign[..], &rest].concat()).bytes, signed.bytes);

    // Bytes that are no event never leave the machine.
    fs::write(dir.path().join("cut.cbor"), &signed.bytes[1..]).unwrap();
    let ran = consign(dir.path(), &["event", "submit", "cut.cbor"]);
    assert_eq!(ran.exit, 7);
    assert!(ran.err.starts_with("error[malformed_event]: "), "{}", ran.err);
}

/// A device is made with a key of its own, signs under its own numbers, and goes on where it was.
#[test]
fn a_device_is_made_and_signs_under_its_own_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let network = "ab".repeat(32);
    let new = ["--output", "json", "device", "new", "--class", "scanner", "--name", "dock7"];
    let rest = ["--party", "handler", "--network", &network, "--out", "dock7"];
    let made = consign(dir.path(), &[&new[..], &rest].concat());
    assert_eq!((made.exit, made.err.as_str()), (0, ""));
    let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
    let claim: Claim = made["claim"].as_str().unwrap().parse().unwrap();
    assert_eq!(claim.device().to_string(), "handler.dock7");
    assert_eq!(claim.network().to_string(), network);
    let key = fs::read_to_string(dir.path().join("dock7/device.key")).unwrap();
    assert!(!made.to_string().contains(key.trim_end().rsplit(' ').next().unwrap()));

    let build = ["event", "build", "--type", "arrive", "--unit", SSCC];
    fs::write(dir.path().join("event.json"), consign(dir.path(), &build).out).unwrap();
    let sign = ["event", "sign", "event.json", "--dir", "dock7"];
    for number in 1..4 {
        let event = SignedEvent::decode(&consign(dir.path(), &sign).bytes).unwrap();
        assert_eq!(
            (event.event().sequence, event.event().signer.clone()),
            (number, claim.device().clone())
        );
        assert!(event.check_with(&claim.key()).is_ok());
    }
    let both = consign(dir.path(), &[&sign[..], &["--key", "dock7/device.key"]].concat());
    assert_eq!(both.exit, 2);

    let again = consign(dir.path(), &[&new[..], &rest].concat());
    assert_eq!(again.exit, 7, "{}", again.err);
    let text = consign(dir.path(), &[&new[2..], &rest[..4], &["--out", "other"]].concat());
    let shown = text.out.lines().filter(|line| !line.starts_with("consign1dev-"));
    let shown: Vec<&str> = shown.map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        shown,
        [
            "handler.dock7 has a key in other/device.key (0600); compare its id when it is enrolled",
            "next, at the member",
        ]
    );
}

/// A member that is offline signs under the number that it is told, and sends nothing.
#[test]
fn a_member_signs_offline_under_a_number_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let parties = ["forwarder", "airline", "handler", "consignee"].map(|name| ["--party", name]);
    let init = ["network", "init", "--out", "net"];
    assert_eq!(consign(dir.path(), &[&init[..], parties.as_flattened()].concat()).exit, 0);
    let revoke = ["--trust", "net/network.trust.json", "device", "revoke", "handler.dock7"];
    let key = ["--key", "net/handler/keys/member.key"];
    let since = ["--suspected-since", "2026-11-22T12:00:03Z"];
    let signed =
        [&revoke[..], &key, &since, &["--sequence", "5", "--out", "revoke.event"]].concat();
    let ran = consign(dir.path(), &signed);
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let event = SignedEvent::decode(&fs::read(dir.path().join("revoke.event")).unwrap()).unwrap();
    assert_eq!(
        (event.event().signer.to_string(), event.event().sequence),
        ("handler".to_owned(), 5)
    );
    let action = Action::Revoke { suspected_since: Some(Millis(1_795_348_803_000)) };
    assert_eq!(event.event().action, action);

    let without = consign(dir.path(), &[&revoke[..], &key, &["--out", "revoke.event"]].concat());
    assert_eq!(without.exit, 2, "a number must be named");
    let claim = consign(dir.path(), &[&["device", "claim", "consign1dev-AAAA"][..], &key].concat());
    assert_eq!(claim.exit, 7);
    assert!(claim.err.starts_with("error[bad_claim]: the claim is damaged"), "{}", claim.err);
}

#[test]
fn a_network_is_made_and_inspected_and_names_itself_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let parties = ["forwarder", "airline", "handler", "consignee"].map(|name| ["--party", name]);
    let made = consign(
        dir.path(),
        &[&["--output", "json", "network", "init", "--out", "net"][..], parties.as_flattened()]
            .concat(),
    );
    assert_eq!((made.exit, made.err.as_str()), (0, ""));
    let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
    let inspect = ["--output", "json", "network", "inspect", "net/genesis.cbor"];
    let inspected = consign(dir.path(), &inspect);
    let inspected: serde_json::Value = serde_json::from_str(&inspected.out).unwrap();
    assert_eq!(inspected["network"], made["network"]);
    assert_eq!(inspected["quorum"], 3);

    fs::write(dir.path().join("half.cbor"), b"\x86").unwrap();
    assert_eq!(consign(dir.path(), &["network", "inspect", "half.cbor"]).exit, 3);
}

/// The secret once, its digest in the node's file, both for their owner alone.
#[test]
fn a_token_is_printed_once_and_its_digest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let new = |more: &[&str]| consign(dir.path(), &[&["token", "new", "--name"], more].concat());
    let made = new(&["portal", "--scope", "read,metrics,read", "--into", "tokens.toml"]);
    assert_eq!((made.exit, made.err.as_str()), (0, ""));
    let secret = Secret::parse(made.out.trim_end()).expect("the secret alone");
    let until = "2027-01-01T00:00:00Z";
    let more =
        ["gate", "--scope", "submit", "--until", until, "--into", "tokens.toml", "--out", "gate"];
    assert_eq!(new(&more).out, "made the token gate\n");
    let gate = fs::read_to_string(dir.path().join("gate")).unwrap();
    let gate = Secret::parse(gate.trim_end()).expect("the secret alone");
    assert_eq!(
        fs::read_to_string(dir.path().join("tokens.toml")).unwrap(),
        format!(
            "[[token]]\nname = \"portal\"\nsha256 = \"{}\"\nscopes = [\"read\", \"metrics\"]\n\n\
             [[token]]\nname = \"gate\"\nsha256 = \"{}\"\nscopes = [\"submit\"]\n\
             until = 2027-01-01T00:00:00.000Z\n",
            secret.digest(),
            gate.digest()
        )
    );
    for file in ["tokens.toml", "gate"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let taken = new(&["portal", "--scope", "read", "--into", "tokens.toml"]);
    assert_eq!(taken.exit, 7);
    assert!(taken.err.starts_with("error[token_exists]: "), "{}", taken.err);
    for wrong in [["a b", "read"], ["portal", "admin"], ["portal", "public"]] {
        assert_eq!(new(&[wrong[0], "--scope", wrong[1]]).exit, 2);
    }
}

#[test]
fn a_file_of_secrets_that_others_may_read_or_of_another_form_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let ask = || consign(dir.path(), &["health", "--token-file", "secret"]);
    fs::write(&path, "canary\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = ask();
    assert_eq!(refused.exit, 7);
    assert!(refused.err.starts_with("error[key_mode]: token file secret has mode 0644"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = ask();
    assert_eq!(refused.exit, 2);
    assert!(refused.err.starts_with("error[token_format]: line 1 of secret is no token"));
    assert!(!refused.err.contains("canary"));
}
