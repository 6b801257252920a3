//! What the operator asks of the running node, on its own socket.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::views::TokensView;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::UnixListener;
use tracing::info;

use super::Serving;
use crate::causes::on_one_line;
use crate::config::read_tokens;

impl Serving {
    /// Reads the file of tokens again. Where that fails, what held before holds.
    pub(super) fn read_tokens_again(&self) -> Result<TokensView, RpcError> {
        let Some(path) = &self.tokens_file else {
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
