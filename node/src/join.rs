//! Requests to join that invited parties hand in at this node.
//!
//! Keeping one decides nothing: it is here so that members find it, compare its fingerprint by voice with
//! the party, and propose. It is of this node alone and on no ledger.

use consign_ledger::entry::{EntryKey, MemberState, read};
use consign_ledger::signer::SignerState;
use consign_rpc::join::{JoinRequest, Joining};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::invite::{INVITE_WINDOW_MAX_MS, Invite, Offered};
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;

use crate::clock;
use crate::state::{Committed, sure};
use crate::store::REQUESTS_MAX;
use consign_types::causes::on_one_line;

/// Bytes of a request as it is kept.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// A request, and whose invitation it came with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// When it came, by this node's clock.
    pub received: Millis,
    /// The member that invited.
    pub invited_by: PartyId,
    /// The end of the invitation.
    pub until: Millis,
    /// The document.
    pub request: JoinRequest,
    /// What it asks for.
    pub joining: Joining,
}

/// Why a request is not kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// No invitation, or not one of a member's.
    #[error("{0}")]
    BadInvite(String),
    /// Too late.
    #[error("the invitation ended at {0}")]
    Expired(Millis),
    /// It was good for one request, and another one came.
    #[error("the invitation was used for another request")]
    Used,
    /// The request does not hold, or is not of the party that was invited.
    #[error("{0}")]
    BadRequest(String),
    /// There is no room.
    #[error("{REQUESTS_MAX} requests wait at this node already")]
    Full,
}

impl Refused {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadInvite(_) => "bad_invite",
            Self::Expired(_) => "invite_expired",
            Self::Used => "invite_used",
            Self::BadRequest(_) => "bad_request",
            Self::Full => "requests_full",
        }
    }
}

impl Canonical for Kept {
    const WHAT: &'static str = "request to join";
    const BYTES_MAX: usize = REQUEST_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u64(self.received.0).sure().str(self.invited_by.as_str()).sure();
        to.u64(self.until.0).sure().str(&self.request.to_text()).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        let (received, invited_by) = (Millis(from.u64()?), from.parse()?);
        let until = Millis(from.u64()?);
        let request = JoinRequest::parse(from.text()?).map_err(|e| from.error(e))?;
        let joining = request.check().map_err(|e| from.error(e))?;
        Ok(Self { received, invited_by, until, request, joining })
    }
}

/// Takes a request with its invitation, at the node of `own`. The same one again is answered as before.
///
/// An invitation is good once, because one node alone takes it: that of whoever invites. Whoever calls lets
/// nobody else do so at the same time.
///
/// # Errors
/// [`Refused`].
pub fn take(
    committed: &Committed,
    own: &PartyId,
    invite: &str,
    request: JoinRequest,
) -> Result<Kept, Refused> {
    let invite: Invite = invite.parse().map_err(|e| Refused::BadInvite(on_one_line(&e)))?;
    let now = clock::now();
    check(committed, own, &invite, now)?;
    let Offered { network, party, by, until, nonce, .. } = invite.offered;
    let joining = request.check().map_err(|e| Refused::BadRequest(on_one_line(&e)))?;
    if (joining.network, &joining.party) != (network, &party) {
        let why = format!("the invitation is for {party} on network {network}, the request is not");
        return Err(Refused::BadRequest(why));
    }
    let kept = Kept { received: now, invited_by: by, until, request, joining };
    let bytes = kept.to_bytes();
    if bytes.len() > REQUEST_BYTES_MAX {
        return Err(Refused::BadRequest("the request is too long".to_owned()));
    }
    let mut gone = Vec::new();
    let mut waiting = 0;
    for (name, row) in sure(committed.store().requests()) {
        let other = Kept::from_bytes(&row).ok();
        match other {
            Some(other) if name == nonce => {
                return if other.request == kept.request { Ok(other) } else { Err(Refused::Used) };
            }
            Some(other) if other.until >= now => waiting += 1,
            _ => gone.push(name),
        }
    }
    if waiting >= REQUESTS_MAX {
        return Err(Refused::Full);
    }
    sure(committed.store().put_request(&nonce, &bytes, &gone));
    Ok(kept)
}

/// The requests whose invitations have not ended.
pub fn waiting(committed: &Committed) -> Vec<Kept> {
    let now = clock::now();
    let rows = sure(committed.store().requests()).into_iter();
    rows.filter_map(|(_, row)| Kept::from_bytes(&row).ok())
        .filter(|kept| kept.until >= now)
        .collect()
}

/// The member whose node this is made the invitation, and it has not ended.
fn check(
    committed: &Committed,
    own: &PartyId,
    invite: &Invite,
    now: Millis,
) -> Result<(), Refused> {
    let Offered { network, by, until, .. } = &invite.offered;
    let bad = |why: String| Err(Refused::BadInvite(why));
    if *network != committed.genesis().network() {
        return bad(format!(
            "the invitation is for network {network}, and this node is of another"
        ));
    }
    if by != own {
        return bad(format!(
            "{by} invites, and this is the node of {own}: hand the request in at the node of {by}"
        ));
    }
    let member: Option<MemberState> = read(committed, &EntryKey::Member(by.clone()));
    if member.is_none_or(|member| member.expelled.is_some()) {
        return bad(format!("{by}, who invites, is no member of this network"));
    }
    let signer: Option<SignerState> =
        read(committed, &EntryKey::Signer(SignerId::member(by.clone())));
    if !signer.is_some_and(|signer| invite.is_by(&signer.key)) {
        return bad(format!("the invitation is not signed by the member key of {by}"));
    }
    if *until < now {
        return Err(Refused::Expired(*until));
    }
    if until.since(now) > INVITE_WINDOW_MAX_MS {
        return bad("the invitation has an end more than 30 days from now".to_owned());
    }
    Ok(())
}
