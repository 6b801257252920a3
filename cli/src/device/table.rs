//! The table of devices to enrol, read as a whole.
//!
//! ```csv
//! label,claim,class,kinds,places,units
//! dock7,consign1dev-...,scanner,scans handovers,414/9521321000018,00 bic
//! ```
//!
//! `key` and `possession`, in hexadecimal, may stand in for `claim`. Lists in a cell are separated by spaces.
//! Every wrong cell is named, with its line and column.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use consign_types::causes::on_one_line;
use consign_types::claim::{Claim, DeviceClass};
use consign_types::digest::NetworkId;
use consign_types::es256;
use consign_types::event::{Subject, possession_message};
use consign_types::key::Signature;
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::SignerKey;

use super::scope::Scope;
use crate::failure::Failure;
use crate::instant;

const COLUMNS: [&str; 9] =
    ["label", "claim", "key", "possession", "class", "kinds", "places", "units", "until"];
/// Bytes of a table.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Wrong cells that are named; the others are counted.
const NAMED_MAX: usize = 50;

/// A device to enrol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Where it stands, from 1.
    pub line: u64,
    /// Its whole name.
    pub device: SignerId,
    /// Its key.
    pub key: SignerKey,
    /// That it holds the key.
    pub possession: Signature,
    /// What it may sign.
    pub scope: Scope,
}

/// A cell that means nothing.
struct Wrong {
    line: u64,
    column: &'static str,
    why: String,
}

/// Reads the table in a file.
///
/// # Errors
/// When the file cannot be read, or anything in it means nothing: each place is named.
pub fn read(path: &Path, network: NetworkId, party: &PartyId) -> Result<Vec<Row>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|e| Failure::file("read", path, e))?;
    let name = path.display();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("{name} has more than {FILE_BYTES_MAX} bytes");
        return Err(Failure::usage("bad_table", message, "split the table"));
    }
    rows(&bytes, network, party).map_err(|why| {
        let lines: Vec<String> =
            why.iter().take(NAMED_MAX).map(|why| format!("{name}:{why}")).collect();
        let more = why.len().saturating_sub(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
        let message =
            format!("{} wrong places, nothing was sent\n{}{more}", why.len(), lines.join("\n"));
        Failure::usage("bad_table", message, "mend the table; see docs/operating/devices.md")
    })
}

fn rows(bytes: &[u8], network: NetworkId, party: &PartyId) -> Result<Vec<Row>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|e| vec![format!("1: {e}")])?.clone();
    let unknown = |name: &&str| !COLUMNS.contains(name);
    if let Some(name) = header.iter().find(unknown) {
        return Err(vec![format!(
            "1: no column is called {name:?}; known are {}",
            COLUMNS.join(", ")
        )]);
    }
    let mut places = BTreeMap::new();
    for (at, name) in header.iter().enumerate() {
        if places.insert(name.to_owned(), at).is_some() {
            return Err(vec![format!("1: column {name} stands there twice")]);
        }
    }
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    let (mut names, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                wrong.push(format!("{line}: {error}"));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cells = Cells { line, record: &record, places: &places };
        match cells.row(network, party) {
            Ok(row) => {
                let name = names.insert(row.device.clone(), line).map(|first| ("label", first));
                let key = keys.insert(row.key, line).map(|first| ("key", first));
                for (column, first) in name.into_iter().chain(key) {
                    wrong.push(format!("{line}: column {column}: the same as in line {first}"));
                }
                rows.push(row);
            }
            Err(Wrong { line, column, why }) => {
                wrong.push(format!("{line}: column {column}: {why}"))
            }
        }
    }
    if rows.is_empty() && wrong.is_empty() {
        wrong.push("1: the table has no rows".to_owned());
    }
    if wrong.is_empty() { Ok(rows) } else { Err(wrong) }
}

struct Cells<'a> {
    line: u64,
    record: &'a csv::StringRecord,
    places: &'a BTreeMap<String, usize>,
}

