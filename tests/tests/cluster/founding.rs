//! A network that four parties found, each with keys of its own, by the page of the manual.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use consign_cli::devnet::home::NodeHome;
use consign_cli::devnet::process;
use consign_rpc::client::Client;
use consign_rpc::methods::GetMembers;
use consign_tests::drill::built;
use consign_tests::drill::command::shell;
use consign_tests::page::blocks;
use consign_tests::wait;

const PAGE: &str = include_str!("../../../docs/operating/founding.md");
const PARTIES: [&str; 4] = ["forwarder", "airline", "handler", "consignee"];
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Four running nodes; whatever happens, they end with the test.
struct Nodes(Vec<NodeHome>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &self.0 {
            let _ = process::kill(node, PATIENCE);
        }
    }
}

/// Ten ports that nobody listens on, of which the first ends in 0: the page counts from 1.
fn ten_ports(from: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let ten = |base: &u16| (*base..*base + 5).all(free);
    (from..from + 2_000).step_by(10).find(ten).expect("ten free ports")
}

fn node(root: &Path, party: &str, rpc: u16) -> NodeHome {
    let home = root.join(party);
    NodeHome {
        party: party.parse().expect("a name"),
        url: format!("http://127.0.0.1:{rpc}"),
        config: home.join("consignd.toml"),
        log: home.join("consignd.log"),
        pid: home.join("consignd.pid"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_parties_found_a_network_as_the_manual_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    let (rpc, p2p) = (ten_ports(21_200), ten_ports(25_200));
    let page = PAGE
        .replace("127.0.0.1:910$n", &format!("127.0.0.1:{}$n", rpc / 10))
        .replace("tcp/920$n", &format!("tcp/{}$n", p2p / 10));
    let mut blocks = blocks(&page).into_iter();
    let mut next = async || {
        let (script, exit) = blocks.next().expect("the page has one more block");
        let ran = shell(root, "http://127.0.0.1:9", &script).await;
        assert_eq!(ran.code, exit, "{script}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    // What a party reads to whoever makes the genesis is what that one sees.
    let made = next().await;
    let founded = next().await;
    let told: Vec<_> = made.lines().filter_map(|line| line.strip_prefix("you are    ")).collect();
    assert_eq!(told.len(), 4);
    for line in told {
        let (party, prints) = line.split_once(", ").expect("a party and its fingerprints");
        assert!(founded.contains(&format!("{party:<10} {prints}")), "{founded}\nlacks {line}");
    }
    let adopted = next().await;
    let network = founded.lines().next().expect("a line").to_owned();
    assert_eq!(adopted.lines().filter(|line| **line == network).count(), 4, "{adopted}");
    let inspected = next().await;
    let name = network.trim_start_matches("network").trim();
    assert_eq!(inspected.matches(name).count(), 4, "{inspected}");
    assert_eq!(blocks.next(), None, "every block of the page was run");

    // A genesis that lists another is not taken home.
    let other = "consign node init --found --party airline --out other
                 consign node adopt --home other --from network";
    let refused = shell(root, "http://127.0.0.1:9", other).await;
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains("error[not_ours]"), "{}", refused.stderr);

    let homes = PARTIES.iter().zip(rpc + 1..).map(|(party, port)| node(root, party, port));
    let nodes = Nodes(homes.collect());
    let consignd = built("consignd");
    for node in &nodes.0 {
        process::start(&consignd, node).expect("it starts");
    }
    let desk = "
        export CONSIGN_TRUST=handler/network.trust.json
        consign device new --class office --name desk --party forwarder --out desk
        consign device claim \"$(cat desk/claim.txt)\" --as forwarder --key forwarder/keys/member.key --may register
        consign event build --type register --unit trk/forwarder/FIRST --place 414/9521321000018 > first.json
        consign event sign first.json --dir desk --out first.event
        consign event submit first.event --wait proven
        consign passport get trk/forwarder/FIRST --out first.passport
        consign verify first.passport --expect-holder forwarder";
    let url = nodes.0[0].url.clone();
    let client = Client::connect(&url).expect("an address");
    let ready = async || client.status().await.ok().filter(|s| s.validators.voting).map(|_| ());
    assert_eq!(wait::until(PATIENCE, POLL, ready).await, Some(()), "the first node votes");
    let ran = shell(root, &url, desk).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let members = client.call(&GetMembers::default()).await.expect("members").members;
    let authorities: Vec<_> =
        members.iter().filter(|member| member.authority).map(|m| m.party.to_string()).collect();
    assert_eq!((members.len(), authorities), (4, vec!["handler".to_owned()]));
}
