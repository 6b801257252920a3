//! What nodes say to each other besides consensus: events, bodies, cosignatures, status, catch-up.
//!
//! Every message is one canonical CBOR value with a bounded size. A peer's bytes become a value here
//! or are dropped here; nothing past this module sees bytes.

use consign_consensus::Message;
use consign_ledger::log::Frontier;
use consign_types::block::{BlockRecord, Height, TreeSize};
use consign_types::certificate::Certificate;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{BlockId, Digest, LeafHash, TreeRoot};
use consign_types::limits::{
    BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX, EVENT_BYTES_MAX_NESTED, LOG_ENTRY_BYTES_MAX,
};
use consign_types::merkle;

/// Events in one pool batch.
pub const POOL_BATCH_EVENTS_MAX: usize = 1_024;
/// Bytes of events in one pool batch.
pub const POOL_BATCH_BYTES_MAX: usize = 512 * 1024;
/// Bytes of blocks in one answer to a range request, unless a single block has more.
pub const RANGE_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Blocks in one answer to a range request.
pub const RANGE_BLOCKS_MAX: usize = 256;
/// Longest note that is passed on.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;

/// A block without its events: what a proposal stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body {
    /// The leaf that closes the block.
    pub record: BlockRecord,
    /// The events, by the exact signed variant, in order.
    pub events: Vec<LeafHash>,
}

/// A decided block as it travels in catch-up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    /// Proof that it was decided.
    pub certificate: Certificate,
    /// The leaf that closes the block.
    pub record: BlockRecord,
    /// The exact bytes of its events, in order.
    pub events: Vec<Vec<u8>>,
}

/// What travels on the pool streams: in order, so events arrive before a body that names them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PoolMessage {
    /// Events that this node admitted.
    Events(Vec<Vec<u8>>),
    /// The body of a block that this node proposes, with the name it proposes it under.
    Body(BlockId, Body),
}

/// Where a node stands; on connecting, on each commit, and every few seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status {
    /// Last committed height.
    pub height: Height,
    /// Its block.
    pub block: BlockId,
    /// Last height that was begun.
    pub started: Height,
    /// Size of the log of the newest checkpoint that this node knows a quorum for.
    pub proven: TreeSize,
}

/// A validator's cosignature of a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosigned {
    /// Size of the log.
    pub size: TreeSize,
    /// Its root.
    pub root: TreeRoot,
    /// When it was cosigned, seconds since the epoch.
    pub time_s: u64,
    /// The signature.
    pub signature: [u8; 64],
}

/// What a node may ask of another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// The body of a block.
    Body(BlockId),
    /// Events of a block that is not decided yet, by variant.
    Events(BlockId, Vec<LeafHash>),
    /// Decided blocks from this height on.
    Blocks(Height),
    /// The newest checkpoint with a quorum.
    Checkpoint,
    /// The lease of the asker's consensus key, for the place that it runs at.
    Lease(Digest),
}

/// What became of a lease that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leased {
    /// Given, or prolonged.
    Granted,
    /// Another place has it, or had it until just now.
    Held,
    /// The asker's key is not that of a validator, as far as is known here.
    NotValidator,
}

/// Answers, in the order of the requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Response {
    /// The body, if it is here.
    Body(Option<Body>),
    /// Those of the events that are here.
    Events(Vec<Vec<u8>>),
    /// Blocks in ascending order without a hole, as many as fit.
    Blocks(Vec<Bundle>),
    /// The note, if there is one.
    Checkpoint(Option<String>),
    /// What became of the lease, and the latest that the asker's key signed, as far as it came here.
    Lease(Leased, Option<Message>),
}

impl Body {
    /// Whether it is the body of `block` on the log whose right edge is `frontier`. The id covers the root, the
    /// root covers the names and the record: one body fits, and nothing need be executed to know it.
    pub fn is_of(&self, block: BlockId, frontier: &Frontier) -> bool {
        let mut frontier = frontier.clone();
        for name in &self.events {
            frontier.append(*name, |_| {});
        }
        frontier.append(merkle::leaf_hash(&self.record.to_bytes()), |_| {});
        self.record.block_id(frontier.size(), frontier.root()) == block
    }
}

