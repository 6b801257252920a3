//! Every bound that two nodes must share, in one place, with the assertions that tie them together.
//!
//! Bounds that only concern one node (connections, request rates) are configuration and live with it.

/// Bytes of one signed event on the log, unless its kind carries other signed messages inside.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a signed handover, testimony or report: each carries up to two events inside.
pub const EVENT_BYTES_MAX_NESTED: usize = 48 * 1024;

/// Bytes of one entry of the log: tlog-tiles writes its length as a `uint16`.
pub const LOG_ENTRY_BYTES_MAX: usize = 65_535;

/// Children named in one aggregate or disaggregate.
pub const CHILDREN_MAX: usize = 100;

/// Containers around a unit.
pub const DEPTH_MAX: usize = 6;

/// Events in a block.
pub const BLOCK_EVENTS_MAX: usize = 4_096;

/// Bytes of the events in a block.
pub const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries of the unit map that one block may write.
pub const BLOCK_MAP_WRITES_MAX: usize = 16_384;

/// Validators in a set.
pub const VALIDATORS_MAX: usize = 21;

/// Witnesses of a network.
pub const WITNESSES_MAX: usize = 16;

/// Addresses of one node, and bytes of each.
pub const ADDRESSES_MAX: usize = 4;

/// Bytes of one address of a node.
pub const ADDRESS_BYTES_MAX: usize = 128;

/// Nodes that an invitation names.
pub const INVITE_PEERS_MAX: usize = 8;

/// Proposals that are open, or decided and not yet in force, at once. Beyond them whoever has none among them
/// makes one more: eight members, which a network of 25 tolerates as faulty, could fill these otherwise, and
/// nobody could propose to expel them.
pub const MOTIONS_MAX: usize = 64;

/// Of [`MOTIONS_MAX`], by one member.
pub const MOTIONS_OF_MEMBER_MAX: usize = 8;

/// Proposals that are open, or decided and not yet in force, whoever made them.
pub const MOTIONS_IN_ALL_MAX: usize = MOTIONS_MAX + MEMBERS_MAX;

/// How many heights after the block of its proposal a change may be put off. At the pace of 100 ms that a network
/// begins with, and never idle, they pass in eleven days: people plan no further ahead, and a slip of a few digits is
/// refused rather than decided for ever.
pub const MOTION_HEIGHTS_MAX: u64 = 10_000_000;

/// How long a proposal may stay open, milliseconds of block time.
pub const MOTION_WINDOW_MAX_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// Members of a network.
pub const MEMBERS_MAX: usize = 1_024;

/// Events in a node's pool.
pub const POOL_EVENTS_MAX: usize = 100_000;

/// Bytes of the events in a node's pool.
pub const POOL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sequence numbers of one key that may be missing below its high-water mark.
pub const MISSING_SEQUENCES_MAX: usize = 32;

/// Holds that may stand on a unit at once.
pub const HOLDS_MAX: usize = 4;

/// How far above the highest number that a signer used the next one may be, with a floor. Whoever has a key does not
/// use up all its numbers with one event.
pub const SEQUENCE_STEP_MAX: u64 = 1 << 32;

/// Keys before the present one with which a signer may not rotate any more.
pub const ROTATIONS_MAX: usize = 16;

/// Keys that a signer had before the present one: what it signed under them verifies still. Members replace the key of
/// one of them even where a thief rotated it as often as it goes.
pub const PAST_KEYS_MAX: usize = 32;

/// Proposals on a unit that wait for a consent at once.
pub const PENDING_MAX: usize = 4;

/// Corrections among them: those leave room for what is about custody.
pub const CORRECTIONS_PENDING_MAX: usize = 2;

/// Parties whose consent one proposal may need.
pub const CONSENTS_MAX: usize = 2;

/// How long a proposal waits for consents, milliseconds of block time.
pub const CONSENT_WINDOW_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Seal ids that one event may name, and that may be on a unit at once.
pub const SEALS_MAX: usize = 16;

