//! One value of every view.

use consign_rpc::join::{JoinRequest, ShownKey};
use consign_rpc::views::{
    AccusedView, Base64, BlockHeader, BlockView, BookingView, CheckpointView, ConditionView,
    ConsistencyView, ContainView, CountersView, CustodyView, DeviceStatus, DeviceView, EventStatus,
    EventView, EvidenceView, Finality, GenesisView, InclusionView, JourneyView, MemberView,
    MembersView, NodeView, OwnAndEffective, PassportView, PastKeyView, PeerView, PendingView,
    PoolView, ProposalView, ReceiptView, ReportedView, RequestView, SealView, StatusView, SyncView,
    Text, TokenView, TokensView, UnitView, ValidatorView, ValidatorsView,
};
use consign_types::digest::{
    BlockId, Digest, EventId, LeafHash, MapRoot, NetworkId, SetHash, TreeRoot,
};
use consign_types::event::{Action, DeliveryFactor, Event, Kind, SignedEvent};
use consign_types::genesis::Params;
use consign_types::key::SecretKey;
use consign_types::signer_key::Algorithm;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::{Validator, ValidatorSet};

const TIME: Millis = Millis(1_700_000_000_123);

fn digest(of: &str) -> Digest {
    Digest::of(&[of.as_bytes()])
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub fn unit() -> UnitId {
    name("00/106141412345678908")
}

/// The `sequence`-th event of a device: it was seen arriving.
pub fn signed(sequence: u64) -> SignedEvent {
    let event = Event {
        network: NetworkId(digest("network")),
        signer: name("handler.dock7"),
        subject: name("00/106141412345678908"),
        sequence,
        floor: 1,
        time: TIME,
        place: Some(consign_types::place::Place::gln("952000000001").expect("12 digits")),
        basis: None,
        action: Action::Arrive,
    };
    SignedEvent::sign(event, &SecretKey::from_seed([7; 32]))
}

pub fn event() -> EventId {
    signed(1).id()
}

pub fn committed() -> EventStatus {
    EventStatus::Committed { height: 3, index: 4, record_time: TIME.into() }
}

pub fn proven() -> EventStatus {
    EventStatus::Proven { height: 3, index: 4, record_time: TIME.into(), checkpoint_size: 7 }
}

pub fn event_view() -> EventView {
    EventView::new(&signed(1), committed())
}

pub fn unit_view(unit: UnitId, height: u64) -> UnitView {
    UnitView {
        unit: unit.into(),
        height,
        owner: name("forwarder"),
        custodian: Some(name("handler")),
        custody: CustodyView::Offered {
            custodian: name("handler"),
            to: name("airline"),
            until: TIME.into(),
            offer: Text(event()),
        },
        contain: ContainView::In { around: vec![name("bic/CSQU3054383")] },
        seal: SealView::Sealed { ids: vec![name("S-1")] },
        condition: OwnAndEffective {
            own: ConditionView::default(),
            effective: ConditionView { excursion: true, ..Default::default() },
        },
        journey: JourneyView::At { place: None, conveyance: Some(name("LH400")) },
        counters: OwnAndEffective {
            own: CountersView::default(),
            effective: CountersView { excursions: 1, ..Default::default() },
        },
        holds: vec![],
        pending: vec![PendingView {
            event: Text(event()),
            kind: Text(Kind::Lost),
            by: name("handler"),
            holder: None,
            corrects: None,
            awaits: vec![name("forwarder")],
            until: TIME.into(),
        }],
        blocked_inside: 0,
        basis: Text(event()),
        booking: Some(BookingView {
            receiver: name("consignee"),
            from: TIME.into(),
            to: TIME.into(),
            factors: vec![Text(DeliveryFactor::Photo)],
        }),
        events: 2,
        head: Text(digest("head")),
    }
}

pub fn checkpoint(size: u64) -> CheckpointView {
    CheckpointView {
        size,
        root: Text(TreeRoot(digest("root"))),
        height: 3,
        note: "devnet.example/consign\n7\n".to_owned(),
        cosigned_by: vec![name("airline")],
        quorum: false,
        time: None,
    }
}

pub fn inclusion(leaf_index: u64, tree_size: u64) -> InclusionView {
    InclusionView {
        leaf_index,
        tree_size,
        leaf_hash: Text(LeafHash(digest("leaf"))),
        path: vec![Text(digest("sibling"))],
        checkpoint: Some("a note".to_owned()),
        tlog_proof: None,
    }
}

pub fn passport(size: u64) -> PassportView {
    let passport = Base64(vec![1, 2, 3]);
    PassportView { unit: unit().into(), size, height: 5, passport }
}

pub fn proposal() -> ProposalView {
    ProposalView {
        proposal_id: Text(event()),
        number: 12,
        by: name("handler"),
        change: "retire".to_owned(),
        sentence: "customs votes no more".to_owned(),
        fingerprint: None,
        party: Some(name("customs")),
        from: 0,
        until: Millis(1_700_000_000_000).into(),
        approvals: vec![name("handler")],
        rejections: Vec::new(),
        needed: 3,
        stage: "in-force".to_owned(),
        height: Some(7),
    }
}

pub fn genesis() -> GenesisView {
    GenesisView { network: Text(NetworkId(Digest([3; 32]))), genesis: Base64(vec![1, 2, 3]) }
}

pub fn tokens() -> TokensView {
    let token = TokenView {
        name: "portal".to_owned(),
        sha256: digest("token").into(),
        scopes: vec!["read".to_owned()],
        until: Some(TIME.into()),
    };
    TokensView { tokens: vec![token] }
}

pub fn join_request() -> JoinRequest {
    let shown = || ShownKey { key: "aa".to_owned(), possession: "bb".to_owned() };
    JoinRequest {
        format: "consign-join-v1".to_owned(),
        network: "cc".to_owned(),
        party: "port".to_owned(),
        member_key: shown(),
        consensus_key: shown(),
        cosigner_key: shown(),
        network_key: shown(),
        log_key: "dd".to_owned(),
        addresses: vec!["/ip4/192.0.2.5/tcp/9201".to_owned()],
    }
}

pub fn request() -> RequestView {
    RequestView {
        party: name("port"),
        invited_by: name("handler"),
        fingerprint: "0001-0203-0405-0607-0809".to_owned(),
        validator_fingerprint: "0a0b-0c0d-0e0f-1011-1213".to_owned(),
        received: TIME.into(),
        request: join_request(),
    }
}

pub fn device() -> DeviceView {
    let key = |seed| SecretKey::from_seed([seed; 32]).public();
    DeviceView {
        device: name("handler.dock7"),
        party: name("handler"),
        height: 9,
        status: DeviceStatus::Revoked { at: TIME.into(), suspected_since: Some(TIME.into()) },
        algorithm: Text(Algorithm::Ed25519),
        key: Text(key(2).into()),
        key_id: "0123456789abcdef".to_owned(),
        past_keys: vec![PastKeyView {
            key: Text(key(1).into()),
            key_id: "fedcba9876543210".to_owned(),
            below: 7,
        }],
        kinds: vec![name("arrive"), name("depart")],
        places: vec![name("414/9521321000018")],
        classes: vec!["00".to_owned()],
        until: Some(TIME.into()),
        next_sequence: 9,
        missing: vec![5, 6],
        floor: 4,
    }
}

pub fn evidence() -> EvidenceView {
    let reported = Some(ReportedView { height: 3, event_id: Text(event()) });
    let accused = AccusedView {
        who: "handler.dock7".to_owned(),
        signer: Some(name("handler.dock7")),
        did: "signed two events under its number 1".to_owned(),
        fault: Text(digest("fault")),
        reported,
    };
    EvidenceView {
        evidence_id: Text(digest("evidence")),
        kind: "same-number".to_owned(),
        bytes: 3,
        accused: vec![accused],
        reported,
        evidence: Some(Base64(vec![1, 2, 3])),
    }
}

pub fn receipt(leaf_index: u64) -> ReceiptView {
    ReceiptView {
        leaf_index,
        tree_size: 7,
        leaf_hash: Text(LeafHash(digest("leaf"))),
        receipt: Base64(vec![4, 5]),
        event_with_receipt: Base64(vec![1, 4, 5]),
    }
}

pub fn consistency(from: u64, to: u64) -> ConsistencyView {
    let root = |of: &str| Text(TreeRoot(digest(of)));
    ConsistencyView { from, from_root: root("from"), to, to_root: root("to"), path: vec![] }
}

pub fn header(height: u64) -> BlockHeader {
    BlockHeader {
        height,
        block_id: Text(BlockId(digest("block"))),
        parent: Text(BlockId(digest("parent"))),
        epoch: 0,
        time: TIME.into(),
        first_index: height * 2,
        events: 1,
        size: height * 2 + 2,
        root: Text(TreeRoot(digest("root"))),
        map_root: Text(MapRoot(digest("map"))),
        set: Text(SetHash(digest("set"))),
        next_set: Text(SetHash(digest("set"))),
    }
}

pub fn block(height: u64) -> BlockView {
    BlockView {
        header: header(height),
        round: Some(0),
        signers: vec![name("airline")],
        event_ids: vec![Text(event())],
    }
}

fn set(count: u8) -> ValidatorSet {
    let key = |seed: u8| SecretKey::from_seed([seed; 32]).public();
    let validator = |i: u8| Validator {
        party: name(&format!("party-{i}")),
        consensus_key: key(3 * i + 1),
        cosigner_key: key(3 * i + 2),
        network_key: key(3 * i + 3),
    };
    ValidatorSet::new((0..count).map(validator).collect()).expect("distinct keys")
}

/// What a set of so many validators survives, in words.
pub fn validators(count: u8) -> ValidatorsView {
    ValidatorsView::of(&set(count), true)
}

pub fn status(height: u64) -> StatusView {
    StatusView {
        network: Text(NetworkId(digest("network"))),
        origin: "devnet.example/consign".to_owned(),
        epoch: 0,
        party: name("handler"),
        version: "0.1.0".to_owned(),
        height,
        block_id: Text(BlockId(digest("block"))),
        size: 7,
        root: Text(TreeRoot(digest("root"))),
        map_root: Text(MapRoot(digest("map"))),
        proven_size: 7,
        time: TIME.into(),
        last_commit_age_ms: Some(12),
        syncing: SyncView::default(),
        validators: validators(4),
        quarantine: None,
        finality: Finality::Bft,
        not_ready: None,
        peers: vec![PeerView { party: name("airline"), connected: true, height: Some(3) }],
        pool: PoolView::default(),
    }
}

pub fn members() -> MembersView {
    let key = || Text(SecretKey::from_seed([9; 32]).public());
    MembersView {
        height: 3,
        set: Text(SetHash(digest("set"))),
        validators: validators(4),
        params: Params::default().into(),
        members: vec![MemberView {
            party: name("airline"),
            key: Text(key().0.into()),
            authority: false,
            validator: Some(ValidatorView {
                index: 0,
                consensus_key: key(),
                cosigner_key: key(),
                network_key: key(),
            }),
            node: Some(NodeView {
                network_key: key(),
                addresses: vec!["/ip4/192.0.2.7/tcp/9201".to_owned()],
            }),
        }],
    }
}
