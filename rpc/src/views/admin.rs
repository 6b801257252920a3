//! What a node tells its operator.

use consign_types::digest::Digest;
use serde::{Deserialize, Serialize};

use super::text::{Moment, Text};
use crate::token::Token;

/// The tokens that the node knows, in the order of its file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokensView {
    /// The tokens.
    pub tokens: Vec<TokenView>,
}

/// A token, without its secret, which the node does not know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of its secret.
    pub sha256: Text<Digest>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The first instant at which it allows nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

impl TokensView {
    /// Of these tokens.
    pub fn of(tokens: &[Token]) -> Self {
        let view = |token: &Token| TokenView {
            name: token.name.clone(),
            sha256: token.sha256.into(),
            scopes: token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            until: token.until.map(Into::into),
        };
        Self { tokens: tokens.iter().map(view).collect() }
    }
}