impl Cells<'_> {
    fn row(&self, network: NetworkId, party: &PartyId) -> Result<Row, Wrong> {
        let label = self.cell("label");
        let named = |label: &str| SignerId::device(party.clone(), label);
        let named = label.map(named).transpose().map_err(|e| self.wrong("label", e))?;
        let class = self.cell("class").map(str::parse::<DeviceClass>).transpose();
        let class = class.map_err(|e| self.wrong("class", e))?;
        let (device, key, possession, claimed) = match self.cell("claim") {
            Some(text) => self.claimed(text, network, party, named)?,
            None => self.keyed(network, named)?,
        };
        let class = class.or(claimed);
        if class.is_none() && self.cell("kinds").is_none() {
            return Err(self.wrong("kinds", "neither kinds nor a class is given"));
        }
        let (kinds, places, units) = (self.list("kinds"), self.list("places"), self.list("units"));
        // Without a class there are kinds: which class is usual does not matter then.
        let scope = Scope::parse(kinds, places, units, class.unwrap_or(DeviceClass::Office))
            .map_err(|bad| self.wrong(bad.list, bad.why))?;
        let until = self.cell("until").map(instant::parse).transpose();
        let until = until.map_err(|why| self.wrong("until", why))?;
        let scope = Scope { until, ..scope };
        Ok(Row { line: self.line, device, key, possession, scope })
    }

    fn claimed(
        &self,
        text: &str,
        network: NetworkId,
        party: &PartyId,
        named: Option<SignerId>,
    ) -> Result<(SignerId, SignerKey, Signature, Option<DeviceClass>), Wrong> {
        if self.cell("key").or(self.cell("possession")).is_some() {
            return Err(
                self.wrong("claim", "a claim holds key and possession; give one or the other")
            );
        }
        let claim: Claim = text.parse().map_err(|e| self.wrong("claim", on_one_line(&e)))?;
        let device = claim.device().clone();
        if claim.network() != network {
            return Err(self.wrong("claim", format!("it is for network {}", claim.network())));
        }
        if device.party() != party {
            return Err(
                self.wrong("claim", format!("it is of {device}, not of a device of {party}"))
            );
        }
        if let Some(named) = named.filter(|named| *named != device) {
            return Err(self.wrong("claim", format!("it is of {device}, not of {named}")));
        }
        Ok((device, claim.key(), claim.possession(), Some(claim.class())))
    }

    fn keyed(
        &self,
        network: NetworkId,
        named: Option<SignerId>,
    ) -> Result<(SignerId, SignerKey, Signature, Option<DeviceClass>), Wrong> {
        let missing =
            |column| self.wrong(column, "neither a claim nor key and possession is given");
        let key = self.cell("key").ok_or_else(|| missing("claim"))?;
        let key: SignerKey = key.parse().map_err(|e| self.wrong("key", e))?;
        let possession = self.cell("possession").ok_or_else(|| missing("possession"))?;
        let possession: Signature = possession.parse().map_err(|e| self.wrong("possession", e))?;
        let device = named.ok_or_else(|| self.wrong("label", "it is missing"))?;
        let message = possession_message(network, &Subject::Signer(device.clone()), &key);
        // Few signing libraries choose between the two forms of a signature; an enrolment holds the lower.
        let possession = match key {
            SignerKey::P256(_) => es256::lowered(&possession),
            SignerKey::Ed25519(_) => possession,
        };
        let held = key.verify(&message, &possession);
        held.map_err(|_| {
            self.wrong("possession", format!("it does not show that {device} holds the key"))
        })?;
        Ok((device, key, possession, None))
    }

    fn cell(&self, column: &str) -> Option<&str> {
        let cell = self.record.get(*self.places.get(column)?)?;
        (!cell.is_empty()).then_some(cell)
    }

    fn list(&self, column: &str) -> impl Iterator<Item = &str> {
        self.cell(column).unwrap_or_default().split_whitespace()
    }

    fn wrong(&self, column: &'static str, why: impl ToString) -> Wrong {
        Wrong { line: self.line, column, why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use consign_types::digest::Digest;
    use consign_types::key::SecretKey;
    use consign_types::time::Millis;

    use super::*;

    fn network() -> NetworkId {
        NetworkId(Digest::of(&[b"a network"]))
    }

    fn key(name: &str) -> SecretKey {
        SecretKey::from_seed(Digest::of(&[name.as_bytes()]).0)
    }

    fn claim(device: &str) -> Claim {
        Claim::new(network(), device.parse().unwrap(), DeviceClass::Sensor, &key(device)).unwrap()
    }

    fn read(table: &str) -> Result<Vec<Row>, Vec<String>> {
        rows(table.as_bytes(), network(), &"handler".parse().unwrap())
    }

    #[test]
    fn a_row_is_a_claim_or_a_key_with_its_possession() {
        let (one, other) = (claim("handler.dock7"), claim("handler.dock8"));
        let (key, possession) = (other.key(), other.possession());
        let table = format!(
            "label,claim,key,possession,class,kinds,places,units,until\n\
             dock7,{one},,,,,,,\n\
             dock8,,{key},{possession},,arrive  depart,414/9521321000018,00 bic,2030-01-01T00:00:00Z\n"
        );
        let scope = |kinds: &[&str], places: &[&str], units: &[&str]| {
            let (kinds, places, units) =
                (kinds.iter().copied(), places.iter().copied(), units.iter().copied());
            Scope::parse(kinds, places, units, DeviceClass::Sensor).unwrap()
        };
        let row = |line, claim: &Claim, scope| Row {
            line,
            device: claim.device().clone(),
            key: claim.key(),
            possession: claim.possession(),
            scope,
        };
        let second = scope(&["arrive", "depart"], &["414/9521321000018"], &["00", "bic"]);
        let second = Scope { until: Some(Millis(1_893_456_000_000)), ..second };
        assert_eq!(
            read(&table),
            Ok(vec![row(2, &one, scope(&[], &[], &[])), row(3, &other, second)])
        );
        // The claim holds the name.
        assert_eq!(
            read(&format!("claim\n{one}\n")).map(|rows| rows[0].device.to_string()),
            Ok("handler.dock7".to_owned())
        );
    }

    #[test]
    fn each_wrong_cell_is_named_by_line_and_column() {
        let good = claim("handler.dock7");
        let foreign = claim("airline.gate");
        let (key, possession) = (good.key(), good.possession());
        let table = format!(
            "label,claim,key,possession,class,kinds,places,units\n\
             dock7,{good},,,,,,\n\
             dock7,{good},,,,,,\n\
             Dock8,,{key},{possession},scanner,,,\n\
             dock8,,{key},{possession},scanner,,,\n\
             dock9,consign1dev-AAAA,,,,,,\n\
             gate,{foreign},,,,,,\n\
             dock10,,,,scanner,,,\n\
             dock7,{good},,,drone,,,\n\
             dock7,{good},,,,fly,,\n\
             dock7,{good},,,,arrive,414/1,\n\
             dock7,{good},,,,arrive,,box\n\
             dock7,,{key},{possession},,,,\n\
             short,row\n"
        );
        let wrong = read(&table).unwrap_err().join("\n").replace(&foreign.to_string(), "CLAIM");
        insta::assert_snapshot!(wrong);
    }

    #[test]
    fn a_table_of_other_columns_or_without_rows_is_refused_at_once() {
        assert_eq!(
            read("label,colour\n").unwrap_err()[0],
            "1: no column is called \"colour\"; known are label, claim, key, possession, class, kinds, places, units, until"
        );
        assert_eq!(read("label,label\n").unwrap_err(), ["1: column label stands there twice"]);
        assert_eq!(read("label,claim\n").unwrap_err(), ["1: the table has no rows"]);
    }
}