/// Exception codes that one acceptance may carry.
pub const EXCEPTIONS_MAX: usize = 16;

/// Place or unit-class restrictions in one enrolment.
pub const ENROL_SCOPES_MAX: usize = 32;

/// Bytes of a seal id or a conveyance.
pub const LABEL_BYTES_MAX: usize = 35;

/// Device time ahead of block time from which an event is shown as flagged, milliseconds.
pub const CLOCK_AHEAD_FLAG_MS: u64 = 5 * 60 * 1000;

/// Device time behind block time from which an event is shown as flagged, milliseconds.
pub const CLOCK_LATE_FLAG_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// How long after it was spent a basis still contests the current one, milliseconds of block time.
pub const CONTEST_WINDOW_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How long after a delivery its taker may return the unit, milliseconds of block time.
pub const RETURN_WINDOW_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// How long an event whose reference is unknown waits in a pool, milliseconds.
pub const POOL_ORPHAN_MS: u64 = 30_000;

/// Versions of the unit map that are kept for proofs.
pub const MAP_VERSIONS_KEPT: u64 = 256;

/// Bytes of a passport, and of the events in it when they are written out.
pub const PASSPORT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Events in a passport: those of the unit, and those of containers while it was in them.
pub const PASSPORT_EVENTS_MAX: usize = 4_096;

/// Signers of the events in a passport.
pub const PASSPORT_SIGNERS_MAX: usize = 1_024;

/// Changes of the validator set in a passport.
pub const PASSPORT_SETS_MAX: usize = 256;

/// Bytes of an evidence file: one fits into the event that reports it.
pub const EVIDENCE_BYTES_MAX: usize = 47 * 1024;

/// Events that a device signed between the two offers of one evidence file.
pub const EVIDENCE_BETWEEN_MAX: usize = 128;

/// How much later a smaller size must be cosigned than a larger one to be evidence, seconds.
pub const ROLLBACK_MARGIN_S: u64 = 3_600;

/// Bytes of a JSON-RPC request body.
pub const RPC_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Events in one `custody_submitBatch`.
pub const SUBMIT_BATCH_MAX: usize = 100;

/// Calls in one JSON-RPC batch.
pub const RPC_BATCH_MAX: usize = 20;

/// Bytes of a genesis document.
pub const GENESIS_BYTES_MAX: usize = LOG_ENTRY_BYTES_MAX;

const _: () = {
    assert!(EVENT_BYTES_MAX < EVENT_BYTES_MAX_NESTED);
    // All places taken by full members: the others still have theirs.
    assert!(MOTIONS_MAX.is_multiple_of(MOTIONS_OF_MEMBER_MAX));
    // Two full events fit into a handover, with room for its own envelope.
    assert!(2 * EVENT_BYTES_MAX + 1024 <= EVENT_BYTES_MAX_NESTED);
    assert!(EVENT_BYTES_MAX_NESTED <= LOG_ENTRY_BYTES_MAX);
    assert!(EVENT_BYTES_MAX_NESTED <= BLOCK_BYTES_MAX);
    assert!(BLOCK_EVENTS_MAX <= POOL_EVENTS_MAX);
    assert!(BLOCK_BYTES_MAX <= POOL_BYTES_MAX);
    // Evidence fits the event that reports it, and two full events fit evidence.
    assert!(EVIDENCE_BYTES_MAX + 1024 <= EVENT_BYTES_MAX_NESTED);
    assert!(2 * EVENT_BYTES_MAX + 12 * 1024 <= EVIDENCE_BYTES_MAX);
    // Every event that the log can hold fits a passport.
    assert!(EVENT_BYTES_MAX_NESTED < PASSPORT_BYTES_MAX);
    // The widest event (an aggregate: children, parent, those around it, the device) fits a block.
    assert!(2 * CHILDREN_MAX + DEPTH_MAX + 2 <= BLOCK_MAP_WRITES_MAX);
};
