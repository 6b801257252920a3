//! Who gets in at a running node: tokens that its operator makes and takes away while it runs, and the certificate
//! that it shows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use consign_cli::keys::Purpose;
use consign_rpc::client::{Client, Credentials};
use consign_rpc::tls::{self, Chain};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_types::event::{Action, Kind};
use rcgen::{CertificateParams, KeyPair};

async fn run(arguments: &[&str]) -> Ran {
    consign(arguments).await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

/// Without a token nobody reads. One that is made while the node runs works once the node has read its file
/// again, by the operator's own socket; taken out, it does not. A file that cannot be read changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_and_taken_away_while_the_node_runs() {
    let mut drill = Drill::start().await;
    let party = drill.parties()[3].clone();
    let desk = drill.enrol(&party, "desk", &[Kind::Register]).await;
    let unit = format!("trk/{party}/DOOR-1");
    drill.prove(&party, &desk.signs(1, &unit, Action::Register)).await;

    drill.stop(&party);
    let home = drill.home(&party).clone();
    let dir = home.config.parent().expect("the party's directory");
    let (tokens, socket) = (dir.join("tokens.toml"), dir.join("admin.sock"));
    let new = ["token", "new", "--name", "first", "--scope", "metrics", "--into", text(&tokens)];
    assert_eq!(run(&new).await.code, 0);
    let config = fs::read_to_string(&home.config).expect("its configuration");
    let doors =
        "[rpc]\nread = \"bearer\"\ntokens_file = \"tokens.toml\"\nadmin_socket = \"admin.sock\"\n";
    fs::write(&home.config, config.replacen("[rpc]\n", doors, 1)).expect("it can be written");
    drill.restart(&party);
    drill.until("it is ready", || drill.is_ready(&party)).await;
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);

    let get = ["--node", &home.url, "unit", "get", &unit];
    let refused = run(&get).await;
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains("unauthenticated"), "{}", refused.stderr);

    let portal = dir.join("portal.token");
    let mut new = vec!["token", "new", "--name", "portal", "--scope", "read"];
    new.extend(["--into", text(&tokens), "--out", text(&portal)]);
    assert_eq!(run(&new).await.code, 0);
    let with_token = [&get[..], &["--token-file", text(&portal)]].concat();
    assert!(run(&with_token).await.stderr.contains("unauthenticated"), "not before it is read");
    let reload = ["token", "reload", "--socket", text(&socket)];
    let reloaded = run(&reload).await;
    assert_eq!((reloaded.code, reloaded.stdout.as_str()), (0, "first: metrics\nportal: read\n"));
    let read = run(&with_token).await;
    assert_eq!(read.code, 0, "{}", read.stderr);

    let two = fs::read_to_string(&tokens).expect("the tokens");
    fs::write(&tokens, "neither\n").expect("it can be written");
    let broken = run(&reload).await;
    assert_eq!(broken.code, 7, "{}", broken.stderr);
    assert!(broken.stderr.contains("bad_configuration"), "{}", broken.stderr);
    assert_eq!(run(&with_token).await.code, 0, "what held before holds");

    let one = two.split("\n[[token]]\n").next().expect("the first");
    fs::write(&tokens, one).expect("it can be written");
    assert_eq!(run(&reload).await.stdout, "first: metrics\n");
    assert!(run(&with_token).await.stderr.contains("unauthenticated"));
    let list = ["token", "list", "--socket", text(&socket)];
    assert_eq!(run(&list).await.stdout, "first: metrics\n");

    // Everybody reads again, so that the drill can look at the end.
    drill.stop(&party);
    assert!(!socket.exists(), "the socket goes with the node");
    fs::write(&home.config, config).expect("it can be written");
    drill.restart(&party);
    drill.finish().await;
}

