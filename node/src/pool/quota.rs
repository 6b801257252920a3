//! How many events a second a device, and all devices of a member, may hand in at this node.
//!
//! Counted once the signature holds: nobody uses up another's share. What a node knows already is not counted:
//! who sends again because it heard nothing is not punished. Events that peers pass on are not counted
//! either: they were at the node that took them.

use std::fmt;
use std::time::Instant;

use consign_rpc::rates::Rates;
use consign_types::party::{PartyId, SignerId};

/// The buckets of one node.
#[derive(Debug)]
pub struct Quotas {
    devices: Rates<SignerId>,
    members: Rates<PartyId>,
    per_device: u32,
    per_member: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Whose {
    Device(SignerId),
    Member(PartyId),
}

/// Whose share is used up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exceeded {
    whose: Whose,
    per_second: u32,
    /// When there is room for one more, milliseconds from now.
    pub retry_after_ms: u64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, per_second, retry_after_ms } = self;
        match whose {
            Whose::Device(device) => write!(f, "{device} hands in")?,
            Whose::Member(member) => write!(f, "the devices of {member} hand in")?,
        }
        write!(f, " more than {per_second} events a second; wait {retry_after_ms} ms")
    }
}

impl Quotas {
    /// So many events a second on average, and twice as many at once.
    pub fn new(per_device: u32, per_member: u32) -> Self {
        let devices = Rates::new(per_device, per_device.saturating_mul(2));
        let members = Rates::new(per_member, per_member.saturating_mul(2));
        Self { devices, members, per_device, per_member }
    }

    /// Counts an event of `signer`.
    ///
    /// # Errors
    /// When that is one too many.
    pub fn take(&self, signer: &SignerId, now: Instant) -> Result<(), Exceeded> {
        self.devices.take(signer, now).map_err(|retry_after_ms| Exceeded {
            whose: Whose::Device(signer.clone()),
            per_second: self.per_device,
            retry_after_ms,
        })?;
        self.members.take(signer.party(), now).map_err(|retry_after_ms| Exceeded {
            whose: Whose::Member(signer.party().clone()),
            per_second: self.per_member,
            retry_after_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_device_has_its_share_and_a_member_has_one_for_all_of_its_devices() {
        let quotas = Quotas::new(2, 3);
        let now = Instant::now();
        let take = |signer: &str, now| {
            let taken = quotas.take(&signer.parse().expect("a signer"), now);
            taken.map_err(|exceeded| exceeded.to_string())
        };
        for _ in 0..4 {
            assert_eq!(take("airline.dock1", now), Ok(()));
        }
        let of_device = "airline.dock1 hands in more than 2 events a second; wait 501 ms";
        assert_eq!(take("airline.dock1", now), Err(of_device.to_owned()));
        assert_eq!(take("airline.dock2", now), Ok(()));
        assert_eq!(take("airline.dock2", now), Ok(()));
        let of_member = "the devices of airline hand in more than 3 events a second; wait 334 ms";
        assert_eq!(take("airline.dock2", now), Err(of_member.to_owned()));
        assert_eq!(take("handler.dock1", now), Ok(()), "another member's share is its own");
        let later = now + Duration::from_millis(501);
        assert_eq!(take("airline.dock1", later), Ok(()));
    }
}
