//! Which units the ledger flags for a place discontinuity, as the nodes tell.

use std::sync::Arc;
use std::time::Duration;

use consign_types::unit::UnitId;
use tokio::task::JoinSet;

use super::conductor::Nodes;
use super::plan::Plan;
use crate::failure::Failure;
use crate::node::failure;

/// Calls that are on their way to one node at once.
const CALLS_AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The units of `plan` that were ever seen to depart from where they had not arrived, by number.
///
/// # Errors
/// When a node does not answer.
pub(super) async fn flagged(nodes: &Nodes, plan: &Plan) -> Result<Vec<String>, Failure> {
    // Proven on one node is not yet committed on all: wait for the slowest.
    let mut size = 0;
    for node in nodes.values() {
        size = size.max(node.status().await?.size);
    }
    for node in nodes.values() {
        node.until(PATIENCE, "the last block", |status| status.size >= size).await?;
    }

    let units: Arc<[UnitId]> = plan.units.keys().cloned().collect();
    let mut tasks = JoinSet::new();
    let askers = nodes.len() * CALLS_AT_ONCE;
    for asker in 0..askers {
        let Some(node) = nodes.values().nth(asker % nodes.len()).cloned() else { continue };
        let units = units.clone();
        tasks.spawn(async move {
            let mut flagged = Vec::new();
            for unit in units.iter().skip(asker).step_by(askers) {
                let view = node.client().unit(unit.clone(), None).await;
                let view = view.map_err(|e| failure(node.url(), e))?;
                if view.counters.own.discontinuities > 0 {
                    flagged.push(unit.to_string());
                }
            }
            Ok::<_, Failure>(flagged)
        });
    }
    let mut flagged = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let panicked = |e| Failure::operational("defect", e, "report this as a defect");
        flagged.extend(done.map_err(panicked)??);
    }
    flagged.sort_unstable();
    Ok(flagged)
}
