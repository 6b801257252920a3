//! Pages and cursors.
//!
//! A cursor is opaque to callers: they hand back what they were given. Here it is a feed's name and
//! the position to read next, so a cursor of one feed is refused by another. Positions never move,
//! because the log only grows; a cursor stays good for as long as the network lives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Entries in a page where the caller names no limit.
pub const PAGE_LIMIT_DEFAULT: u16 = 100;

/// Entries in a page at most.
pub const PAGE_LIMIT_MAX: u16 = 1_000;

/// Where a page is cut although it holds fewer entries than asked for: bytes of its events.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const CURSOR_BYTES_MAX: usize = 64;

/// Where to go on reading.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// Before the first entry of any feed.
    pub fn start() -> Self {
        Self("start".to_owned())
    }

    /// In the feed `feed`, before the entry at `next`.
    pub fn at(feed: &str, next: u64) -> Self {
        Self(format!("{feed}.{next}"))
    }

    /// The position to read next; `None` where the cursor belongs to another feed.
    pub fn next_in(&self, feed: &str) -> Option<u64> {
        if self.0 == "start" {
            return Some(0);
        }
        self.0.strip_prefix(feed)?.strip_prefix('.')?.parse().ok()
    }

    /// The text to hand back.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if (1..=CURSOR_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Ok(Self(text.to_owned()));
        }
        Err("not a cursor that a node gave out".to_owned())
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How many entries a page may hold: 1 to 1,000.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PageLimit(u16);

impl PageLimit {
    /// A limit, when it is one.
    pub const fn new(entries: u64) -> Option<Self> {
        if entries >= 1 && entries <= PAGE_LIMIT_MAX as u64 {
            Some(Self(entries as u16))
        } else {
            None
        }
    }

    /// The number of entries.
    pub const fn entries(self) -> usize {
        self.0 as usize
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(PAGE_LIMIT_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for PageLimit {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let entries = u64::deserialize(from)?;
        Self::new(entries).ok_or_else(|| {
            serde::de::Error::custom(format_args!("a page holds 1 to {PAGE_LIMIT_MAX} entries"))
        })
    }
}

#[cfg(test)]
impl schemars::JsonSchema for PageLimit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PageLimit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": 1, "maximum": PAGE_LIMIT_MAX, "default": PAGE_LIMIT_DEFAULT,
        })
    }
}

/// In which order entries come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// One page. It may hold fewer entries than asked for and still have a successor.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next page begins. On the last page of a feed that still grows: where it will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
    /// Whether there is a next page now.
    pub has_next_page: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_only_good_for_its_own_feed() {
        let cursor = Cursor::at("event", 7);
        assert_eq!(cursor.next_in("event"), Some(7));
        assert_eq!(cursor.next_in("block"), None);
        assert_eq!(Cursor::at("events", 7).next_in("event"), None);
        assert_eq!(Cursor::start().next_in("block"), Some(0));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn a_limit_is_1_to_1000() {
        for (json, limit) in
            [("1", Some(1)), ("1000", Some(1000)), ("0", None), ("1001", None), ("-1", None)]
        {
            let read = serde_json::from_str::<PageLimit>(json).ok().map(PageLimit::entries);
            assert_eq!(read, limit, "{json}");
        }
    }
}
