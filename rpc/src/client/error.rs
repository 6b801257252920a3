//! Why a call gave no answer: the node refused, or there was no node to be understood.

use jsonrpsee::core::client::Error as LibraryError;

use consign_types::causes::on_one_line;

use crate::errors::{ErrorKind, RpcError};

/// A call that gave no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// What went wrong: the stable word.
    pub kind: ErrorKind,
    /// The JSON-RPC number; 0 for what only a client can find.
    pub code: i32,
    /// One sentence.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What to do.
    pub help: String,
    /// What else the node said, where it was the node that refused.
    pub answer: Option<Box<RpcError>>,
}

impl ClientError {
    /// The stable code of the rule that refused an event.
    pub fn rule(&self) -> Option<&str> {
        self.answer.as_ref()?.code.as_deref()
    }

    /// Milliseconds to wait before trying again.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.answer.as_ref()?.retry_after_ms
    }

    /// A failure that the client found itself.
    pub(crate) fn found(kind: ErrorKind, message: String) -> Self {
        let answer = None;
        Self { answer, ..RpcError::new(kind, message).into() }
    }

    /// An answer that means nothing.
    pub(crate) fn bad_answer(message: String) -> Self {
        Self::found(ErrorKind::BadAnswer, message)
    }

    /// What the library reports of a call to `url`.
    pub(crate) fn of(url: &str, error: &LibraryError) -> Self {
        match error {
            LibraryError::Call(object) => RpcError::from(object).into(),
            LibraryError::RequestTimeout => {
                Self::found(ErrorKind::TimedOut, format!("{url} did not answer in time"))
            }
            LibraryError::Transport(cause) => match refused_with(cause.as_ref()) {
                // The node is there, and is full.
                Some(429 | 503) => {
                    Self::found(ErrorKind::Busy, format!("{url} has no room for another caller"))
                }
                Some(413) => {
                    Self::found(ErrorKind::RequestTooLarge, format!("{url} takes no body so long"))
                }
                Some(status) => Self::bad_answer(format!("{url} answered HTTP status {status}")),
                None => Self::found(
                    ErrorKind::Unreachable,
                    format!("cannot reach {url}: {}", on_one_line(cause.as_ref())),
                ),
            },
            LibraryError::RestartNeeded(cause) => {
                let message = format!("the connection to {url} broke off: {cause}");
                Self::found(ErrorKind::Unreachable, message)
            }
            other => Self::bad_answer(format!("cannot understand {url}: {other}")),
        }
    }
}

impl From<RpcError> for ClientError {
    fn from(error: RpcError) -> Self {
        Self {
            kind: error.kind,
            code: error.kind.code(),
            message: error.message.to_string(),
            retryable: error.retryable,
            help: error.help.to_string(),
            answer: Some(Box::new(error)),
        }
    }
}

/// Whether the way there or back was cut, rather than the call turned away.
pub(crate) fn broke_off(error: &LibraryError) -> bool {
    matches!(error, LibraryError::Transport(cause) if refused_with(cause.as_ref()).is_none())
}

/// Whether a WebSocket was not opened for what was shown, or not shown.
pub(crate) fn turned_away(error: &LibraryError) -> bool {
    use jsonrpsee::client_transport::ws::WsHandshakeError;
    let LibraryError::Transport(cause) = error else { return false };
    let handshake = cause.downcast_ref::<WsHandshakeError>();
    matches!(handshake, Some(WsHandshakeError::Rejected { status_code: 401 }))
}

/// The HTTP status by which a call was turned away, where it was.
fn refused_with(cause: &(dyn std::error::Error + 'static)) -> Option<u16> {
    use jsonrpsee::http_client::transport::Error as HttpError;
    match cause.downcast_ref::<HttpError>()? {
        HttpError::Rejected { status_code } => Some(*status_code),
        _ => None,
    }
}
