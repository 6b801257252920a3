//! `consignd doctor`: whether this machine can run this node, measured, with the mend of what is wrong.
//!
//! It reads the configuration as the start does, and goes on where the start would stop: everything that
//! can be looked at is looked at. It changes nothing but one file in the data directory, which it syncs
//! and removes. No key is printed.

pub mod judge;
mod measure;
mod standing;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use consign_rpc::tls::{Chain, Client};
use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use libp2p::Multiaddr;
use serde_json::{Value as Json, json};

use crate::clock;
use crate::config::{Config, Effective, Listener, Sources, Value, effective};
use consign_types::causes::on_one_line;
use judge::{ClockFacts, Finding, PeerState, PortState, Private, Verdict};
use measure::Asked;
use standing::Standing;

/// What a doctor is asked.
#[derive(Clone, Debug)]
pub struct Questions {
    /// The configuration.
    pub sources: Sources,
    /// Where other nodes answer, `http://host:port` or `https://host:port`, for their clocks and versions.
    pub peer_rpc: Vec<String>,
    /// The authorities in PEM that those are believed by over TLS; without it those of this machine.
    pub ca: Option<PathBuf>,
    /// How many syncs are measured.
    pub fsyncs: u32,
}

/// What a doctor found, in the order of looking.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether nothing fails.
    pub fn ok(&self) -> bool {
        self.0.iter().all(|finding| finding.verdict != Verdict::Fail)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Finding { check, verdict, said, mend } in &self.0 {
            text += &format!("{}  {check:<8} {said}\n", verdict.as_str());
            if let Some(mend) = mend {
                text += &format!("{:15}mend: {mend}\n", "");
            }
        }
        let count = |verdict| self.0.iter().filter(|f| f.verdict == verdict).count();
        let [fail, warn, pass] = [Verdict::Fail, Verdict::Warn, Verdict::Pass].map(count);
        text + &format!("{fail} FAIL, {warn} WARN, {pass} PASS")
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let check = |f: &Finding| json!({ "check": f.check, "verdict": f.verdict.as_str(), "said": f.said, "mend": f.mend });
        json!({ "ok": self.ok(), "checks": self.0.iter().map(check).collect::<Vec<_>>() })
    }
}

/// Looks at everything.
pub fn examine(questions: &Questions) -> Report {
    let mut findings = configuration(&questions.sources);
    // Without settings there is nothing to look at; what is wrong with them has been said.
    if let Ok(settings) = effective(&questions.sources) {
        let base = questions.sources.file.parent().unwrap_or_else(|| Path::new("."));
        Patient { base: base.to_owned(), settings }.examine(questions, &mut findings);
    }
    Report(findings)
}

fn configuration(sources: &Sources) -> Vec<Finding> {
    match Config::load_from(sources) {
        Ok(config) => {
            let said = format!(
                "{} starts {} of network {}",
                sources.file.display(),
                config.party,
                config.genesis.network()
            );
            vec![Finding::pass("config", said)]
        }
        Err(error) => error
            .problems()
            .iter()
            .map(|p| Finding::fail("config", format!("{}: {}", p.place, p.what), &p.mend))
            .collect(),
    }
}

/// The node that is looked at.
struct Patient {
    base: PathBuf,
    settings: Vec<Effective>,
}

impl Patient {
    fn examine(&self, questions: &Questions, findings: &mut Vec<Finding>) {
        self.modes(findings);
        self.data(questions.fsyncs, findings);
        let own = self.own();
        let genesis = self.genesis();
        self.ports(own.is_some(), findings);
        if let Some(Asked { status, .. }) = &own {
            findings.push(running(status.quarantine.as_deref(), status.not_ready.as_deref()));
        }
        self.certificates(findings);
        self.peers(genesis.as_ref(), own.as_ref(), findings);
        others(questions, genesis.as_ref(), findings);
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.name == name).and_then(|setting| {
            if let Value::Text(text) = &setting.value { Some(text.as_str()) } else { None }
        })
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let found = self.settings.iter().find(|setting| setting.name == name);
        match found.map(|setting| &setting.value) {
            Some(Value::Texts(texts)) => texts.iter().map(|(text, _)| text.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|text| self.base.join(text))
    }

    fn genesis(&self) -> Option<Genesis> {
        Genesis::from_bytes(&fs::read(self.path("network.genesis")?).ok()?).ok()
    }

