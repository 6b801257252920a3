//! Who is let in at the RPC port: gates, tokens, and certificates.
//!
//! What cannot be kept is refused: a gate that asks for what the node has no way to check, or one that is
//! wider than the members agreed on.

use std::path::PathBuf;

use consign_rpc::server::{Access, Gate, HeaderValue};
use consign_rpc::token::Token;
use consign_types::genesis::{Genesis, Params};

use super::Reader;
use super::problem::Problem;
use super::tls::{Tls, TlsFiles};
use super::tokens::read_tokens;
use super::values::Value;
use consign_types::causes::on_one_line;

/// Bytes of a path at which there can be a Unix socket.
const SOCKET_BYTES_MAX: usize = 107;

const GATES: &str = "write \"open\", \"bearer\" or \"mtls\"";

/// Who is let in.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// What who reads must show; where nobody says so here, what the members agreed on.
    pub read: Option<Gate>,
    /// What who submits must show, beside the signature of each event.
    pub submit: Gate,
    /// The file of the tokens, where there is one.
    pub tokens_file: Option<PathBuf>,
    /// What it held when the configuration was read.
    pub tokens: Vec<Token>,
    /// TLS, where the node has a certificate.
    pub tls: Option<Tls>,
    /// Origins whose web pages may call.
    pub origins: Vec<HeaderValue>,
}

impl Doors {
    /// What who reads must show where the members agreed that everybody may, or that not everybody may.
    ///
    /// What they agreed on holds where nobody says anything, and against whoever says less.
    pub const fn read_gate(&self, open: bool) -> Gate {
        match (self.read, open) {
            (None, true) => Gate::Open,
            (None | Some(Gate::Open), false) => Gate::Bearer,
            (Some(gate), _) => gate,
        }
    }

    /// For the server, where the members agreed on this.
    pub fn access(&self, params: &Params) -> Access {
        let read = self.read_gate(params.open_reading);
        let access = Access::new(read, self.submit, self.tokens.clone());
        let access = access.with_origins(self.origins.clone());
        match &self.tls {
            Some(tls) => access.with_tls(tls.server.clone()),
            None => access,
        }
    }
}

/// Scheme, host, and a port where it is not the usual one: as browsers write them, and they are compared.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(part))
}

impl Reader {
    pub(super) fn doors(&mut self, genesis: Option<&Genesis>) -> Option<Doors> {
        let tokens_file = self.path("rpc.tokens_file");
        let tokens = tokens_file.as_deref().map_or(Ok(Vec::new()), read_tokens);
        let tokens =
            tokens.map_err(|e| self.values.refuse("rpc.tokens_file", on_one_line(&e), e.mend()));
        let tls = self.tls();
        let read = self.read_gate(genesis);
        let submit = self.gate("rpc.submit");
        for (name, gate) in [("rpc.read", read.flatten()), ("rpc.submit", submit)] {
            self.check_gate(name, gate);
        }
        let origins = self.origins();
        let tokens = tokens.ok()?;
        Some(Doors { read: read?, submit: submit?, tokens_file, tokens, tls: tls?, origins })
    }

    /// The origins of a list, those that are none noted and left out.
    fn origins(&mut self) -> Vec<HeaderValue> {
        let name = "rpc.cors_origins";
        let Some((Value::Texts(texts), _)) = self.values.get(name).cloned() else {
            return Vec::new();
        };
        let mut origins = Vec::new();
        for (text, place) in texts {
            match HeaderValue::from_str(&text) {
                Ok(origin) if is_origin(&text) => origins.push(origin),
                _ => {
                    let mend =
                        "write it as a browser does: https://track.airline.example, without a path";
                    self.values.refuse_at(place, format!("{name}: {text:?} is no origin"), mend);
                }
            }
        }
        origins
    }

