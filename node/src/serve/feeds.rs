//! Subscriptions: read from the store behind a cursor, so that they resume without loss and a slow
//! reader holds nothing up.

use consign_rpc::backend::Topic;
use consign_rpc::errors::RpcError;
use consign_rpc::page::Cursor;
use consign_rpc::params::{EventFilter, Stage};
use consign_rpc::subscription::{Publisher, SubscriptionStream, feed};
use consign_rpc::views::{EventStatus, Update};
use consign_types::block::{Height, LeafIndex};
use consign_types::digest::{Digest, EventId, encode_hex};
use consign_types::event::SignedEvent;
use consign_types::unit::UnitId;

use super::Serving;
use super::pages::place;
use crate::state::sure;

/// Notices that wait in a feed; the rest waits on disk.
const WAITING_MAX: usize = 64;
/// Feeds that read the store at once. Every block gives each of them something to read: however many listen, callers
/// find a processor.
pub const AT_ONCE: usize = 2;
/// Rows read from the store at once.
const ROWS: usize = 256;

/// The name of a unit's history, for cursors.
pub fn unit_feed(unit: &UnitId) -> String {
    let digest = Digest::of(&[unit.as_str().as_bytes()]);
    format!("unit-{}", encode_hex(&digest.0[..6]))
}

/// Opens a feed. Reads the store.
///
/// # Errors
/// When the cursor is not one of this feed.
pub fn open(
    serving: &Serving,
    topic: Topic,
    from: Option<&Cursor>,
) -> Result<SubscriptionStream, RpcError> {
    let progress = *serving.parts.committed.progress().borrow();
    let (name, now) = match &topic {
        Topic::Blocks => ("blocks".to_owned(), progress.height.0 + 1),
        Topic::Events(filter) => {
            let size = match filter.stage {
                Stage::Committed => progress.size,
                Stage::Proven => progress.proven,
            };
            ("events".to_owned(), size.0)
        }
        Topic::Unit(unit) => {
            let store = serving.parts.committed.store();
            (unit_feed(unit), sure(store.history_from(unit, LeafIndex(u64::MAX))))
        }
        Topic::Status(_) => ("status".to_owned(), 0),
    };
    // Without a cursor a feed begins now; at the start there is, with the first that there ever was.
    let next = from.map_or(Ok(now), |cursor| place(Some(cursor), &name, 0))?;
    let (publisher, stream) = feed(WAITING_MAX, Cursor::at(&name, next));
    let serving = serving.clone();
    tokio::spawn(async move {
        match topic {
            Topic::Blocks => blocks(&serving, &publisher, next).await,
            Topic::Events(filter) => events(&serving, &publisher, &filter, next).await,
            Topic::Unit(unit) => unit_events(&serving, &publisher, &unit, next).await,
            Topic::Status(id) => {
                if status(&serving, &publisher, id).await.is_some() {
                    publisher.finish().await;
                }
            }
        }
    });
    Ok(stream)
}

async fn blocks(serving: &Serving, publisher: &Publisher, mut next: u64) {
    let mut progress = serving.parts.committed.progress();
    loop {
        let tip = progress.borrow_and_update().height.0;
        while next <= tip {
            let height = Height(next);
            let header = serving.feeding(move |own| {
                let block = sure(own.parts.committed.store().block(height))?;
                Some(own.header(height, &block))
            });
            let Some(Some(header)) = header.await else { return };
            next += 1;
            let update = Update::Block(Box::new(header));
            if publisher.send(Cursor::at("blocks", next), update).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = publisher.closed() => return,
        }
    }
}

async fn events(serving: &Serving, publisher: &Publisher, filter: &EventFilter, mut next: u64) {
    let mut progress = serving.parts.committed.progress();
    loop {
        let now = *progress.borrow_and_update();
        let size = match filter.stage {
            Stage::Committed => now.size.0,
            Stage::Proven => now.proven.0,
        };
        while next < size {
            let (filter, first) = (filter.clone(), next);
            let last = size.min(next + ROWS as u64);
            let views = serving.feeding(move |own| own.events_between(&filter, first, last));
            let Some(views) = views.await else { return };
            for (index, update) in views {
                if publisher.send(Cursor::at("events", index + 1), update).await.is_err() {
                    return;
                }
            }
            next = last;
        }
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = publisher.closed() => return,
        }
    }
}

async fn unit_events(serving: &Serving, publisher: &Publisher, unit: &UnitId, mut next: u64) {
    let mut progress = serving.parts.committed.progress();
    let name = unit_feed(unit);
    loop {
        progress.borrow_and_update();
        loop {
            let (unit, from) = (unit.clone(), next);
            let rows = serving.feeding(move |own| {
                let rows = sure(own.parts.committed.store().history(&unit, from, ROWS));
                let views = rows.into_iter().filter_map(|event| {
                    let view = own.event_view(event.leaf)?;
                    Some((event.position, Update::Event(Box::new(view))))
                });
                views.collect::<Vec<_>>()
            });
            let Some(rows) = rows.await else { return };
            if rows.is_empty() {
                break;
            }
            for (position, update) in rows {
                next = position + 1;
                if publisher.send(Cursor::at(&name, next), update).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = publisher.closed() => return,
        }
    }
}

/// Tells each change of an event's status; `Some` once there will be no other.
async fn status(serving: &Serving, publisher: &Publisher, id: EventId) -> Option<()> {
    let mut progress = serving.parts.committed.progress();
    let mut told: Option<EventStatus> = None;
    loop {
        progress.borrow_and_update();
        let admitted = serving.parts.pool.admitted();
        let now = serving.feeding(move |own| own.status_of(&id)).await?;
        if told.as_ref() != Some(&now) {
            publisher.send(Cursor::at("status", 0), Update::Status(now.clone())).await.ok()?;
            if matches!(now, EventStatus::Proven { .. } | EventStatus::Refused { .. }) {
                return Some(());
            }
            told = Some(now);
        }
        tokio::select! {
            changed = progress.changed() => changed.ok()?,
            () = admitted => {}
            () = publisher.closed() => return None,
        }
    }
}

impl Serving {
    /// Runs `work` of a feed where it may block, in its turn; `None` where the node is stopping.
    async fn feeding<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.feeding.acquire().await.ok()?;
        let own = self.clone();
        tokio::task::spawn_blocking(move || work(&own)).await.ok()
    }

    /// Events among the leaves from `first` to `last` that fit the filter.
    fn events_between(&self, filter: &EventFilter, first: u64, last: u64) -> Vec<(u64, Update)> {
        let leaves = sure(self.parts.committed.store().leaves(LeafIndex(first), last - first));
        let mut found = Vec::new();
        for (index, bytes) in (first..).zip(&leaves) {
            // Records and the genesis document are leaves too.
            let Ok(signed) = SignedEvent::decode(bytes) else { continue };
            if filter.admits(signed.event()) {
                let status = self.committed_status(LeafIndex(index));
                let view = self.view(&signed, status);
                found.push((index, Update::Event(Box::new(view))));
            }
        }
        found
    }
}