    /// Every key file there is, among them those that the node does not read, and the directories.
    fn modes(&self, findings: &mut Vec<Finding>) {
        let named = ["node.receipt_key", "node.passphrase_file"];
        let mut files: Vec<PathBuf> = named.iter().filter_map(|name| self.path(name)).collect();
        if let Some(dir) = self.path("node.keys_dir") {
            let found =
                fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
            files.extend(found.filter(|path| path.extension().is_some_and(|end| end == "key")));
            findings.extend(mode("keys", &dir, Private::Directory));
        }
        files.sort();
        files.dedup();
        findings.extend(files.iter().filter_map(|file| mode("keys", file, Private::Key)));
    }

    fn data(&self, fsyncs: u32, findings: &mut Vec<Finding>) {
        let Some(dir) = self.path("node.data_dir") else { return };
        if dir.exists() {
            findings.extend(mode("data", &dir, Private::Directory));
        } else {
            let said = format!("{} is not there yet; the start makes it", dir.display());
            findings.push(Finding::pass("data", said));
        }
        let there = measure::nearest(&dir);
        let unreadable = |check, e: std::io::Error| {
            let mend = "let the user that runs the node write there";
            Finding::fail(check, format!("{}: {e}", there.display()), mend)
        };
        let in_memory = match measure::disk(&there) {
            Ok((free, total, in_memory)) => {
                findings.push(judge::disk(free, total));
                in_memory
            }
            Err(e) => {
                findings.push(unreadable("disk", e));
                return;
            }
        };
        findings.push(match measure::fsyncs(&there, fsyncs) {
            Ok(took) => judge::fsync(took, in_memory),
            Err(e) => unreadable("fsync", e),
        });
    }

    /// This node, where it runs.
    fn own(&self) -> Option<Asked> {
        let listen: SocketAddr = self.text("rpc.listen")?.parse().ok()?;
        let chain = self.path("rpc.tls_cert").map(|path| fs::read(path).ok());
        let own = chain.map(|pem| Client::pinned(&Chain::from_pem(&pem?).ok()?).ok());
        let asked =
            measure::ask(&measure::local(listen).to_string(), own.flatten().as_ref()).ok()?;
        (Some(asked.status.party.0.as_str()) == self.text("node.party")).then_some(asked)
    }

    fn ports(&self, running: bool, findings: &mut Vec<Finding>) {
        let rpc = self.text("rpc.listen").and_then(|text| text.parse().ok()).map(Listener::tcp);
        let rpc = rpc.map(|listener| (format!("rpc.listen {}", listener.address), listener));
        let p2p = self.texts("p2p.listen").into_iter().filter_map(|text| {
            let listener = Listener::of(&Multiaddr::from_str(&text).ok()?)?;
            Some((format!("p2p.listen {text}"), listener))
        });
        for (name, listener) in rpc.into_iter().chain(p2p) {
            // Port 0 is a fresh one at each start: it is free, and nobody can find the node there.
            let fresh = listener.address.port() == 0;
            let state = if fresh { PortState::Free } else { measure::port(listener) };
            findings.push(judge::port(&name, state, running && !fresh));
        }
    }

    fn peers(&self, genesis: Option<&Genesis>, own: Option<&Asked>, findings: &mut Vec<Finding>) {
        let connected = |party: &str| {
            own.is_some_and(|own| {
                own.status.peers.iter().any(|p| p.connected && p.party.0.as_str() == party)
            })
        };
        let mut listed: Vec<(String, Vec<String>)> = (0..)
            .map_while(|i| {
                let party = self.text(&format!("p2p.peer[{i}].party"))?;
                Some((party.to_owned(), self.texts(&format!("p2p.peer[{i}].addresses"))))
            })
            .collect();
        let standing = self.standing(genesis, own, findings);
        let decides = |party: &String| {
            standing.as_ref().is_none_or(|standing| standing.others.contains(party))
        };
        for (party, _) in listed.extract_if(.., |(party, _)| !decides(party)) {
            let said = format!("{party} is listed, and is no validator any more");
            findings.push(Finding::warn("peers", said, "take its [[p2p.peer]] out of the file"));
        }
        // Whoever the file does not list may have come to us; of the others, only whom somebody listed is tried.
        for party in standing.iter().flat_map(|standing| &standing.others) {
            if own.is_some() && !listed.iter().any(|(known, _)| known == party) {
                listed.push((party.clone(), Vec::new()));
            }
        }
        // All at once: those that are away take their time.
        let states: Vec<PeerState> = std::thread::scope(|scope| {
            let asked: Vec<_> = listed
                .iter()
                .map(|(party, addresses)| {
                    let connected = connected(party);
                    scope.spawn(move || {
                        if connected { PeerState::Connected } else { measure::peer(addresses) }
                    })
                })
                .collect();
            asked.into_iter().map(|one| one.join().unwrap_or(PeerState::NotTried)).collect()
        });
        let mut reached = 0;
        for ((party, _), state) in listed.iter().zip(&states) {
            reached += usize::from(matches!(state, PeerState::Connected | PeerState::Reached(_)));
            findings.push(judge::peer(party, state));
        }
        findings.extend(standing.map(|standing| judge::quorum(&standing, reached)));
    }