    /// The operator's socket: where one can be.
    pub(super) fn admin_socket(&mut self) -> Option<PathBuf> {
        let path = self.path("rpc.admin_socket")?;
        let bytes = path.as_os_str().len();
        if bytes > SOCKET_BYTES_MAX {
            let what = format!("rpc.admin_socket: {} has {bytes} bytes", path.display());
            let mend = format!("choose a path of at most {SOCKET_BYTES_MAX} bytes");
            self.values.refuse("rpc.admin_socket", what, mend);
            return None;
        }
        if !path.parent().is_some_and(std::path::Path::is_dir) {
            let what = format!("rpc.admin_socket: there is no directory for {}", path.display());
            self.values.refuse("rpc.admin_socket", what, "make it, or name another");
            return None;
        }
        Some(path)
    }

    /// A gate that was set asks for what the node can check.
    fn check_gate(&mut self, name: &str, gate: Option<Gate>) {
        let (word, needed, mend) = match gate {
            Some(Gate::Bearer) => (
                "bearer",
                "rpc.tokens_file",
                "make one with `consign token new --into`, and name it in rpc.tokens_file",
            ),
            Some(Gate::Mtls) => (
                "mtls",
                "rpc.client_ca",
                "name the certificate of the authority by which callers are known in rpc.client_ca",
            ),
            Some(Gate::Open) | None => return,
        };
        // Of a value that was refused, it is not said that it is missing too.
        let said = |problem: &Problem| problem.what.starts_with(&format!("{needed} "));
        let is_set = |name: &str| self.values.get(name).is_some();
        if is_set(name) && !is_set(needed) && !self.values.problems().iter().any(said) {
            let what = format!("{name} is \"{word}\", and there is no {needed}");
            self.values.refuse(name, what, mend);
        }
    }

    /// The gate that is set, or none; the outer `None` is a problem that was noted. A gate that is wider than
    /// the genesis says is refused here; one that is wider than what members decided later is not opened.
    fn read_gate(&mut self, genesis: Option<&Genesis>) -> Option<Option<Gate>> {
        let open = genesis.is_none_or(|genesis| genesis.params().open_reading);
        if self.values.get("rpc.read").is_none() {
            return Some(None);
        }
        let gate = self.gate("rpc.read")?;
        if gate == Gate::Open && !open {
            let what = "rpc.read is \"open\", and the genesis says that reading is not";
            self.values.refuse("rpc.read", what, "write \"bearer\" or \"mtls\", or leave it out");
            return None;
        }
        Some(Some(gate))
    }

    fn gate(&mut self, name: &str) -> Option<Gate> {
        let (text, place) = self.text(name)?;
        match text.as_str() {
            "open" => Some(Gate::Open),
            "bearer" => Some(Gate::Bearer),
            "mtls" => Some(Gate::Mtls),
            _ => {
                self.values.refuse_at(place, format!("{name} is {text:?}"), GATES);
                None
            }
        }
    }

    /// TLS, or nothing where nobody asks for it; none is a problem that was noted.
    fn tls(&mut self) -> Option<Option<Tls>> {
        let (cert, key) = (self.path("rpc.tls_cert"), self.path("rpc.tls_key"));
        for (name, other) in [
            ("rpc.tls_cert", "rpc.tls_key"),
            ("rpc.tls_key", "rpc.tls_cert"),
            ("rpc.client_ca", "rpc.tls_cert"),
        ] {
            if self.values.get(name).is_some() && self.values.get(other).is_none() {
                let what = format!("{name} is set, and {other} is not");
                self.values.refuse(name, what, format!("set {other}, or take {name} out"));
                return None;
            }
        }
        let (Some(cert), Some(key)) = (cert, key) else { return Some(None) };
        match (TlsFiles { cert, key, callers: self.path("rpc.client_ca") }).read() {
            Ok(tls) => Some(Some(tls)),
            Err(problems) => {
                for problem in problems {
                    self.values.refuse(problem.setting, problem.what, problem.mend);
                }
                None
            }
        }
    }
}
