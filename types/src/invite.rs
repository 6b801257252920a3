//! An invitation: one string with which a party asks to join a network, and nobody else.
//!
//! It pins the genesis by its hash, so that whoever joins knows which network it is, wherever the genesis
//! comes from. It is good for one party and one request, at the node of whoever invites, up to an end. It
//! admits nobody: members vote.
//!
//! It names the key that signed it, so that the two sides can compare it by voice without asking anybody whose it is.
//!
//! Invariant: an invitation was signed by the key that it names. Whether that is a member's says [`Invite::is_by`].

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, NetworkId};
use crate::governance::{read_addresses, write_addresses};
use crate::key::{PublicKey, SecretKey, Signature};
use crate::limits::INVITE_PEERS_MAX;
use crate::party::PartyId;
use crate::signer_key::SignerKey;
use crate::time::Millis;

/// What the string begins with.
pub const INVITE_PREFIX: &str = "consign1join-";

/// Characters of the string.
pub const INVITE_CHARS_MAX: usize = 4_096;

/// How long an invitation is good at most, milliseconds.
pub const INVITE_WINDOW_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

const URL_BYTES_MAX: usize = 256;

const CHECKSUM_BYTES: usize = 4;

/// What a member offers a party.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offered {
    /// The network: the hash of its genesis.
    pub network: NetworkId,
    /// Who is invited.
    pub party: PartyId,
    /// The member that invites.
    pub by: PartyId,
    /// Where its node answers JSON-RPC: there the genesis is to be had, and there the request goes.
    pub url: String,
    /// Until when the request is taken.
    pub until: Millis,
    /// Sets this invitation apart: each is good for one request.
    pub nonce: [u8; 16],
    /// Where nodes of members are met.
    pub peers: Vec<(PartyId, Vec<String>)>,
}

/// An invitation, signed by the member key of whoever invites.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invite {
    /// What it says.
    pub offered: Offered,
    key: PublicKey,
    signature: Signature,
}

/// Why a string is not an invitation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadInvite {
    /// Something else altogether.
    #[error(
        "an invitation begins with {INVITE_PREFIX} and has {INVITE_CHARS_MAX} characters at most"
    )]
    NotAnInvite,
    /// A character is wrong, missing or too many.
    #[error("the invitation is damaged: its checksum does not fit; copy the whole string again")]
    Damaged,
    /// The checksum fits, and what it covers is no invitation.
    #[error("the invitation does not decode")]
    Malformed(#[from] DecodeError),
}

impl Offered {
    /// Signs it with the member key of whoever invites.
    pub fn sign(self, key: &SecretKey) -> Invite {
        let signature = key.sign(&self.message());
        Invite { offered: self, key: key.public(), signature }
    }

    fn message(&self) -> Vec<u8> {
        let mut bytes = b"consign/invite/v1\0".to_vec();
        let mut to = Writer::new(&mut bytes);
        to.array(7).sure();
        self.write(&mut to);
        bytes
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.bytes(self.network.as_bytes()).sure().str(self.party.as_str()).sure();
        to.str(self.by.as_str()).sure().str(&self.url).sure().u64(self.until.0).sure();
        to.bytes(&self.nonce).sure().array(self.peers.len() as u64).sure();
        for (party, addresses) in &self.peers {
            to.array(2).sure().str(party.as_str()).sure();
            write_addresses(addresses, to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            network: NetworkId(from.digest()?),
            party: from.parse()?,
            by: from.parse()?,
            url: {
                let url = from.text()?;
                let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
                if !(1..=URL_BYTES_MAX).contains(&url.len()) || !plain {
                    return Err(from.error("an address that is empty, too long or not plain text"));
                }
                url.to_string()
            },
            until: Millis(from.u64()?),
            nonce: from.bytes_of()?,
            peers: from.list(INVITE_PEERS_MAX, |from| {
                from.array_of(2)?;
                Ok((from.parse()?, read_addresses(from)?))
            })?,
        })
    }
}

impl Invite {
    /// The key that signed it: that of whoever invites, if it is what it says.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether this key of the inviting member signed it.
    pub fn is_by(&self, key: &SignerKey) -> bool {
        SignerKey::from(self.key) == *key
            && key.verify(&self.offered.message(), &self.signature).is_ok()
    }

    fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let digest = Digest::of(&[b"consign/invite-checksum/v1\0", bytes]).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl Canonical for Invite {
    const WHAT: &'static str = "invitation";
    const BYTES_MAX: usize = INVITE_CHARS_MAX * 3 / 4;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(9).sure();
        self.offered.write(to);
        to.bytes(self.key.as_bytes()).sure().bytes(&self.signature.0).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(9)?;
        let (offered, key) = (Offered::read(from)?, PublicKey::read(from)?);
        let invite = Self { offered, key, signature: Signature(from.bytes_of()?) };
        let holds = invite.is_by(&key.into());
        if holds { Ok(invite) } else { Err(from.error("a signature that its key did not make")) }
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.to_bytes();
        let checksum = Self::checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        write!(f, "{INVITE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Invite {
    type Err = BadInvite;

    fn from_str(text: &str) -> Result<Self, BadInvite> {
        let body = text.strip_prefix(INVITE_PREFIX).ok_or(BadInvite::NotAnInvite)?;
        if text.len() > INVITE_CHARS_MAX {
            return Err(BadInvite::NotAnInvite);
        }
        let bytes: Vec<u8> = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadInvite::Damaged)?;
        let (bytes, checksum) = bytes.split_last_chunk().ok_or(BadInvite::Damaged)?;
        if Self::checksum(bytes) != *checksum {
            return Err(BadInvite::Damaged);
        }
        Ok(Self::from_bytes(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{borrow::ToOwned as _, format, vec};

    fn key(name: &str) -> SecretKey {
        SecretKey::from_seed(Digest::of(&[name.as_bytes()]).0)
    }

    fn offered() -> Offered {
        Offered {
            network: NetworkId(Digest([7; 32])),
            party: "port".parse().unwrap(),
            by: "airline".parse().unwrap(),
            url: "http://127.0.0.1:9101".to_owned(),
            until: Millis(1_700_000_000_000),
            nonce: [3; 16],
            peers: vec![("airline".parse().unwrap(), vec!["/ip4/192.0.2.1/tcp/9201".to_owned()])],
        }
    }

    #[test]
    fn an_invitation_is_read_as_it_was_written() {
        let invite = offered().sign(&key("airline"));
        let read: Invite = invite.to_string().parse().unwrap();
        assert_eq!(read, invite);
        assert_eq!(
            (read.is_by(&key("airline").public().into()), read.is_by(&key("port").public().into())),
            (true, false)
        );
    }

    #[test]
    fn each_part_is_under_the_signature() {
        let airline = key("airline");
        let invite = offered().sign(&airline);
        let party = || "rail".parse().unwrap();
        let others = [
            Offered { network: NetworkId(Digest([8; 32])), ..offered() },
            Offered { party: party(), ..offered() },
            Offered { by: party(), ..offered() },
            Offered { url: "http://192.0.2.9:1".to_owned(), ..offered() },
            Offered { until: Millis(1_700_000_000_001), ..offered() },
            Offered { nonce: [4; 16], ..offered() },
            Offered { peers: Vec::new(), ..offered() },
        ];
        for offered in others {
            let forged = Invite { offered, ..invite.clone() };
            assert!(!forged.is_by(&airline.public().into()), "{forged:?}");
            assert!(Invite::from_bytes(&forged.to_bytes()).is_err(), "{forged:?}");
        }
    }

    /// Somebody puts the airline's key on what he signed himself, or his own on what the airline signed.
    #[test]
    fn an_invitation_that_another_key_signed_is_none() {
        let invites = ["airline", "impostor"].map(|name| offered().sign(&key(name)));
        let [own, other] = &invites;
        for (one, two) in [(own, other), (other, own)] {
            let forged = Invite { key: two.key, ..one.clone() };
            assert!(matches!(forged.to_string().parse::<Invite>(), Err(BadInvite::Malformed(_))));
            assert!(!forged.is_by(&one.key.into()) && !forged.is_by(&two.key.into()));
        }
    }

    #[test]
    fn a_slip_is_found_and_told_from_another_string() {
        let text = offered().sign(&key("airline")).to_string();
        assert_eq!("consign1dev-AAAA".parse::<Invite>(), Err(BadInvite::NotAnInvite));
        let long = format!("{INVITE_PREFIX}{}", "A".repeat(INVITE_CHARS_MAX));
        assert_eq!(long.parse::<Invite>(), Err(BadInvite::NotAnInvite));
        for at in INVITE_PREFIX.len()..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(damaged.parse::<Invite>(), Err(BadInvite::Damaged), "character {at}");
        }
    }
}
