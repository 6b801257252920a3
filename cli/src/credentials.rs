//! What the command line has to show nodes, and whom it believes: tokens, certificates, authorities.

use std::fs;
use std::path::Path;

use consign_rpc::client::Credentials;
use consign_rpc::tls::{Chain, Client, Key, TlsError};
use consign_rpc::token::Secret;

use consign_types::causes::on_one_line;

use crate::args::Global;
use crate::failure::Failure;
use crate::keys::read_private;

/// Bytes of a file of secrets.
const SECRETS_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a file in PEM.
const PEM_BYTES_MAX: usize = 1 << 20;

/// Everything for the node at `url`.
///
/// # Errors
/// When a file cannot be read, or does not hold what it should.
pub fn credentials(global: &Global, url: &str) -> Result<Credentials, Failure> {
    Ok(Credentials { token: token_for(global, url)?, tls: tls(global)? })
}

/// For a node that the command line does not name, but something that was read: a secret goes there only where the
/// file of tokens says so itself.
///
/// # Errors
/// As [`credentials`].
pub fn credentials_of_another(global: &Global, url: &str) -> Result<Credentials, Failure> {
    Ok(Credentials { token: tokens_for(global, url)?.own, tls: tls(global)? })
}

fn tls(global: &Global) -> Result<Option<Client>, Failure> {
    let authorities = global.ca.as_deref().map(certificates).transpose()?;
    let own = match (&global.client_cert, &global.client_key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let pem = read_private(key, "key", PEM_BYTES_MAX)?;
            let opened = Key::from_pem(pem.as_bytes()).map_err(|e| unusable(key, &e))?;
            Some((certificates(cert)?, opened))
        }
        (cert, _) => {
            let lacks = if cert.is_some() { "--client-key" } else { "--client-cert" };
            let message = format!("there is no {lacks}");
            let help = "a certificate is shown with its key: --client-cert FILE --client-key FILE";
            return Err(Failure::usage("half_certificate", message, help));
        }
    };
    if authorities.is_none() && own.is_none() {
        return Ok(None);
    }
    let file = global.client_cert.as_ref().or(global.ca.as_ref());
    let path = file.map_or(Path::new(""), |path| path);
    Client::new(authorities.as_ref(), own).map(Some).map_err(|e| unusable(path, &e))
}

fn certificates(path: &Path) -> Result<Chain, Failure> {
    let pem = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
    Chain::from_pem(&pem).map_err(|e| unusable(path, &e))
}

fn unusable(path: &Path, error: &TlsError) -> Failure {
    let message = format!("{}: {}", path.display(), on_one_line(error));
    Failure::usage("bad_certificate", message, "name certificates and their key in PEM")
}

/// The secret for the node at `url` in `--token-file`.
///
/// A line is a secret, which is shown to every node that is named, or the address of a node and the secret
/// that is shown to it alone.
///
/// # Errors
/// When the file cannot be read, others may read it, or a line is neither.
pub fn token_for(global: &Global, url: &str) -> Result<Option<Secret>, Failure> {
    let tokens = tokens_for(global, url)?;
    Ok(tokens.own.or(tokens.common))
}

/// What a file of tokens has for one node.
#[derive(Default)]
struct Tokens {
    /// On a line with its address.
    own: Option<Secret>,
    /// For every node that is named.
    common: Option<Secret>,
}

fn tokens_for(global: &Global, url: &str) -> Result<Tokens, Failure> {
    let Some(path) = &global.token_file else { return Ok(Tokens::default()) };
    let text = read_private(path, "token", SECRETS_BYTES_MAX)?;
    let url = url.trim_end_matches('/');
    let mut tokens = Tokens::default();
    for (line, at) in text.lines().zip(1..) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (whose, secret) = match words[..] {
            [] => continue,
            [secret] => (None, Secret::parse(secret)),
            [node, secret] => (Some(node.trim_end_matches('/')), Secret::parse(secret)),
            _ => (None, None),
        };
        let Some(secret) = secret else {
            let message = format!("line {at} of {} is no token", path.display());
            let help = "write what `consign token new` printed; before it, where you like, a node's address";
            return Err(Failure::usage("token_format", message, help));
        };
        match whose {
            None => tokens.common = Some(secret),
            Some(node) if node == url => tokens.own = Some(secret),
            Some(_) => {}
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;
    use crate::durable;

    /// An invitation says where its request goes: whoever made it is not sent the secret for other nodes by that.
    #[test]
    fn a_node_that_the_command_line_does_not_name_is_shown_its_own_token_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let [common, own] = [[1; 32], [2; 32]].map(|random| Secret::of(&random));
        let text = format!("{}\nhttp://airline:9101 {}\n", common.reveal(), own.reveal());
        durable::create(&path, text.as_bytes()).unwrap();
        let line = ["consign", "--token-file", path.to_str().unwrap(), "health"];
        let global = Cli::parse_from(line).global;
        let [airline, handler] = ["http://airline:9101", "http://handler:9101"];
        let named = [airline, handler].map(|url| credentials(&global, url).unwrap().token);
        assert!(named == [Some(own.clone()), Some(common)]);
        let other =
            [airline, handler].map(|url| credentials_of_another(&global, url).unwrap().token);
        assert!(other == [Some(own), None]);
    }
}
