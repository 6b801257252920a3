//! The keys of a node against those that the ledger lists.

mod support;

use std::path::Path;
use std::sync::Arc;

use consign_node::config::Config;
use consign_node::identity::Identity;
use consign_node::{node, start};
use tokio::sync::watch;

use support::{config, genesis, key, party};

fn compared(change: impl FnOnce(&mut Config)) -> Result<Option<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let config = changed(dir.path(), change);
    let committed = start::open(&config).unwrap();
    let compared = Identity::of(&config).compare(&committed);
    compared.map(|differs| differs.map(|d| d.to_string())).map_err(|foreign| foreign.to_string())
}

fn changed(dir: &Path, change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config(dir, "airline", genesis());
    change(&mut config);
    config
}

#[test]
fn keys_that_the_ledger_lists_for_the_party_are_its_own() {
    assert_eq!(compared(|_| {}), Ok(None));
}

#[test]
fn a_party_that_is_not_listed_yet_starts_with_keys_that_nobody_has() {
    let newcomer = |config: &mut Config| {
        config.party = party("broker");
        config.keys = support::keys("broker");
    };
    assert_eq!(compared(newcomer), Ok(None));
}

#[test]
fn other_keys_than_the_listed_ones_are_named() {
    let other = |config: &mut Config| {
        config.keys.consensus = Arc::new(key("airline next consensus"));
        config.keys.network = key("airline next network");
    };
    let why =
        "the ledger lists another consensus and network key for airline than node.keys_dir holds";
    assert_eq!(compared(other), Ok(Some(why.to_owned())));
}

#[test]
fn keys_of_another_party_are_refused_in_whatever_role() {
    let refused = |key: &str| {
        format!(
            "the {key} key in node.keys_dir is that of customs, and node.party is airline; point node.keys_dir at the \
             keys of airline"
        )
    };
    assert_eq!(
        compared(|config| config.keys = support::keys("customs")),
        Err(refused("consensus"))
    );
    let crossed = |config: &mut Config| config.keys.network = key("customs cosigner");
    assert_eq!(compared(crossed), Err(refused("network")));
    let newcomer = |config: &mut Config| {
        config.party = party("broker");
        config.keys = support::keys("broker");
        config.keys.network = key("customs network");
    };
    let network = refused("network").replace("airline", "broker");
    assert_eq!(compared(newcomer), Err(network));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_the_keys_of_another_party_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = changed(dir.path(), |config| config.keys = support::keys("customs"));
    let (_stop, stopping) = watch::channel(false);
    let (_again, rereading) = watch::channel(());
    let refused = node::run(config, stopping, rereading).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the consensus key in node.keys_dir is that of customs, and node.party is airline; point node.keys_dir at the \
         keys of airline"
    );
}