impl Canonical for Body {
    const WHAT: &'static str = "block body";
    const BYTES_MAX: usize = 600 + BLOCK_EVENTS_MAX * 34;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(2).sure();
        self.record.write(to);
        write_hashes(&self.events, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        Ok(Self { record: BlockRecord::read(from)?, events: read_hashes(from)? })
    }
}

impl Canonical for Bundle {
    const WHAT: &'static str = "block bundle";
    const BYTES_MAX: usize = BLOCK_BYTES_MAX + BLOCK_EVENTS_MAX * 3 + 4096;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(3).sure();
        self.certificate.write(to);
        self.record.write(to);
        write_blobs(&self.events, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(3)?;
        Ok(Self {
            certificate: Certificate::read(from)?,
            record: BlockRecord::read(from)?,
            events: read_blobs(from, BLOCK_EVENTS_MAX)?,
        })
    }
}

impl Canonical for PoolMessage {
    const WHAT: &'static str = "pool message";
    const BYTES_MAX: usize =
        POOL_BATCH_BYTES_MAX + LOG_ENTRY_BYTES_MAX + POOL_BATCH_EVENTS_MAX * 3 + 64;

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Events(events) => {
                to.array(2).sure().u8(0).sure();
                write_blobs(events, to);
            }
            Self::Body(id, body) => {
                to.array(3).sure().u8(1).sure().bytes(id.as_bytes()).sure();
                body.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        match (from.u8()?, len) {
            (0, 2) => Ok(Self::Events(read_blobs(from, POOL_BATCH_EVENTS_MAX)?)),
            (1, 3) => Ok(Self::Body(BlockId(from.digest()?), Body::read(from)?)),
            (tag, _) => Err(from.error(format!("no message has tag {tag} and {len} items"))),
        }
    }
}

impl Canonical for Status {
    const WHAT: &'static str = "status";
    const BYTES_MAX: usize = 128;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u64(self.height.0).sure().bytes(self.block.as_bytes()).sure();
        to.u64(self.started.0).sure().u64(self.proven.0).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            height: Height(from.u64()?),
            block: BlockId(from.digest()?),
            started: Height(from.u64()?),
            proven: TreeSize(from.u64()?),
        })
    }
}

impl Canonical for Cosigned {
    const WHAT: &'static str = "cosignature";
    const BYTES_MAX: usize = 256;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u64(self.size.0).sure().bytes(self.root.as_bytes()).sure();
        to.u64(self.time_s).sure().bytes(&self.signature).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            size: TreeSize(from.u64()?),
            root: TreeRoot(from.digest()?),
            time_s: from.u64()?,
            signature: from.bytes_of()?,
        })
    }
}

impl Canonical for Request {
    const WHAT: &'static str = "request";
    const BYTES_MAX: usize = 64 + BLOCK_EVENTS_MAX * 34;

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Body(id) => {
                to.array(2).sure().u8(0).sure().bytes(id.as_bytes()).sure();
            }
            Self::Events(id, hashes) => {
                to.array(3).sure().u8(1).sure().bytes(id.as_bytes()).sure();
                write_hashes(hashes, to);
            }
            Self::Blocks(from) => {
                to.array(2).sure().u8(2).sure().u64(from.0).sure();
            }
            Self::Checkpoint => {
                to.array(1).sure().u8(3).sure();
            }
            Self::Lease(place) => {
                to.array(2).sure().u8(4).sure().bytes(place.as_bytes()).sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        match (from.u8()?, len) {
            (0, 2) => Ok(Self::Body(BlockId(from.digest()?))),
            (1, 3) => Ok(Self::Events(BlockId(from.digest()?), read_hashes(from)?)),
            (2, 2) => Ok(Self::Blocks(Height(from.u64()?))),
            (3, 1) => Ok(Self::Checkpoint),
            (4, 2) => Ok(Self::Lease(from.digest()?)),
            (tag, _) => Err(from.error(format!("no request has tag {tag} and {len} items"))),
        }
    }
}

