//! What the operator asks of the running node, on its own socket or by a signal.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::server::{Access, Gate};
use consign_rpc::views::TokensView;
use consign_types::genesis::Params;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::UnixListener;
use tracing::{info, warn};

use crate::config::{Doors, TlsProblem, read_tokens};
use consign_types::causes::on_one_line;

/// Who is let in at the port, and where that is read again while the node runs.
pub struct Entrance {
    /// What holds now.
    pub(super) access: Arc<Access>,
    doors: Doors,
}

impl Entrance {
    pub(super) fn of(doors: &Doors, params: &Params) -> Self {
        let entrance = Self { access: Arc::new(doors.access(params)), doors: doors.clone() };
        entrance.say_if_narrowed(params);
        entrance
    }

    /// From now on who reads shows what the members agreed on, unless the configuration asks for more.
    pub fn follow(&self, params: &Params) {
        let gate = self.doors.read_gate(params.open_reading);
        if self.access.replace_read(gate) != gate {
            info!(code = "rpc.read.changed", gate = ?gate);
            self.say_if_narrowed(params);
        }
    }

    fn say_if_narrowed(&self, params: &Params) {
        if self.doors.read == Some(Gate::Open) && !params.open_reading {
            warn!(
                code = "rpc.read.narrowed",
                error = "rpc.read is \"open\", and members decided that reading is not: tokens are asked for",
                help = "write \"bearer\" or \"mtls\", or leave it out"
            );
        }
    }

    /// Reads the file of tokens again. Where that fails, what held before holds.
    pub(super) fn read_tokens_again(&self) -> Result<TokensView, RpcError> {
        let Some(path) = &self.doors.tokens_file else {
            let message = "the configuration names no rpc.tokens_file";
            return Err(RpcError::new(ErrorKind::Unsupported, message)
                .with_help("name one, and start the node again"));
        };
        let tokens = read_tokens(path)
            .map_err(|e| RpcError::new(ErrorKind::BadConfiguration, on_one_line(&e)))?;
        let view = TokensView::of(&tokens);
        self.access.replace_tokens(tokens);
        info!(code = "rpc.tokens.reloaded", tokens = view.tokens.len());
        Ok(view)
    }

    /// Reads certificates and tokens again, whichever the configuration names, and says in the log what
    /// came of it. Where one cannot be used, what held before holds. Connections that are open stay so.
    pub fn read_again(&self) {
        if let Some(tls) = &self.doors.tls {
            match tls.files.read() {
                Ok(tls) => {
                    self.access.replace_tls(tls.server);
                    info!(code = "rpc.certificate.reloaded");
                }
                Err(problems) => {
                    for TlsProblem { what, mend, .. } in problems {
                        warn!(code = "rpc.certificate.kept", error = what, help = mend);
                    }
                }
            }
        }
        if self.doors.tokens_file.is_some()
            && let Err(error) = self.read_tokens_again()
        {
            warn!(code = "rpc.tokens.kept", error = %error);
        }
    }
}

/// Opens the socket at `path`, which only this user can use. One that a former process left is replaced; one that
/// somebody answers on is not.
///
/// # Errors
/// When it is in use, or cannot be made.
pub fn open_socket(path: &Path) -> io::Result<UnixListener> {
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // From its first moment on nobody else can open it.
    let before = umask(Mode::XUSR | Mode::RWXG | Mode::RWXO);
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}
