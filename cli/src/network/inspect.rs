//! What a genesis file says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use serde::Serialize;

use super::params::readers;
use crate::console::Report;
use crate::failure::{Exit, Failure};

/// A genesis, to be looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inspected {
    network: String,
    origin: String,
    time: String,
    time_ms: u64,
    members: Vec<InspectedMember>,
    validators: Vec<InspectedValidator>,
    quorum: usize,
    faults: usize,
    block_interval_ms: u32,
    contest_window_ms: u64,
    return_window_ms: u64,
    open_reading: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InspectedMember {
    party: String,
    key: String,
    authority: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InspectedValidator {
    party: String,
    consensus_key: String,
    cosigner_key: String,
    network_key: String,
}

/// Reads the genesis in the file at `path`.
///
/// # Errors
/// When the file cannot be read, or holds no genesis.
pub fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
    Genesis::from_bytes(&bytes).map_err(|e| {
        let message = format!("{} holds no genesis: {e}", path.display());
        Failure::new(
            Exit::Integrity,
            "bad_genesis",
            message,
            "ask a member for the network's genesis",
        )
    })
}

pub(super) fn inspect(path: &Path) -> Result<Inspected, Failure> {
    Ok(of(&read_genesis(path)?))
}

fn of(genesis: &Genesis) -> Inspected {
    let (set, params) = (genesis.validators(), genesis.params());
    Inspected {
        network: genesis.network().to_string(),
        origin: genesis.origin().to_owned(),
        time: genesis.time().to_string(),
        time_ms: genesis.time().0,
        members: genesis
            .members()
            .iter()
            .map(|m| InspectedMember {
                party: m.party.to_string(),
                key: m.key.to_string(),
                authority: m.authority,
            })
            .collect(),
        validators: set
            .validators()
            .iter()
            .map(|v| InspectedValidator {
                party: v.party.to_string(),
                consensus_key: v.consensus_key.to_string(),
                cosigner_key: v.cosigner_key.to_string(),
                network_key: v.network_key.to_string(),
            })
            .collect(),
        quorum: set.quorum(),
        faults: set.faults(),
        block_interval_ms: params.block_interval_ms,
        contest_window_ms: params.contest_window_ms,
        return_window_ms: params.return_window_ms,
        open_reading: params.open_reading,
    }
}

impl Report for Inspected {
    fn text(&self) -> String {
        let mut text = format!(
            "network     {}\norigin      {}\ntime        {}\n",
            self.network, self.origin, self.time
        );
        let _ = writeln!(text, "reading     {}", readers(self.open_reading));
        let _ =
            writeln!(text, "interval    {} ms between blocks when busy", self.block_interval_ms);
        let _ = writeln!(
            text,
            "contest     {} ms that a spent basis contests the present one",
            self.contest_window_ms
        );
        let _ = writeln!(
            text,
            "return      {} ms after a delivery for its taker to return",
            self.return_window_ms
        );
        let _ = writeln!(
            text,
            "validators  {}; a quorum is {}, {} may be faulty",
            self.validators.len(),
            self.quorum,
            self.faults
        );
        for member in &self.members {
            let runs = self.validators.iter().any(|v| v.party == member.party);
            let role = match (runs, member.authority) {
                (true, true) => "validator, authority",
                (true, false) => "validator",
                (false, true) => "authority",
                (false, false) => "member",
            };
            let _ = writeln!(text, "  {:<12} {role:<21} key {}", member.party, member.key);
        }
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::genesis::{Member, Params};
    use consign_types::key::SecretKey;
    use consign_types::time::Millis;
    use consign_types::validator::{Validator, ValidatorSet};

    #[test]
    fn a_genesis_reads_as_its_members_and_its_fault_bound() {
        let key = |seed: u8| SecretKey::from_seed([seed; 32]).public();
        let names = ["airline", "consignee", "forwarder", "handler"];
        let member = |(i, name): (u8, &str)| Member {
            party: name.parse().unwrap(),
            key: key(i),
            authority: name == "handler",
        };
        let validator = |(i, name): (u8, &str)| Validator {
            party: name.parse().unwrap(),
            consensus_key: key(10 + i),
            cosigner_key: key(20 + i),
            network_key: key(30 + i),
        };
        let members = (0..).zip(names).map(member).collect();
        let set = ValidatorSet::new((0..).zip(names).map(validator).collect()).unwrap();
        let time = Millis(1_700_000_000_000);
        let genesis =
            Genesis::new("devnet.example/consign", time, members, set, Params::default()).unwrap();
        insta::assert_snapshot!(of(&genesis).text());
    }
}
