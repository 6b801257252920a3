//! What a node answers: values with one JSON form.
//!
//! Digests are lower-case hexadecimal, bytes are padded base64, points in time come as text and as
//! a number. Heights, indices and sizes are JSON numbers: they stay far below 2^53. A view carries
//! no rule and proves nothing by itself; proofs are verified from bytes.

pub mod admin;
pub mod chain;
pub mod device;
pub mod event;
pub mod evidence;
pub mod govern;
pub mod log;
pub mod text;
pub mod unit;

mod fields;

pub use admin::{TokenView, TokensView};
pub use chain::{
    BlockHeader, BlockView, BlocksPage, Finality, MemberView, MembersView, NodeView, ParamsView,
    PeerView, PoolView, StatusView, SyncView, ValidatorView, ValidatorsView,
};
pub use device::{
    DeviceHistoryPage, DeviceState, DeviceStatus, DeviceView, DevicesPage, PastKeyView,
};
pub use event::{
    BatchItem, ClockFlag, EventContent, EventStatus, EventView, HistoryPage, Notice, Submitted,
    Update,
};
pub use evidence::{AccusedView, EvidencePage, EvidenceView, ReportedView};
pub use govern::{GenesisView, ProposalView, ProposalsPage, RequestView, RequestsView, SetsView};
pub use log::{CheckpointView, ConsistencyView, InclusionView, PassportView, ReceiptView};
pub use text::{Base64, Moment, Text};
pub use unit::{
    BookingView, ClosedWhy, ConditionView, ContainView, CountersView, CustodyView, JourneyView,
    OwnAndEffective, PendingView, SealView, UnitView,
};
