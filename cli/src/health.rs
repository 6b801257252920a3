//! `consign health`: whether nodes are well, in a line each.

use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::Failure;
use crate::node::{Node, urls, within};

#[derive(Serialize)]
struct Health {
    nodes: Vec<NodeHealth>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeHealth {
    node: String,
    ready: bool,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven_size: Option<u64>,
}

/// Carries out `consign health`.
///
/// # Errors
/// When a node is not well.
pub async fn run(console: &Console, global: &Global) -> Result<(), Failure> {
    let mut nodes = Vec::new();
    for url in urls(global) {
        nodes.push(ask(global, url).await?);
    }
    let unwell = nodes.iter().find(|node| !node.ready).map(|node| node.sentence.clone());
    console.result(&Health { nodes })?;
    match unwell {
        None => Ok(()),
        Some(why) => {
            Err(Failure::operational("not_ready", why, "look at the node's log, and at its peers"))
        }
    }
}

async fn ask(global: &Global, url: String) -> Result<NodeHealth, Failure> {
    let node = Node::named(global, &url)?;
    Ok(match within(global.patience(), node.status()).await {
        Err(failure) => NodeHealth {
            node: url,
            ready: false,
            sentence: failure.message,
            party: None,
            height: None,
            size: None,
            proven_size: None,
        },
        Ok(status) => {
            let why = status.not_ready.or(status.quarantine);
            NodeHealth {
                node: url,
                ready: why.is_none(),
                sentence: why.unwrap_or(status.validators.sentence),
                party: Some(status.party.to_string()),
                height: Some(status.height),
                size: Some(status.size),
                proven_size: Some(status.proven_size),
            }
        }
    })
}

impl Report for Health {
    fn text(&self) -> String {
        let line = |node: &NodeHealth| {
            let state = if node.ready { "ready" } else { "NOT READY" };
            let party = node.party.as_deref().unwrap_or("?");
            let height = node.height.map_or("?".to_owned(), |height| height.to_string());
            format!("{state:<10}{party:<12}{}  height {height}  {}", node.node, node.sentence)
        };
        self.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
