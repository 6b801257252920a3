//! The Cargo 2000 file: one consolidation a row, 98 columns, `?` where nothing is.
//!
//! Columns are `nr`, 24 for each of the legs `i1`, `i2`, `i3` and `o`, and `legs`. Effective durations
//! (`_e`) become shipments; planned ones (`_p`) are checked to be numbers and left out. A file that is
//! anything else is refused with the line and the column: a replay of half a file would be a lie.

use std::fs;
use std::path::Path;

use super::shipment::{Hop, Leg, PlaceCode, Shipment, Traffic};
use crate::failure::{Exit, Failure};

const LEGS: [&str; 4] = ["i1", "i2", "i3", "o"];
const HOPS_MAX: usize = 3;
/// Seven digits of an SSCC are a leg's.
const LEG_ID_MAX: u32 = 9_999_999;
/// Four digits of a GLN are a place's.
const PLACE_MAX: u16 = 9_999;
/// Bounds a mistake: the longest real duration is 389 days.
const MINUTES_MAX: u64 = 10 * 365 * 24 * 60;

/// Reads the Cargo 2000 file at `path`.
///
/// # Errors
/// When it cannot be read or is not of the published form.
pub fn load(path: &Path) -> Result<Traffic, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
    let shipments = parse(&bytes).map_err(|why| {
        let message = format!("{} is not the Cargo 2000 file: {why}", path.display());
        Failure::new(
            Exit::Integrity,
            "bad_c2k",
            message,
            "take the published file, comma-separated",
        )
    })?;
    let name = format!("Cargo 2000, {} shipments", shipments.len());
    Ok(Traffic { name, synthetic: false, shipments })
}

/// The shipments in the text of the file.
///
/// # Errors
/// When it is not of the published form; says where.
pub fn parse(bytes: &[u8]) -> Result<Vec<Shipment>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(bytes);
    let columns = columns();
    let header = reader.headers().map_err(|e| e.to_string())?;
    if let Some((i, (found, expected))) =
        header.iter().zip(&columns).enumerate().find(|(_, (found, expected))| found != expected)
    {
        return Err(format!("column {} is {found:?}, not {expected:?}", i + 1));
    }
    if header.len() != columns.len() {
        return Err(format!("{} columns, not {}", header.len(), columns.len()));
    }
    let mut shipments = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        // The published file ends in a row without values.
        if record.iter().skip(1).all(|cell| cell.is_empty() || cell == "?") {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { cells: &record, columns: &columns };
        shipments.push(row.shipment().map_err(|why| format!("line {line}: {why}"))?);
    }
    if shipments.is_empty() { Err("no shipment".to_owned()) } else { Ok(shipments) }
}

fn columns() -> Vec<String> {
    let mut columns = vec!["nr".to_owned()];
    for leg in LEGS {
        columns.extend(["legid", "rcs_p", "rcs_e"].map(|name| format!("{leg}_{name}")));
        for hop in 1..=HOPS_MAX {
            for milestone in ["dep", "rcf"] {
                let of = |end| format!("{leg}_{milestone}_{hop}_{end}");
                columns.extend(["p", "e", "place"].map(of));
            }
        }
        columns.extend(["dlv_p", "dlv_e", "hops"].map(|name| format!("{leg}_{name}")));
    }
    columns.push("legs".to_owned());
    columns
}

struct Row<'a> {
    cells: &'a csv::StringRecord,
    columns: &'a [String],
}

