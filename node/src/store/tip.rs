//! Where the chain stands, and what is kept of each block beside its leaves.

use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::certificate::Certificate;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{BlockId, TreeRoot};

/// The last committed block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tip {
    /// Its record.
    pub record: BlockRecord,
    /// Its name.
    pub block: BlockId,
    /// Size of the log after it.
    pub size: TreeSize,
    /// Root of the log after it.
    pub root: TreeRoot,
}

impl Tip {
    /// Its height.
    pub const fn height(&self) -> Height {
        self.record.height
    }
}

/// What is kept of a block beside its leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredBlock {
    /// Its name.
    pub block: BlockId,
    /// Its first leaf; its record is the last.
    pub first: LeafIndex,
    /// Size of the log after it.
    pub size: TreeSize,
    /// Root of the log after it.
    pub root: TreeRoot,
    /// Proof that it was decided; none for the genesis block.
    pub certificate: Option<Certificate>,
}

/// What this node's cosigner last put its name to; never goes back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CosignedState {
    /// Size of the log.
    pub size: TreeSize,
    /// Its root.
    pub root: TreeRoot,
    /// When, seconds since the epoch.
    pub time_s: u64,
}

impl Canonical for Tip {
    const WHAT: &'static str = "tip";
    const BYTES_MAX: usize = 1024;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure();
        self.record.write(to);
        to.bytes(self.block.as_bytes()).sure().u64(self.size.0).sure();
        to.bytes(self.root.as_bytes()).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            record: BlockRecord::read(from)?,
            block: BlockId(from.digest()?),
            size: TreeSize(from.u64()?),
            root: TreeRoot(from.digest()?),
        })
    }
}

impl Canonical for StoredBlock {
    const WHAT: &'static str = "stored block";
    const BYTES_MAX: usize = 4096;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(5).sure().bytes(self.block.as_bytes()).sure();
        to.u64(self.first.0).sure().u64(self.size.0).sure().bytes(self.root.as_bytes()).sure();
        match &self.certificate {
            Some(certificate) => certificate.write(to),
            None => {
                to.null().sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(5)?;
        Ok(Self {
            block: BlockId(from.digest()?),
            first: LeafIndex(from.u64()?),
            size: TreeSize(from.u64()?),
            root: TreeRoot(from.digest()?),
            certificate: if from.null()? { None } else { Some(Certificate::read(from)?) },
        })
    }
}

impl Canonical for CosignedState {
    const WHAT: &'static str = "cosigner state";
    const BYTES_MAX: usize = 128;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(3).sure().u64(self.size.0).sure();
        to.bytes(self.root.as_bytes()).sure().u64(self.time_s).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(3)?;
        Ok(Self {
            size: TreeSize(from.u64()?),
            root: TreeRoot(from.digest()?),
            time_s: from.u64()?,
        })
    }
}
