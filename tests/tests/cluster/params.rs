//! Parameters that members change while the network works.

use std::fs;
use std::path::{Path, PathBuf};

use consign_cli::keys::Purpose;
use consign_rpc::client::Client;
use consign_rpc::errors::ErrorKind;
use consign_rpc::methods::GetMembers;
use consign_rpc::views::ParamsView;
use consign_tests::drill::command::{Ran, consign};
use consign_tests::drill::council::field;
use consign_tests::drill::{Drill, http};
use consign_types::genesis::Params;
use consign_types::party::PartyId;

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What a node tells everybody of the parameters in force; `None` where it wants a token first.
async fn told(client: &Client) -> Option<ParamsView> {
    match client.call(&GetMembers::default()).await {
        Ok(view) => Some(view.params),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}");
            None
        }
    }
}

/// The pace that a node keeps. A node is ready a moment before its engine has said it.
async fn pace_s(drill: &Drill, party: &PartyId) -> f64 {
    let pace = || http::metric(&drill.home(party).url, "consign_consensus_pace_seconds");
    drill.until("the engine says its pace", || async { pace().await > 0.0 }).await;
    pace().await
}

async fn restart(drill: &Drill, party: &PartyId) {
    drill.stop(party);
    drill.restart(party);
    drill.until("it is ready again", || drill.is_ready(party)).await;
}

/// Every node knows one token. One of them says that everybody may read, which holds as long as members agree.
async fn with_tokens(drill: &Drill) -> PathBuf {
    let root = drill.devnet().layout().root();
    let (tokens, token) = (root.join("tokens.toml"), root.join("desk.token"));
    let new = ["token", "new", "--name", "desk", "--scope", "read", "--scope", "submit"];
    let new = new.into_iter().chain(["--into", text(&tokens), "--out", text(&token)]);
    let made = consign(new).await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    for (at, party) in drill.parties().iter().enumerate() {
        drill.stop(party);
        let home = drill.home(party);
        let dir = home.config.parent().expect("its directory");
        fs::copy(&tokens, dir.join("tokens.toml")).expect("it can be copied");
        let config = fs::read_to_string(&home.config).expect("its configuration");
        let read = if at == 1 { "read = \"open\"\n" } else { "" };
        let doors = format!("[rpc]\n{read}tokens_file = \"tokens.toml\"\n");
        let config = config.replacen("[rpc]\n", &doors, 1);
        fs::write(&home.config, config).expect("it can be written");
        drill.restart(party);
    }
    for party in drill.parties() {
        drill.until("it is ready", || drill.is_ready(&party)).await;
    }
    token
}

/// Three of the four decide, all at one node, with the token.
async fn decide(drill: &Drill, token: &Path, change: &[&str]) -> String {
    let parties = drill.parties();
    let url = &drill.home(&parties[0]).url;
    let say = async |by: &PartyId, words: &[&str]| {
        let key = drill.devnet().layout().key(by, Purpose::Member);
        let own = ["--as", by.as_str(), "--key", text(&key), "--wait", "proven"];
        let asked = ["--node", url, "--token-file", text(token), "gov"].into_iter();
        let Ran { code, stdout, stderr } =
            consign(asked.chain(words.iter().copied()).chain(own)).await;
        assert_eq!(code, 0, "{by}: {stdout}{stderr}");
        stdout
    };
    let proposed = say(&parties[0], &[&["propose", "params"][..], change].concat()).await;
    let id = field(&proposed, "event").to_owned();
    say(&parties[1], &["approve", &id]).await;
    say(&parties[2], &["approve", &id]).await
}

/// The pace and the door for reading follow what members decided, on each node and without a restart; and a node
/// that was restarted reads it from the ledger and not from the genesis.
#[tokio::test(flavor = "multi_thread")]
async fn what_members_decide_of_the_parameters_is_in_force_on_every_node() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let token = with_tokens(&drill).await;
    let founded = Params::default();
    for party in &parties {
        assert_eq!(told(&drill.client(party)).await, Some(founded.into()), "{party}");
        assert_eq!(pace_s(&drill, party).await, 0.1, "{party}");
    }

    let decided = decide(&drill, &token, &["--block-interval-ms", "150"]).await;
    assert!(field(&decided, "stage").starts_with("in force from height "), "{decided}");
    let slower = Params { block_interval_ms: 150, ..founded };
    for party in &parties {
        let client = drill.client(party);
        let slow = || async { told(&client).await == Some(slower.into()) };
        drill.until(&format!("{party} tells it"), slow).await;
        let keeps = || async { (pace_s(&drill, party).await - 0.15).abs() < 1e-9 };
        drill.until(&format!("{party} keeps it"), keeps).await;
    }
    restart(&drill, &parties[3]).await;
    assert_eq!(pace_s(&drill, &parties[3]).await, 0.15);

    // What is not named stays: the pace is the same after reading is closed.
    let decided = decide(&drill, &token, &["--open-reading", "false"]).await;
    assert!(field(&decided, "stage").starts_with("in force from height "), "{decided}");
    for party in &parties {
        let client = drill.client(party);
        let closed = || async { told(&client).await.is_none() };
        drill.until(&format!("{party} asks for a token"), closed).await;
    }
    for party in &parties[..2] {
        restart(&drill, party).await;
        assert_eq!(told(&drill.client(party)).await, None, "{party}");
        let url = &drill.home(party).url;
        let shown = ["--node", url, "--token-file", text(&token), "gov", "members"];
        let shown = consign(shown).await;
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        for line in ["parameter  block interval: 150 ms", "parameter  reading: for members"] {
            assert!(shown.stdout.lines().any(|shown| shown == line), "{}", shown.stdout);
        }
    }

    decide(&drill, &token, &["--open-reading", "true"]).await;
    for party in &parties {
        let client = drill.client(party);
        let open = || async { told(&client).await == Some(slower.into()) };
        drill.until(&format!("{party} is open again"), open).await;
    }
    drill.note_members(&parties[..3]).await;
    drill.finish().await;
}