impl Row<'_> {
    fn shipment(&self) -> Result<Shipment, String> {
        let mut legs = Vec::new();
        for name in LEGS {
            legs.push(self.leg(name)?);
        }
        let outbound = legs.pop().flatten().ok_or("no outbound leg")?;
        let inbound: Vec<Leg> = legs.into_iter().flatten().collect();
        let claimed: usize = self.need("legs")?;
        if inbound.is_empty() || inbound.len() != claimed {
            return Err(format!("legs says {claimed}, {} inbound legs are there", inbound.len()));
        }
        Ok(Shipment { number: self.need("nr")?, inbound, outbound })
    }

    fn leg(&self, name: &str) -> Result<Option<Leg>, String> {
        let column = |end: &str| format!("{name}_{end}");
        let Some(id) = self.may::<u32>(&column("legid"))? else { return Ok(None) };
        if id > LEG_ID_MAX {
            return Err(format!("leg id {id} is above {LEG_ID_MAX}"));
        }
        let hops: usize = self.need(&column("hops"))?;
        if !(1..=HOPS_MAX).contains(&hops) {
            return Err(format!("{hops} hops in leg {name}"));
        }
        let mut leg = Leg {
            id,
            checked_in_after: self.minutes(&column("rcs"))?,
            hops: Vec::with_capacity(hops),
            delivered_after: self.minutes(&column("dlv"))?,
        };
        for k in 1..=HOPS_MAX {
            let (departed, received) = (column(&format!("dep_{k}")), column(&format!("rcf_{k}")));
            if k <= hops {
                leg.hops.push(Hop {
                    departed_after: self.minutes(&departed)?,
                    from: self.place(&departed)?,
                    received_after: self.minutes(&received)?,
                    to: self.place(&received)?,
                });
            } else if self.may::<u64>(&format!("{departed}_e"))?.is_some() {
                return Err(format!("{departed}_e is there, although leg {name} has {hops} hops"));
            }
        }
        Ok(Some(leg))
    }

    /// An effective duration; the planned one beside it must be a number too.
    fn minutes(&self, milestone: &str) -> Result<u64, String> {
        let _planned: u64 = self.need(&format!("{milestone}_p"))?;
        match self.need(&format!("{milestone}_e"))? {
            minutes if minutes > MINUTES_MAX => Err(format!("{milestone}_e is {minutes} minutes")),
            minutes => Ok(minutes),
        }
    }

    fn place(&self, milestone: &str) -> Result<PlaceCode, String> {
        match self.need(&format!("{milestone}_place"))? {
            code if code > PLACE_MAX => Err(format!("{milestone}_place is {code}")),
            code => Ok(PlaceCode(code)),
        }
    }

    fn need<T: std::str::FromStr>(&self, column: &str) -> Result<T, String> {
        self.may(column)?.ok_or_else(|| format!("{column} is missing"))
    }

    fn may<T: std::str::FromStr>(&self, column: &str) -> Result<Option<T>, String> {
        let at = self.columns.iter().position(|name| name == column);
        let cell = at.and_then(|at| self.cells.get(at)).unwrap_or("?");
        if cell == "?" || cell.is_empty() {
            return Ok(None);
        }
        cell.parse().map(Some).map_err(|_| format!("{column} is {cell:?}, not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of the published form, made up: two inbound legs, the first with a break in place.
    fn file(change: impl Fn(&str, String) -> String) -> Vec<u8> {
        let columns = columns();
        let value = |column: &str| {
            let hops = if column.starts_with("i1") { 2 } else { 1 };
            let absent = column.starts_with("i3")
                || (1..=3).any(|k| k > hops && column.contains(&format!("_{k}_")));
            match column {
                _ if absent => "?".to_owned(),
                "nr" => "7".to_owned(),
                "legs" => "2".to_owned(),
                "i1_dep_2_place" => "103".to_owned(),
                _ if column.ends_with("hops") => hops.to_string(),
                _ if column.ends_with("legid") => {
                    format!("{}", column.len() + column.as_bytes()[1] as usize)
                }
                _ if column.ends_with("place") => {
                    if column.contains("dep") { "101" } else { "102" }.to_owned()
                }
                _ => "60".to_owned(),
            }
        };
        let row: Vec<String> = columns.iter().map(|c| change(c, value(c))).collect();
        format!("{}\n{}\n", columns.join(","), row.join(",")).into_bytes()
    }

    #[test]
    fn a_row_becomes_a_shipment_with_its_break_in_place() {
        let shipments = parse(&file(|_, value| value)).unwrap();
        assert_eq!(shipments.len(), 1);
        assert_eq!(shipments[0].number, 7);
        assert_eq!(shipments[0].inbound.len(), 2);
        let breaks: Vec<usize> = shipments[0].legs().map(Leg::breaks).collect();
        assert_eq!(breaks, [1, 0, 0]);
        assert_eq!(shipments[0].inbound[0].hops[1].from, PlaceCode(103));
    }

    #[test]
    fn a_row_that_contradicts_itself_is_refused_with_its_line() {
        for (column, cell, why) in [
            ("legs", "3", "line 2: legs says 3, 2 inbound legs are there"),
            ("o_dlv_e", "?", "line 2: o_dlv_e is missing"),
            ("i1_rcs_e", "soon", "line 2: i1_rcs_e is \"soon\", not a number"),
            ("i2_hops", "4", "line 2: 4 hops in leg i2"),
            ("i2_dep_3_e", "5", "line 2: i2_dep_3_e is there, although leg i2 has 1 hops"),
            ("o_dep_1_place", "70000", "line 2: o_dep_1_place is \"70000\", not a number"),
        ] {
            let file = file(|c, value| if c == column { cell.to_owned() } else { value });
            assert_eq!(parse(&file), Err(why.to_owned()));
        }
        assert_eq!(parse(b"a,b\n1,2\n"), Err("column 1 is \"a\", not \"nr\"".to_owned()));
    }
}
