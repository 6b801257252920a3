//! Who may ask what: one gate for reading, one for submitting, and what opens them.
//!
//! Invariant: every call and every plain route is judged here, each by itself and at the moment it is
//! asked, by the scope that the table of methods gives it. What has no scope is refused.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use consign_types::digest::Digest;
use consign_types::time::Millis;
use subtle::ConstantTimeEq as _;

use crate::errors::{ErrorKind, RpcError};
use crate::scope::Scope;
use crate::tls::Server;
use crate::token::{Secret, Token};

/// What a caller must show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Gate {
    /// Nothing.
    #[default]
    Open,
    /// A token with the scope.
    Bearer,
    /// A certificate by the authority that the node knows callers by. No token replaces it.
    Mtls,
}

/// Which gates stand, and which tokens open them.
pub struct Access {
    read: RwLock<Gate>,
    submit: Gate,
    tokens: RwLock<Arc<[Token]>>,
    tls: Option<RwLock<Server>>,
    origins: Vec<HeaderValue>,
    clock: fn() -> Millis,
}

impl Default for Access {
    /// Everybody may read and submit.
    fn default() -> Self {
        Self::new(Gate::Open, Gate::Open, Vec::new())
    }
}

impl Access {
    /// Reading (figures of the node among it) behind `read`, submitting behind `submit`.
    pub fn new(read: Gate, submit: Gate, tokens: Vec<Token>) -> Self {
        let (read, tokens) = (RwLock::new(read), RwLock::new(tokens.into()));
        Self { read, submit, tokens, tls: None, origins: Vec::new(), clock: wall_clock }
    }

    /// The same, and nobody is spoken to but over TLS.
    #[must_use]
    pub fn with_tls(self, tls: Server) -> Self {
        Self { tls: Some(RwLock::new(tls)), ..self }
    }

    /// The same, and web pages of these origins may call.
    #[must_use]
    pub fn with_origins(self, origins: Vec<HeaderValue>) -> Self {
        Self { origins, ..self }
    }

    /// Whether web pages of this origin may call.
    pub(crate) fn lets_in(&self, origin: &HeaderValue) -> bool {
        self.origins.contains(origin)
    }

    /// The tokens that are known.
    pub fn tokens(&self) -> Arc<[Token]> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the next caller is shown, where callers are spoken to over TLS alone.
    pub(crate) fn tls(&self) -> Option<Server> {
        let tls = self.tls.as_ref()?;
        Some(tls.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(crate) const fn is_over_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// From now on this certificate is shown, and callers are known by its authority. Who is connected stays so.
    /// A door without TLS stays one.
    pub fn replace_tls(&self, server: Server) {
        if let Some(tls) = &self.tls {
            *tls.write().unwrap_or_else(PoisonError::into_inner) = server;
        }
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> Millis) -> Self {
        Self { clock, ..self }
    }

    /// From now on these tokens are known and no others.
    pub fn replace_tokens(&self, tokens: Vec<Token>) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens.into();
    }

    /// From now on this is what who reads must show. Answers what it was.
    pub fn replace_read(&self, gate: Gate) -> Gate {
        std::mem::replace(&mut *self.read.write().unwrap_or_else(PoisonError::into_inner), gate)
    }

    /// Whether everybody may read what the record holds.
    pub(crate) fn reading_is_open(&self) -> bool {
        self.read_gate() == Gate::Open
    }

    fn read_gate(&self) -> Gate {
        *self.read.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, scope: Scope) -> Gate {
        match scope {
            Scope::Public => Gate::Open,
            Scope::Submit => self.submit,
            Scope::Read | Scope::Metrics | Scope::Admin => self.read_gate(),
        }
    }

    /// The token of this digest. All are compared, each in constant time.
    fn find(&self, digest: &Digest) -> Option<Token> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = None;
        for token in tokens.iter() {
            if bool::from(token.sha256.as_bytes().ct_eq(digest.as_bytes())) {
                found = Some(token.clone());
            }
        }
        found
    }
}

