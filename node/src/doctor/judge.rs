//! From what was measured to a verdict: pure functions, one for each thing that is looked at.
//!
//! PASS: as it should be. WARN: the node works, and somebody should look. FAIL: the node cannot start, or
//! cannot do its part. Whatever does not pass says what to do.

use std::time::Duration;

use consign_types::time::Millis;

use super::standing::Standing;

/// How a check went.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It works, and somebody should look.
    Warn,
    /// The node cannot start, or cannot do its part.
    Fail,
}

impl Verdict {
    /// The word that is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was measured.
    pub said: String,
    /// What to do; none where it passes.
    pub mend: Option<String>,
}

impl Finding {
    /// A check that passes.
    pub fn pass(check: &'static str, said: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Pass, said: said.into(), mend: None }
    }

    /// A check that somebody should look at.
    pub fn warn(check: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, said: said.into(), mend: Some(mend.into()) }
    }

    /// A check that fails.
    pub fn fail(check: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, said: said.into(), mend: Some(mend.into()) }
    }
}

/// A clock farther from another than this makes proposals untimely.
const CLOCK_OFFSET_WARN: Duration = Duration::from_millis(500);
const CLOCK_OFFSET_FAIL: Duration = Duration::from_secs(2);

/// What the clock was compared with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClockFacts {
    /// Peers that answered: name, how far their clock is ahead of ours in milliseconds, and how exactly
    /// that is known.
    pub peers: Vec<(String, i64, u64)>,
    /// Whether the system says that it is synchronised; none where it cannot be asked.
    pub synchronised: Option<bool>,
}

/// The clock against other nodes' clocks, or else the system's own word.
pub fn clock(facts: &ClockFacts) -> Finding {
    let check = "clock";
    let mend = "let chrony, ntpd or systemd-timesyncd set this clock";
    // Of a difference that is known to e ms, only what is beyond e counts.
    let beyond =
        |(_, offset, error): &&(String, i64, u64)| offset.unsigned_abs().saturating_sub(*error);
    let Some(worst) = facts.peers.iter().max_by_key(beyond) else {
        return match facts.synchronised {
            Some(true) => {
                Finding::pass(check, "the system says that it is synchronised; no peer was asked")
            }
            Some(false) => Finding::warn(
                check,
                "the system says that it is not synchronised; no peer was asked",
                mend,
            ),
            None => Finding::warn(
                check,
                "compared with nothing: no peer was asked, and the system does not say",
                "name other members' nodes with --peer-rpc",
            ),
        };
    };
    let (name, offset, error) = worst;
    let way = if *offset < 0 { "behind" } else { "ahead of" };
    let said = format!(
        "{name}'s clock is {} ms {way} ours, known to {error} ms; clocks of {} nodes compared",
        offset.unsigned_abs(),
        facts.peers.len()
    );
    let beyond = Duration::from_millis(beyond(&worst));
    match beyond {
        _ if beyond >= CLOCK_OFFSET_FAIL => Finding::fail(check, said, mend),
        _ if beyond >= CLOCK_OFFSET_WARN => Finding::warn(check, said, mend),
        _ => Finding::pass(check, said),
    }
}

const GIB: u64 = 1 << 30;

/// Free space below the data directory.
pub fn disk(free_bytes: u64, total_bytes: u64) -> Finding {
    let (check, free) = ("disk", free_bytes as f64 / GIB as f64);
    let said = format!("{free:.1} GiB of {:.1} GiB free", total_bytes as f64 / GIB as f64);
    let mend = "make room, or move node.data_dir to a larger disk";
    if free_bytes < GIB {
        Finding::fail(check, format!("{said}; a node needs 1 GiB"), mend)
    } else if free_bytes < 10 * GIB || free_bytes < total_bytes / 20 {
        Finding::warn(check, format!("{said}; keep 10 GiB and a twentieth"), mend)
    } else {
        Finding::pass(check, said)
    }
}

const FSYNC_WARN: Duration = Duration::from_millis(20);
const FSYNC_FAIL: Duration = Duration::from_millis(500);

/// How long the disk takes to keep 4 KiB: a vote waits for two of them.
pub fn fsync(mut took: Vec<Duration>, in_memory: bool) -> Finding {
    let check = "fsync";
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).max(1) - 1).copied();
    let (Some(p50), Some(p99)) = (at(50), at(99)) else {
        return Finding::warn(check, "nothing was measured", "ask for at least one with --fsyncs");
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let said = format!("p50 {:.2} ms, p99 {:.2} ms of {} fdatasyncs", ms(p50), ms(p99), took.len());
    let slow = "put node.data_dir on a disk that syncs faster, or stop what shares it";
    if in_memory {
        let said = format!("{said}; node.data_dir is in memory and gone with the power");
        Finding::warn(check, said, "put node.data_dir on a disk")
    } else if p99 >= FSYNC_FAIL {
        Finding::fail(check, said, slow)
    } else if p99 >= FSYNC_WARN {
        Finding::warn(check, said, slow)
    } else {
        Finding::pass(check, said)
    }
}