impl Canonical for Response {
    const WHAT: &'static str = "response";
    const BYTES_MAX: usize = 8 * 1024 * 1024;

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Body(body) => {
                to.array(2).sure().u8(0).sure();
                match body {
                    Some(body) => body.write(to),
                    None => {
                        to.null().sure();
                    }
                }
            }
            Self::Events(events) => {
                to.array(2).sure().u8(1).sure();
                write_blobs(events, to);
            }
            Self::Blocks(blocks) => {
                to.array(2).sure().u8(2).sure().array(blocks.len() as u64).sure();
                blocks.iter().for_each(|block| block.write(to));
            }
            Self::Lease(leased, latest) => {
                to.array(3).sure().u8(4).sure().u8(*leased as u8).sure();
                match latest {
                    Some(message) => message.write(to),
                    None => {
                        to.null().sure();
                    }
                }
            }
            Self::Checkpoint(note) => {
                to.array(2).sure().u8(3).sure();
                match note {
                    Some(note) => to.str(note).sure(),
                    None => to.null().sure(),
                };
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        match from.u8()? {
            4 if len == 3 => {
                let leased = match from.u8()? {
                    0 => Leased::Granted,
                    1 => Leased::Held,
                    2 => Leased::NotValidator,
                    other => return Err(from.error(format!("no lease ends as {other}"))),
                };
                let latest = if from.null()? { None } else { Some(Message::read(from)?) };
                Ok(Self::Lease(leased, latest))
            }
            tag if len != 2 => Err(from.error(format!("no response {tag} has {len} items"))),
            0 => Ok(Self::Body(if from.null()? { None } else { Some(Body::read(from)?) })),
            1 => Ok(Self::Events(read_blobs(from, BLOCK_EVENTS_MAX)?)),
            2 => Ok(Self::Blocks(from.list(RANGE_BLOCKS_MAX, Bundle::read)?)),
            3 if from.null()? => Ok(Self::Checkpoint(None)),
            3 => match from.text()? {
                note if note.len() <= NOTE_BYTES_MAX => Ok(Self::Checkpoint(Some(note.to_owned()))),
                note => Err(from.error(format!("a note of {} bytes", note.len()))),
            },
            tag => Err(from.error(format!("no response has tag {tag}"))),
        }
    }
}

fn write_hashes(hashes: &[LeafHash], to: &mut Writer<'_>) {
    to.array(hashes.len() as u64).sure();
    for hash in hashes {
        to.bytes(hash.as_bytes()).sure();
    }
}

fn read_hashes(from: &mut Reader<'_>) -> Result<Vec<LeafHash>, DecodeError> {
    from.list(BLOCK_EVENTS_MAX, |from| from.digest().map(LeafHash))
}

fn write_blobs(blobs: &[Vec<u8>], to: &mut Writer<'_>) {
    to.array(blobs.len() as u64).sure();
    for blob in blobs {
        to.bytes(blob).sure();
    }
}

fn read_blobs(from: &mut Reader<'_>, max: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
    from.list(max, |from| match from.bytes()? {
        blob if blob.len() <= EVENT_BYTES_MAX_NESTED => Ok(blob.to_vec()),
        blob => Err(from.error(format!("an event of {} bytes", blob.len()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn messages_survive_their_encoding_and_cut_ones_are_refused() {
        let hash = |n: u8| LeafHash(Digest([n; 32]));
        let requests = [
            Request::Body(BlockId(Digest([1; 32]))),
            Request::Events(BlockId(Digest([2; 32])), vec![hash(1), hash(2)]),
            Request::Blocks(Height(u64::MAX)),
            Request::Checkpoint,
            Request::Lease(Digest([3; 32])),
        ];
        for request in requests {
            let bytes = request.to_bytes();
            assert_eq!(Request::from_bytes(&bytes), Ok(request));
            for cut in 0..bytes.len() {
                assert!(Request::from_bytes(&bytes[..cut]).is_err());
            }
        }
        let events = PoolMessage::Events(vec![vec![1, 2, 3], vec![]]);
        assert_eq!(PoolMessage::from_bytes(&events.to_bytes()), Ok(events));
        let response = Response::Checkpoint(Some("note\n".to_owned()));
        assert_eq!(Response::from_bytes(&response.to_bytes()), Ok(response));
        for leased in [Leased::Granted, Leased::Held, Leased::NotValidator] {
            let response = Response::Lease(leased, None);
            assert_eq!(Response::from_bytes(&response.to_bytes()), Ok(response));
        }
    }

    /// A claimed length is bounded by the bytes that are there: nothing is allocated for a lie.
    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let mut lie = vec![0x82, 0x00, 0x9b];
        lie.extend_from_slice(&u64::MAX.to_be_bytes());
        assert!(PoolMessage::from_bytes(&lie).is_err());
    }
}
