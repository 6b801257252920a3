//! Small tasks of a node: what it follows, and what it does from time to time.

use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_consensus::Input;
use consign_types::codec::Canonical as _;
use tracing::{info, warn};

use crate::config::Config;
use crate::dispatch::index_of;
use crate::driver;
use crate::executor::Job;
use crate::identity::{Differs, Identity};
use crate::p2p::Class;
use crate::parts::Parts;
use crate::pool::Pool;
use crate::roster;
use crate::serve::Entrance;
use crate::state::Committed;

/// How often peers are told where this node stands when nothing happens.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How often an unchanged checkpoint is cosigned again.
const FRESHEN_EVERY: Duration = Duration::from_secs(60);

/// Lets in who becomes a member's node and cuts off who is none any more, as soon as that is committed;
/// and hands on what those who vote now said before this node knew that they do.
pub async fn follow_roster(parts: Parts, config: Arc<Config>, driver: SyncSender<driver::Event>) {
    let mut changes = parts.committed.roster();
    while changes.changed().await.is_ok() {
        changes.borrow_and_update();
        let peers = roster::peers(&config, &parts.committed);
        info!(code = "net.roster.changed", peers = peers.len());
        parts.net.allow(peers);
        // Only the start refuses: a node that runs goes on serving what it has.
        say_where_it_differs(Identity::of(&config).compare(&parts.committed).ok().flatten());
        let set = parts.committed.validators();
        for (from, messages) in parts.held.take() {
            let Some(from) = index_of(&set, &from) else { continue };
            for message in messages {
                let input = Input::Message { from, message };
                // A full queue loses it; whoever said it says it again.
                let _ = driver.try_send(driver::Event::Input(Box::new(input)));
            }
        }
    }
}

/// Peers refuse a node by its keys and do not tell it why.
pub fn say_where_it_differs(differs: Option<Differs>) {
    if let Some(differs) = differs {
        warn!(code = "node.keys.differ", why = %differs, help = Differs::HELP);
    }
}

/// Opens and closes the door for reading as members decide.
pub async fn follow_params(committed: Arc<Committed>, entrance: Arc<Entrance>) {
    let mut changes = committed.params_changes();
    loop {
        let params = *changes.borrow_and_update();
        entrance.follow(&params);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the engine whether there is work.
pub async fn forward_work(pool: Arc<Pool>, driver: SyncSender<driver::Event>) {
    let mut work = pool.work();
    loop {
        let now = *work.borrow_and_update();
        if driver.send(driver::Event::Input(Box::new(Input::Work(now)))).is_err()
            || work.changed().await.is_err()
        {
            return;
        }
    }
}

/// Tells peers where this node stands: on each change, and every few seconds.
pub async fn announce(parts: Parts) {
    let mut progress = parts.committed.progress();
    loop {
        let status = parts.own_status();
        parts.net.broadcast(Class::Status, Bytes::from(status.to_bytes()));
        // An overrun of the wait is the regular repetition.
        let _ = tokio::time::timeout(STATUS_EVERY, progress.changed()).await;
        progress.borrow_and_update();
    }
}

/// Regular small duties.
pub async fn tick(parts: Parts, jobs: Sender<Job>) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0_u64;
    loop {
        every_second.tick().await;
        seconds += 1;
        parts.pool.expire(Instant::now());
        if seconds.is_multiple_of(FRESHEN_EVERY.as_secs()) && jobs.send(Job::Freshen).is_err() {
            return;
        }
    }
}