/// Whether a port can be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortState {
    /// Nobody has it.
    Free,
    /// Somebody has it.
    Taken,
    /// The address is not of this machine.
    NotOurs,
    /// The system refuses it: a port below 1024.
    Forbidden,
}

/// A listener of the configuration; `running` where this node answers.
pub fn port(name: &str, state: PortState, running: bool) -> Finding {
    let check = "ports";
    match (state, running) {
        (PortState::Free, false) => Finding::pass(check, format!("{name} is free")),
        (PortState::Taken, true) => Finding::pass(check, format!("{name} is in use by this node")),
        (PortState::Free, true) => Finding::warn(
            check,
            format!("{name} is free although this node runs"),
            "restart the node: it runs with another configuration",
        ),
        (PortState::Taken, false) => Finding::fail(
            check,
            format!("{name} is in use by something else than this node"),
            "stop what uses it (ss -lntup), or choose another port",
        ),
        (PortState::NotOurs, _) => Finding::fail(
            check,
            format!("{name} is no address of this machine"),
            "listen on an address that `ip address` shows, or on 0.0.0.0",
        ),
        (PortState::Forbidden, _) => Finding::fail(
            check,
            format!("{name} is refused by the system"),
            "choose a port from 1024, or grant CAP_NET_BIND_SERVICE",
        ),
    }
}

/// Whether a peer can be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeerState {
    /// This node, which runs, holds a connection.
    Connected,
    /// TCP answered at this address.
    Reached(String),
    /// Every address failed; the last one so.
    Unreachable(String),
    /// It has no address over TCP, so it was not tried.
    NotTried,
}

/// One peer.
pub fn peer(party: &str, state: &PeerState) -> Finding {
    let check = "peers";
    match state {
        PeerState::Connected => Finding::pass(check, format!("{party} is connected")),
        PeerState::Reached(address) => {
            Finding::pass(check, format!("{party} answers at {address}"))
        }
        PeerState::Unreachable(why) => Finding::warn(
            check,
            format!("{party} cannot be reached: {why}"),
            "ask its operator whether it runs, and look at addresses and firewalls",
        ),
        PeerState::NotTried => Finding::warn(
            check,
            format!("{party} was not tried: it has no address over TCP"),
            "start the node; `consign health` says whether it is connected",
        ),
    }
}

/// Whether enough validators can be reached to decide anything: `others` of them, and this one where it is one.
pub fn quorum(standing: &Standing, others: usize) -> Finding {
    let check = "quorum";
    let Standing { source, validators, faults, quorum, voting, .. } = standing;
    let reached = others + usize::from(*voting);
    let own = if *voting { "this one included" } else { "this one is none" };
    let said = format!(
        "{validators} validators {source}, {quorum} decide, {faults} may fail; {reached} reached, {own}"
    );
    if reached < *quorum {
        Finding::fail(check, said, "without a quorum nothing is decided: mend the peers above")
    } else if *faults == 0 {
        Finding::warn(check, said, "any failure stops the network: for development only")
    } else if reached == *quorum && reached < *validators {
        Finding::warn(check, said, "one more that fails stops the network: mend the peers above")
    } else {
        Finding::pass(check, said)
    }
}

/// A certificate that ends sooner than this is soon to be renewed.
const CERTIFICATE_WARN: Duration = Duration::from_secs(30 * 86_400);

/// Whether a certificate of the node holds `now`.
pub fn certificate(name: &str, from: Millis, until: Millis, now: Millis) -> Finding {
    let check = "tls";
    let mend = "have it renewed, put it in its place, and send SIGHUP";
    let left = Duration::from_millis(until.since(now));
    if now < from {
        let said = format!("{name} begins at {from}: nobody believes it before");
        Finding::fail(check, said, "look at the clock of this machine, or wait")
    } else if until < now {
        Finding::fail(check, format!("{name} ended at {until}: nobody believes it"), mend)
    } else if left < CERTIFICATE_WARN {
        let days = left.as_secs() / 86_400;
        Finding::warn(check, format!("{name} ends in {days} days, at {until}"), mend)
    } else {
        Finding::pass(check, format!("{name} holds until {until}"))
    }
}

