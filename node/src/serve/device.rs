//! Devices as views.

use consign_ledger::entry::{EntryKey, read};
use consign_ledger::signer::{SignerState, Status};
use consign_rpc::errors::RpcError;
use consign_rpc::page::{Cursor, PAGE_BYTES_MAX, PageLimit};
use consign_rpc::views::{
    DeviceHistoryPage, DeviceState, DeviceStatus, DeviceView, DevicesPage, EventStatus, EventView,
    PastKeyView,
};
use consign_types::block::LeafIndex;
use consign_types::digest::{Digest, encode_hex};
use consign_types::event::SignedEvent;
use consign_types::party::{PartyId, SignerId};

use super::pages::place;
use super::{Serving, text};
use crate::state::sure;

/// Devices that one call looks at; a page may hold fewer and still have a successor.
const LOOKED_AT_MAX: usize = 4_096;
/// Rows read from the store at once.
const ROWS: usize = 256;

impl Serving {
    pub(super) fn device_view(&self, device: &SignerId) -> Result<DeviceView, RpcError> {
        self.find_device(device)
            .ok_or_else(|| RpcError::not_found(format!("{device} is not enrolled")))
    }

    pub(super) fn devices_page(
        &self,
        party: Option<&PartyId>,
        state: Option<DeviceState>,
        cursor: Option<&Cursor>,
        limit: PageLimit,
    ) -> Result<DevicesPage, RpcError> {
        let feed = party.map_or_else(|| "devices".to_owned(), |party| name("devices", party));
        let mut next = place(cursor, &feed, 0)?;
        let store = self.parts.committed.store();
        let (mut data, mut looked_at) = (Vec::new(), 0);
        loop {
            let rows = sure(store.devices(party, LeafIndex(next), ROWS));
            let last = rows.len() < ROWS;
            for (leaf, device) in rows {
                if data.len() == limit.entries() || looked_at == LOOKED_AT_MAX {
                    let next_cursor = Some(Cursor::at(&feed, next));
                    return Ok(DevicesPage { data, next_cursor, has_next_page: true });
                }
                (next, looked_at) = (leaf.0 + 1, looked_at + 1);
                let view = self.find_device(&device);
                let fits = |view: &DeviceView| state.is_none_or(|s| s == view.status.state());
                data.extend(view.filter(fits));
            }
            if last {
                let next_cursor = Some(Cursor::at(&feed, next));
                return Ok(DevicesPage { data, next_cursor, has_next_page: false });
            }
        }
    }

    pub(super) fn device_history_page(
        &self,
        device: &SignerId,
        cursor: Option<&Cursor>,
        limit: PageLimit,
    ) -> Result<DeviceHistoryPage, RpcError> {
        let feed = name("device", device);
        let from = place(cursor, &feed, 0)?;
        self.device_view(device)?;
        let store = self.parts.committed.store();
        let leaves = sure(store.signer_events(device, LeafIndex(from), limit.entries() + 1));
        let (mut data, mut bytes, mut next, mut read) = (Vec::new(), 0, from, 0);
        for leaf in leaves.iter().take(limit.entries()) {
            if bytes >= PAGE_BYTES_MAX {
                break;
            }
            (next, read) = (leaf.0 + 1, read + 1);
            if let Some(view) = self.event_view(*leaf) {
                bytes += view.envelope.0.len();
                data.push(view);
            }
        }
        let next_cursor = Some(Cursor::at(&feed, next));
        Ok(DeviceHistoryPage { data, next_cursor, has_next_page: read < leaves.len() })
    }

    /// An event, marked where a member doubts who signed it.
    pub(super) fn view(&self, signed: &SignedEvent, status: EventStatus) -> EventView {
        let mut view = EventView::new(signed, status);
        let event = signed.event();
        for said in [event].into_iter().chain(event.action.inner().map(SignedEvent::event)) {
            let key = EntryKey::Signer(said.signer.clone());
            let state = read::<SignerState>(&*self.parts.committed, &key);
            let since = state.and_then(|state| state.suspected_since());
            let signer = text(said.signer.clone());
            if since.is_some_and(|since| said.time >= since) && !view.disputed.contains(&signer) {
                view.disputed.push(signer);
            }
        }
        view
    }

    fn find_device(&self, device: &SignerId) -> Option<DeviceView> {
        let committed = &self.parts.committed;
        let tip = committed.tip();
        let state: SignerState = read(&**committed, &EntryKey::Signer(device.clone()))?;
        Some(DeviceView {
            device: device.clone().into(),
            party: device.party().clone().into(),
            height: tip.height().0,
            status: match state.status {
                // As the next block would judge it, which is later than the last.
                Status::Active => match state.until.filter(|until| *until <= tip.record.time) {
                    Some(until) => DeviceStatus::Expired { at: until.into() },
                    None => DeviceStatus::Active,
                },
                Status::Suspended { evidence } => {
                    DeviceStatus::Suspended { evidence: evidence.into() }
                }
                Status::Revoked { at, suspected_since } => DeviceStatus::Revoked {
                    at: at.into(),
                    suspected_since: suspected_since.map(Into::into),
                },
            },
            algorithm: state.key.algorithm().into(),
            key: state.key.into(),
            key_id: encode_hex(&state.key.key_id()),
            past_keys: state
                .past
                .iter()
                .map(|past| PastKeyView {
                    key: past.key.into(),
                    key_id: encode_hex(&past.key.key_id()),
                    below: past.below,
                })
                .collect(),
            kinds: state.kinds.iter().map(text).collect(),
            places: state.places.into_iter().map(text).collect(),
            classes: state.classes.iter().map(|class| class.prefix().to_owned()).collect(),
            until: state.until.map(Into::into),
            next_sequence: state.sequence.high().saturating_add(1),
            missing: state.sequence.missing().to_vec(),
            floor: state.sequence.floor(),
        })
    }
}

/// The name of a list in cursors.
fn name(list: &str, of: &impl ToString) -> String {
    let digest = Digest::of(&[of.to_string().as_bytes()]);
    format!("{list}-{}", encode_hex(&digest.0[..6]))
}