/// A certificate of its own, written where a node looks for it; whoever is pinned to it believes it alone.
fn renew(dir: &Path) -> tls::Client {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let chain = params.self_signed(&key).expect("signed").pem();
    let secret = dir.join("tls.key");
    fs::write(&secret, key.serialize_pem()).expect("it can be written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("it can be set");
    fs::write(dir.join("tls.crt"), &chain).expect("it can be written");
    tls::Client::pinned(&Chain::from_pem(chain.as_bytes()).expect("a chain")).expect("one")
}

/// A certificate that was renewed is shown after a hangup, and not before; one that does not fit its key
/// changes nothing, and the log says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_while_the_node_runs() {
    let drill = Drill::start().await;
    let party = drill.parties()[3].clone();
    drill.stop(&party);
    let home = drill.home(&party).clone();
    let dir = home.config.parent().expect("the party's directory");
    let config = fs::read_to_string(&home.config).expect("its configuration");
    let secret = "[rpc]\ntls_cert = \"tls.crt\"\ntls_key = \"tls.key\"\n";
    fs::write(&home.config, config.replacen("[rpc]\n", secret, 1)).expect("it can be written");
    let first = renew(dir);
    drill.restart(&party);
    let url = home.url.replace("http://", "https://");
    let shown = |pinned: &tls::Client| {
        let credentials = Credentials { token: None, tls: Some(pinned.clone()) };
        let client = Client::connect_with(&url, credentials).expect("an address");
        async move { client.status().await.is_ok() }
    };
    drill.until("the node shows its certificate", || shown(&first)).await;

    let second = renew(dir);
    assert!(shown(&first).await, "nobody has said that there is another one");
    drill.hang_up(&party);
    drill.until("the node shows the other one", || shown(&second)).await;
    assert!(!shown(&first).await, "the first is gone");

    // Of another key: half of a renewal.
    let kept = fs::read(dir.join("tls.crt")).expect("the second");
    let _ = renew(dir);
    fs::write(dir.join("tls.crt"), &kept).expect("it can be written");
    drill.hang_up(&party);
    let said = || fs::read_to_string(&home.log).expect("its log");
    drill.until("it says so", || async { said().contains("rpc.certificate.kept") }).await;
    assert!(said().contains("name a certificate in PEM"), "and what to do");
    assert!(shown(&second).await, "what held before holds");

    drill.stop(&party);
    fs::write(&home.config, config).expect("it can be written");
    drill.restart(&party);
    drill.finish().await;
}

/// Reading is closed, and the node shows a certificate of no public authority. Whoever is invited has no token yet: it
/// asks to join with the certificate that it was given, and makes nothing without it.
#[tokio::test(flavor = "multi_thread")]
async fn an_invited_party_asks_to_join_where_reading_is_closed() {
    let drill = Drill::start().await;
    let party = drill.parties()[3].clone();
    let key = drill.devnet().layout().key(&party, Purpose::Member);
    drill.stop(&party);
    let home = drill.home(&party).clone();
    let dir = home.config.parent().expect("the party's directory");
    let [tokens, secret, ca] =
        ["tokens.toml", "office.token", "tls.crt"].map(|name| dir.join(name));
    let mut new = vec!["token", "new", "--name", "office", "--scope", "read"];
    new.extend(["--into", text(&tokens), "--out", text(&secret)]);
    assert_eq!(run(&new).await.code, 0);
    let config = fs::read_to_string(&home.config).expect("its configuration");
    let doors = "[rpc]\nread = \"bearer\"\ntokens_file = \"tokens.toml\"\n\
                 tls_cert = \"tls.crt\"\ntls_key = \"tls.key\"\n";
    fs::write(&home.config, config.replacen("[rpc]\n", doors, 1)).expect("it can be written");
    let pinned = renew(dir);
    drill.restart(&party);
    let url = home.url.replace("http://", "https://");
    let credentials = Credentials { token: None, tls: Some(pinned) };
    let client = Client::connect_with(&url, credentials).expect("an address");
    let ready = || async { client.status().await.is_ok_and(|status| status.validators.voting) };
    drill.until("it votes behind its doors", ready).await;

    let office = ["--node", &url, "--ca", text(&ca), "--token-file", text(&secret)];
    let peer = format!("{party}=/ip4/127.0.0.1/tcp/{}", drill.p2p_port());
    let mut invite = vec!["network", "invite", "port", "--as", party.as_str()];
    invite.extend(["--key", text(&key), "--peer", &peer]);
    let invited = run(&[&office[..], &invite].concat()).await;
    assert_eq!(invited.code, 0, "{}", invited.stderr);
    let (_, print) = invited.stderr.split_once("the fingerprint ").expect("its fingerprint");
    let print: String = print.chars().take(24).collect();

    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("port");
    let join = ["node", "init", "--join", invited.stdout.trim(), "--out", text(&out)];
    assert_eq!(run(&join).await.code, 1, "nobody says that the certificate is good");
    assert!(!out.exists(), "nothing was made");
    let entered = run(&[&["--ca", text(&ca)], &join[..]].concat()).await;
    assert_eq!(entered.code, 0, "{}", entered.stderr);
    let expected = format!("invited by {party}, fingerprint {print}\n");
    assert!(entered.stdout.contains(&expected), "{}\nlacks {expected}", entered.stdout);
    let requests = run(&[&office[..], &["gov", "requests"]].concat()).await;
    assert!(requests.stdout.starts_with("port "), "{}{}", requests.stdout, requests.stderr);

    // Everybody reads again, so that the drill can look at the end.
    drill.stop(&party);
    fs::write(&home.config, config).expect("it can be written");
    drill.restart(&party);
    drill.finish().await;
}