/// The software of another node, and the network that it is of.
pub fn version(own: &str, name: &str, theirs: &str, same_network: bool) -> Finding {
    let check = "version";
    if !same_network {
        let said = format!("{name} is a node of another network");
        return Finding::fail(check, said, "compare network.id with that operator");
    }
    let said = format!("{name} runs {theirs}, this is {own}");
    if own == theirs {
        return Finding::pass(check, said);
    }
    Finding::warn(check, said, "agree with the other operators on one version")
}

/// What a file or directory is for, which decides how private it must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Private {
    /// Nobody else may read it.
    Key,
    /// Nobody else may write there, and should not look.
    Directory,
}

/// The permissions of a key file, or of a directory with keys or data.
pub fn mode(check: &'static str, name: &str, what: Private, mode: u32) -> Finding {
    let said = format!("{name} has mode {mode:04o}");
    let (wanted, bad) = match what {
        Private::Key => ("600", mode & 0o077 != 0),
        Private::Directory => ("700", mode & 0o022 != 0),
    };
    let mend = format!("chmod {wanted} {name}");
    if bad {
        Finding::fail(check, said, mend)
    } else if mode & 0o077 != 0 {
        Finding::warn(check, said, mend)
    } else {
        Finding::pass(check, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The validators of a genesis, of which this node is one.
    fn of(validators: usize, faults: usize, quorum: usize) -> Standing {
        let source = "by the genesis";
        Standing { source, validators, faults, quorum, voting: true, others: Vec::new() }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_is_judged_by_the_peer_that_differs_most_beyond_what_is_known() {
        let judged = |peers: &[(&str, i64, u64)], synchronised| {
            let peers =
                peers.iter().map(|(name, offset, error)| ((*name).to_owned(), *offset, *error));
            let finding = clock(&ClockFacts { peers: peers.collect(), synchronised });
            (finding.verdict, finding.said)
        };
        assert_eq!(
            judged(&[("airline", 3, 1), ("handler", -2_600, 40)], Some(true)),
            (
                Verdict::Fail,
                "handler's clock is 2600 ms behind ours, known to 40 ms; clocks of 2 nodes compared"
                    .to_owned()
            )
        );
        assert_eq!(judged(&[("airline", 501, 1)], None).0, Verdict::Warn);
        assert_eq!(judged(&[("airline", 500, 1)], None).0, Verdict::Pass);
        // A peer that answers after 6 s says nothing of 3 s.
        assert_eq!(judged(&[("airline", 3_000, 3_000)], None).0, Verdict::Pass);
        assert_eq!(judged(&[], Some(true)).0, Verdict::Pass);
        assert_eq!(judged(&[], Some(false)).0, Verdict::Warn);
        assert_eq!(judged(&[], None).0, Verdict::Warn);
    }

    #[test]
    fn a_disk_without_room_for_a_node_fails_and_a_full_one_warns() {
        let verdict = |free, total| disk(free, total).verdict;
        assert_eq!(verdict(GIB - 1, 100 * GIB), Verdict::Fail);
        assert_eq!(verdict(GIB, 100 * GIB), Verdict::Warn);
        assert_eq!(verdict(10 * GIB, 100 * GIB), Verdict::Pass);
        assert_eq!(verdict(49 * GIB, 1_000 * GIB), Verdict::Warn);
        assert_eq!(disk(20 * GIB, 40 * GIB).said, "20.0 GiB of 40.0 GiB free");
    }

    #[test]
    fn a_disk_is_judged_by_its_slow_syncs_not_by_its_median() {
        let verdict = |slow: u64, in_memory| {
            let took = (0..98).map(|_| ms(1)).chain([ms(slow), ms(slow)]);
            fsync(took.collect(), in_memory).verdict
        };
        assert_eq!(verdict(19, false), Verdict::Pass);
        assert_eq!(verdict(20, false), Verdict::Warn);
        assert_eq!(verdict(500, false), Verdict::Fail);
        assert_eq!(verdict(1, true), Verdict::Warn);
        assert_eq!(fsync(Vec::new(), false).verdict, Verdict::Warn);
        assert_eq!(
            fsync((1..=100).rev().map(ms).collect(), false).said,
            "p50 50.00 ms, p99 99.00 ms of 100 fdatasyncs"
        );
        assert_eq!(fsync(vec![ms(3)], false).said, "p50 3.00 ms, p99 3.00 ms of 1 fdatasyncs");
    }

    #[test]
    fn a_port_is_free_or_in_use_by_this_node() {
        use PortState::{Forbidden, Free, NotOurs, Taken};
        let rows = [
            (Free, false, Verdict::Pass),
            (Taken, true, Verdict::Pass),
            (Free, true, Verdict::Warn),
            (Taken, false, Verdict::Fail),
            (NotOurs, false, Verdict::Fail),
            (NotOurs, true, Verdict::Fail),
            (Forbidden, false, Verdict::Fail),
        ];
        for (state, running, verdict) in rows {
            assert_eq!(port("rpc.listen", state, running).verdict, verdict, "{state:?} {running}");
        }
    }

    #[test]
    fn a_peer_that_is_away_warns_and_a_quorum_that_is_away_fails() {
        let unreachable = PeerState::Unreachable("connection refused".to_owned());
        assert_eq!(peer("airline", &unreachable).verdict, Verdict::Warn);
        assert_eq!(peer("airline", &PeerState::NotTried).verdict, Verdict::Warn);
        assert_eq!(peer("airline", &PeerState::Connected).verdict, Verdict::Pass);
        assert_eq!(peer("airline", &PeerState::Reached("a:1".to_owned())).verdict, Verdict::Pass);

        assert_eq!(quorum(&of(4, 1, 3), 3).verdict, Verdict::Pass);
        assert_eq!(quorum(&of(4, 1, 3), 2).verdict, Verdict::Warn);
        assert_eq!(quorum(&of(4, 1, 3), 1).verdict, Verdict::Fail);
        assert_eq!(quorum(&of(3, 0, 3), 2).verdict, Verdict::Warn);
        assert_eq!(
            quorum(&of(4, 1, 3), 1).said,
            "4 validators by the genesis, 3 decide, 1 may fail; 2 reached, this one included"
        );
        // Who does not vote is of no help to those who do.
        let aside = Standing { voting: false, ..of(4, 1, 3) };
        assert_eq!(quorum(&aside, 2).verdict, Verdict::Fail);
        assert_eq!(
            quorum(&aside, 3).said,
            "4 validators by the genesis, 3 decide, 1 may fail; 3 reached, this one is none"
        );
    }

    #[test]
    fn a_certificate_warns_a_month_before_it_ends_and_fails_after() {
        const DAY_MS: u64 = 86_400_000;
        let judged = |now| {
            let finding = certificate("tls.crt", Millis(DAY_MS), Millis(100 * DAY_MS), Millis(now));
            (finding.verdict, finding.said)
        };
        let line = |verdict, said: &str| (verdict, said.to_owned());
        let begins = "tls.crt begins at 1970-01-02T00:00:00.000Z: nobody believes it before";
        assert_eq!(judged(DAY_MS - 1), line(Verdict::Fail, begins));
        let holds = "tls.crt holds until 1970-04-11T00:00:00.000Z";
        assert_eq!(judged(70 * DAY_MS), line(Verdict::Pass, holds));
        let ends = "tls.crt ends in 29 days, at 1970-04-11T00:00:00.000Z";
        assert_eq!(judged(70 * DAY_MS + 1), line(Verdict::Warn, ends));
        let ended = "tls.crt ended at 1970-04-11T00:00:00.000Z: nobody believes it";
        assert_eq!(judged(100 * DAY_MS + 1), line(Verdict::Fail, ended));
    }

    #[test]
    fn another_version_warns_and_another_network_fails() {
        assert_eq!(version("0.1.0", "airline", "0.1.0", true).verdict, Verdict::Pass);
        assert_eq!(version("0.1.0", "airline", "0.2.0", true).verdict, Verdict::Warn);
        assert_eq!(version("0.1.0", "airline", "0.1.0", false).verdict, Verdict::Fail);
    }

    #[test]
    fn a_key_is_for_one_user_and_a_directory_is_changed_by_one_user() {
        let rows = [
            (Private::Key, 0o600, Verdict::Pass),
            (Private::Key, 0o400, Verdict::Pass),
            (Private::Key, 0o640, Verdict::Fail),
            (Private::Key, 0o604, Verdict::Fail),
            (Private::Directory, 0o700, Verdict::Pass),
            (Private::Directory, 0o755, Verdict::Warn),
            (Private::Directory, 0o770, Verdict::Fail),
            (Private::Directory, 0o702, Verdict::Fail),
        ];
        for (what, bits, verdict) in rows {
            assert_eq!(mode("keys", "k", what, bits).verdict, verdict, "{what:?} {bits:o}");
        }
        assert_eq!(mode("keys", "k", Private::Key, 0o644).mend, Some("chmod 600 k".to_owned()));
    }

    #[test]
    fn whatever_does_not_pass_says_what_to_do() {
        let findings =
            [disk(0, 0), fsync(Vec::new(), true), quorum(&of(4, 1, 3), 0), disk(GIB, GIB)];
        assert!(findings.iter().all(|f| f.mend.is_some() != (f.verdict == Verdict::Pass)));
    }
}