    /// Who decides now.
    fn standing(
        &self,
        genesis: Option<&Genesis>,
        own: Option<&Asked>,
        findings: &mut Vec<Finding>,
    ) -> Option<Standing> {
        if let Some(own) = own {
            return Some(Standing::told(&own.status));
        }
        let db = self.path("node.data_dir")?.join("db");
        Some(Standing::stored(genesis?, &db, self.text("node.party")?, findings))
    }

    /// When the certificates of the configuration end. What cannot be read was said before.
    fn certificates(&self, findings: &mut Vec<Finding>) {
        for setting in ["rpc.tls_cert", "rpc.client_ca"] {
            let chain = self.path(setting).and_then(|path| fs::read(path).ok());
            let Some(chain) = chain.and_then(|pem| Chain::from_pem(&pem).ok()) else { continue };
            // A chain holds for as long as each of it does.
            let ends = chain.certificates().filter_map(measure::validity);
            if let Some((from, until)) = ends.min_by_key(|(_, until)| *until) {
                let name = self.text(setting).unwrap_or_default();
                findings.push(judge::certificate(name, from, until, clock::now()));
            }
        }
    }
}

fn mode(check: &'static str, path: &Path, what: Private) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    Some(judge::mode(check, &path.display().to_string(), what, mode))
}

fn running(quarantine: Option<&str>, not_ready: Option<&str>) -> Finding {
    match (quarantine, not_ready) {
        (Some(why), _) => Finding::warn(
            "node",
            format!("it runs in quarantine: {why}"),
            "find out why synced bytes were lost; it ends by itself (docs/operating/running-a-node.md)",
        ),
        (None, Some(why)) => Finding::warn(
            "node",
            format!("it runs and is not ready: {why}"),
            "mend the peers below",
        ),
        (None, None) => Finding::pass("node", "it runs and is ready"),
    }
}

/// The nodes whose RPC addresses were named: their clocks and versions.
fn others(questions: &Questions, genesis: Option<&Genesis>, findings: &mut Vec<Finding>) {
    let mut clock = ClockFacts { synchronised: measure::synchronised(), ..Default::default() };
    for url in &questions.peer_rpc {
        match ask_other(url, questions.ca.as_deref()) {
            Ok(Asked { status, ahead }) => {
                let name = status.party.0.to_string();
                let same = genesis.is_none_or(|genesis| genesis.network() == status.network.0);
                let own = env!("CARGO_PKG_VERSION");
                findings.push(judge::version(own, &name, &status.version, same));
                clock.peers.extend(ahead.map(|(offset, error)| (name, offset, error)));
            }
            Err(why) => {
                findings.push(Finding::warn(
                    "version",
                    why,
                    "name the RPC address of another node",
                ));
            }
        }
    }
    findings.push(judge::clock(&clock));
}

/// Asks the node at an address that was named.
fn ask_other(url: &str, ca: Option<&Path>) -> Result<Asked, String> {
    let address = url.trim_end_matches('/');
    if let Some(host) = address.strip_prefix("http://") {
        return measure::ask(host, None);
    }
    let host = address.strip_prefix("https://");
    let host = host.ok_or_else(|| format!("{url}: ask http://HOST:PORT or https://HOST:PORT"))?;
    let authorities = ca.map(|path| {
        let unusable = |why: String| format!("{}: {why}", path.display());
        let pem = fs::read(path).map_err(|e| unusable(e.to_string()))?;
        Chain::from_pem(&pem).map_err(|e| unusable(e.to_string()))
    });
    let tls = Client::new(authorities.transpose()?.as_ref(), None);
    measure::ask(host, Some(&tls.map_err(|e| format!("{url}: {}", on_one_line(&e)))?))
}