fn wall_clock() -> Millis {
    // Before 1970 no clock is right: then nothing that ends has ended, and the doctor says why.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Who asks, as far as scopes care: what was shown, judged anew at each call.
#[derive(Clone)]
pub(crate) struct Caller {
    access: Arc<Access>,
    shown: Shown,
    came: Came,
}

/// How a caller came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Came {
    /// By the port.
    Plainly,
    /// By the port, and with a certificate by the authority of callers.
    Certified,
    /// By the Unix socket, which the operator alone may open: whoever can read the node's keys.
    ByTheOwnSocket,
}

#[derive(Clone, Copy)]
enum Shown {
    Nothing,
    /// The digest of a secret: the secret itself is not kept.
    Secret(Digest),
    /// Something that is the secret of no token.
    Nonsense,
}

impl Caller {
    /// Whoever sent these headers.
    pub(crate) fn of(access: &Arc<Access>, headers: &HeaderMap, came: Came) -> Self {
        Self { access: access.clone(), shown: shown(headers), came }
    }

    /// Whether what was shown, if anything, is a token that holds.
    pub(crate) fn identify(&self) -> Result<Option<Token>, RpcError> {
        let digest = match &self.shown {
            Shown::Nothing => return Ok(None),
            Shown::Nonsense => return Err(unauthenticated("what was shown is no token")),
            Shown::Secret(digest) => digest,
        };
        let Some(token) = self.access.find(digest) else {
            return Err(unauthenticated("this node knows no such token"));
        };
        match token.until {
            Some(until) if until <= (self.access.clock)() => {
                Err(unauthenticated(format_args!("the token {:?} ended at {until}", token.name)))
            }
            _ => Ok(Some(token)),
        }
    }

    /// Whether `what`, which is of this scope, is answered.
    pub(crate) fn may(&self, what: &str, scope: Scope) -> Result<(), RpcError> {
        if self.came == Came::ByTheOwnSocket {
            return Ok(());
        }
        match scope {
            Scope::Public => return Ok(()),
            Scope::Admin => {
                let message = format!("{what} is answered on the node's admin socket alone");
                return Err(RpcError::new(ErrorKind::Unauthorised, message)
                    .with_help("ask on the node's own machine, at rpc.admin_socket"));
            }
            Scope::Read | Scope::Submit | Scope::Metrics => {}
        }
        // A token that does not hold is said to be wrong even where none is needed.
        let token = self.identify()?;
        match self.access.gate(scope) {
            Gate::Open => return Ok(()),
            Gate::Mtls if self.came == Came::Certified => return Ok(()),
            Gate::Mtls => {
                let message = format!("{what} needs a certificate by the node's client authority");
                return Err(unauthenticated(message).with_help(
                    "show one with --client-cert and --client-key; the node's operator has the authority",
                ));
            }
            Gate::Bearer => {}
        }
        match token {
            Some(token) if token.scopes.contains(&scope) => Ok(()),
            Some(token) => {
                let name = token.name;
                let message = format!("{what} needs the scope {scope}, which {name:?} has not");
                Err(RpcError::new(ErrorKind::ScopeMissing, message))
            }
            None => {
                Err(unauthenticated(format_args!("{what} needs a token with the scope {scope}")))
            }
        }
    }
}

fn unauthenticated(message: impl std::fmt::Display) -> RpcError {
    RpcError::new(ErrorKind::Unauthenticated, message)
}

/// Another scheme than Bearer is for somebody else, a proxy perhaps.
fn shown(headers: &HeaderMap) -> Shown {
    let mut shown = Shown::Nothing;
    for header in headers.get_all(AUTHORIZATION) {
        let Some((scheme, rest)) = header.as_bytes().split_at_checked(7) else { continue };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            continue;
        }
        let secret = std::str::from_utf8(rest).ok().and_then(|text| Secret::parse(text.trim()));
        shown = match (shown, secret) {
            (Shown::Nothing, Some(secret)) => Shown::Secret(secret.digest()),
            // Two of them are none: who is meant?
            _ => Shown::Nonsense,
        };
    }
    shown
}
