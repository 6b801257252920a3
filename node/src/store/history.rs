//! Histories of units: where each event that names a unit lies, and what stood around the unit then.

use consign_ledger::unit::{Around, Counters};
use consign_types::block::LeafIndex;
use consign_types::codec::{DecodeError, Infallible as _, Reader};
use consign_types::limits::DEPTH_MAX;
use consign_types::unit::UnitId;
use rocksdb::{Direction, IteratorMode};

use super::{Fault, Store, cf, keys};

/// An event in the history of a unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InHistory {
    /// From 0.
    pub position: u64,
    /// Its place in the log.
    pub leaf: LeafIndex,
    /// What stood around the unit, innermost first.
    pub around: Vec<Around>,
}

impl Store {
    /// The events of a unit, `limit` of them from `position` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(
        &self,
        unit: &UnitId,
        position: u64,
        limit: usize,
    ) -> Result<Vec<InHistory>, Fault> {
        let start = keys::history(unit, position);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.db.iterator_cf(self.family(cf::HISTORY), mode);
        let mut found = Vec::new();
        for row in rows.take(limit) {
            let (key, value) = row.map_err(|e| self.failed("read", e))?;
            match key.split_at_checked(16) {
                Some((unit_part, position)) if unit_part == &start[..16] => {
                    found.push(self.in_history(position, &value)?);
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// The position of the first event of a unit that lies at `leaf` or later.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history_from(&self, unit: &UnitId, leaf: LeafIndex) -> Result<u64, Fault> {
        // Histories ascend: the end is found by doubling, the place by halving.
        let before = |position: u64| {
            let row = self.history(unit, position, 1)?;
            Ok::<_, Fault>(row.first().is_some_and(|event| event.leaf < leaf))
        };
        let mut high = 1;
        while before(high - 1)? {
            high *= 2;
        }
        let mut low = high / 2;
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn in_history(&self, position: &[u8], value: &[u8]) -> Result<InHistory, Fault> {
        let (leaf, around) =
            value.split_at_checked(8).ok_or_else(|| self.damaged("history", "too short"))?;
        let around = decode_around(around).map_err(|e| self.damaged("history", e))?;
        Ok(InHistory { position: self.index(position)?.0, leaf: self.index(leaf)?, around })
    }
}

/// The leaf index, and behind it what stood around the unit; nothing where nothing did.
pub fn encode_history(leaf: LeafIndex, around: &[Around]) -> Vec<u8> {
    let mut bytes = leaf.0.to_be_bytes().to_vec();
    if around.is_empty() {
        return bytes;
    }
    let mut to = minicbor::Encoder::new(&mut bytes);
    to.array(around.len() as u64).sure();
    for container in around {
        to.array(3).sure().str(container.unit.as_str()).sure().bytes(&container.head.0).sure();
        let counts = container.effective.to_array();
        to.array(counts.len() as u64).sure();
        for count in counts {
            to.u32(count).sure();
        }
    }
    bytes
}

fn decode_around(bytes: &[u8]) -> Result<Vec<Around>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut from = Reader::new(bytes, "history");
    from.list(DEPTH_MAX, |from| {
        from.array_of(3)?;
        let (unit, head) = (from.parse()?, from.digest()?);
        let mut counts = Counters::default().to_array();
        from.array_of(counts.len() as u64)?;
        for count in &mut counts {
            *count = from.u32()?;
        }
        Ok(Around { unit, head, effective: Counters::from_array(counts) })
    })
}

#[cfg(test)]
mod tests {
    use consign_types::digest::Digest;

    use super::*;

    #[test]
    fn what_stood_around_survives_its_encoding() {
        let counters = Counters { excursions: 3, holds: 1, ..Counters::default() };
        let unit = |n: u32| format!("trk/handler/{n}").parse().unwrap();
        let around: Vec<Around> = (0..6)
            .map(|n| Around { unit: unit(n), head: Digest([n as u8; 32]), effective: counters })
            .collect();
        let bytes = encode_history(LeafIndex(7), &around);
        assert_eq!(bytes[..8], 7_u64.to_be_bytes());
        assert_eq!(decode_around(&bytes[8..]), Ok(around));
        assert_eq!(decode_around(&encode_history(LeafIndex(7), &[])[8..]), Ok(Vec::new()));
    }
}
