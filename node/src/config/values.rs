//! From a file, the environment and the command line to one value for each setting, with its place.
//!
//! A later layer wins: default, file, environment (`CONSIGN__RPC__LISTEN`), command line (`--set
//! rpc.listen=...`). Peers come from the file alone. What is unknown or of the wrong type is noted and left
//! out; this module knows nothing of what a value means.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Place, Problem};
use super::settings::{Kind, PEER, SECTIONS, SETTINGS, Setting, Unset, named};

const PREFIX: &str = "CONSIGN__";
const FILE_BYTES_MAX: usize = 1 << 20;

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file.
    pub file: PathBuf,
    /// Names and values of the environment; those that do not begin with `CONSIGN__` are not looked at.
    pub environment: Vec<(String, String)>,
    /// Names and values of the command line.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// A file alone.
    pub fn file(path: &Path) -> Self {
        Self { file: path.to_owned(), ..Self::default() }
    }
}

/// The value of a setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A text or a path.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// Texts, each with its place.
    Texts(Vec<(String, Place)>),
}

/// Every setting that has a value, by name; the settings of peer 0 are `p2p.peer[0].party` and so on.
#[derive(Debug, Default)]
pub struct Values {
    file: PathBuf,
    found: BTreeMap<String, (Value, Place)>,
    sections: BTreeMap<String, Place>,
    peers: usize,
    problems: Vec<Problem>,
}

impl Values {
    /// Reads all layers.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML. Everything else is noted.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let whole = Place::File(sources.file.clone(), None);
        let only = |place, what, mend: &str| {
            ConfigError::new(vec![Problem { place, what, mend: mend.to_owned() }])
        };
        let bytes = fs::read(&sources.file).map_err(|e| {
            only(
                whole.clone(),
                format!("cannot read it: {e}"),
                "name the node's file with --config",
            )
        })?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(only(
                whole,
                "it is above 1 MiB".to_owned(),
                "name the node's file with --config",
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            only(whole, "it is no text in UTF-8".to_owned(), "name the node's file with --config")
        })?;
        let lines = Lines { text: &text, file: &sources.file };
        let document = DeTable::parse(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            // The parser's own display shows the line, which may hold what nobody should read.
            only(
                lines.place(at),
                format!("not TOML: {}", e.message().replace('\n', ", ")),
                "mend the line",
            )
        })?;
        let mut values = Self { file: sources.file.clone(), ..Self::default() };
        values.read_document(&lines, document.get_ref());
        for (variable, value) in &sources.environment {
            if let Some(rest) = variable.strip_prefix(PREFIX) {
                let name = rest.to_ascii_lowercase().replace("__", ".");
                values.read_text(&name, value, Place::Environment(variable.clone()));
            }
        }
        for (name, value) in &sources.flags {
            values.read_text(name, value, Place::Flag(name.clone()));
        }
        values.fill_in();
        Ok(values)
    }

    /// The setting's value.
    pub fn get(&self, name: &str) -> Option<&(Value, Place)> {
        self.found.get(name)
    }

    /// Every setting that has a value: name, value, place.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value, &Place)> {
        self.found.iter().map(|(name, (value, place))| (name.as_str(), value, place))
    }

    /// How many peers there are.
    pub const fn peers(&self) -> usize {
        self.peers
    }

    /// What was noted.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Notes a problem at the place of the setting `name`.
    pub fn refuse(&mut self, name: &str, what: impl Into<String>, mend: impl Into<String>) {
        let whole = || Place::File(self.file.clone(), None);
        let place = self.found.get(name).map_or_else(whole, |(_, place)| place.clone());
        self.refuse_at(place, what, mend);
    }

    /// Notes a problem.
    pub fn refuse_at(&mut self, place: Place, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(Problem { place, what: what.into(), mend: mend.into() });
    }

    fn read_document(&mut self, lines: &Lines<'_>, document: &DeTable<'_>) {
        for (section, value) in document {
            let place = lines.place(section.span().start);
            let section = section.get_ref().as_ref();
            if !SECTIONS.contains(&section) {
                let mend = format!("the sections are {}", SECTIONS.join(", "));
                self.refuse_at(place, format!("{section} is no section"), mend);
            } else if let Some(table) = value.get_ref().as_table() {
                self.sections.insert(section.to_owned(), place);
                self.read_table(lines, section, section, table);
            } else {
                self.refuse_at(
                    place,
                    format!("{section} is no table"),
                    format!("write it as [{section}]"),
                );
            }
        }
    }

    /// Reads the settings of one table: `schema` is its name in the list of settings, `own` its name here.
    fn read_table(&mut self, lines: &Lines<'_>, schema: &str, own: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let place = lines.place(key.span().start);
            let key = key.get_ref().as_ref();
            if format!("{schema}.{key}") == PEER {
                self.read_peers(lines, place, value.get_ref());
            } else if let Some(setting) = named(&format!("{schema}.{key}")) {
                match typed(lines, setting, value) {
                    Ok(value) => self.keep(format!("{own}.{key}"), value, place, setting),
                    Err((place, what)) => {
                        self.refuse_at(place, format!("{own}.{key} {what}"), setting.wanted());
                    }
                }
            } else {
                self.refuse_unknown(place, schema, key);
            }
        }
    }

    fn read_peers(&mut self, lines: &Lines<'_>, place: Place, value: &DeValue<'_>) {
        let tables = value.as_array().map(|array| array.iter().collect::<Vec<_>>());
        let tables = tables.filter(|tables| tables.iter().all(|t| t.get_ref().is_table()));
        let Some(tables) = tables else {
            self.refuse_at(
                place,
                format!("{PEER} is no list of tables"),
                "begin each peer with [[p2p.peer]]",
            );
            return;
        };
        self.peers = tables.len();
        for (i, table) in tables.into_iter().enumerate() {
            let own = format!("{PEER}[{i}]");
            self.sections.insert(own.clone(), lines.place(table.span().start));
            if let Some(table) = table.get_ref().as_table() {
                self.read_table(lines, PEER, &own, table);
            }
        }
    }

    /// A value of the environment or the command line, which have texts alone.
    fn read_text(&mut self, name: &str, text: &str, place: Place) {
        if name.starts_with(PEER) {
            let mend = "write [[p2p.peer]] in the file";
            return self.refuse_at(place, "peers are set in the file alone", mend);
        }
        let Some(setting) = named(name) else {
            let (section, key) = name.split_once('.').unwrap_or(("", name));
            return self.refuse_unknown(place, section, key);
        };
        let value = match setting.kind {
            Kind::Text | Kind::Path => Some(Value::Text(text.to_owned())),
            Kind::Flag => text.parse().ok().map(Value::Flag),
            Kind::Number { .. } => text.parse().ok().map(Value::Number),
            Kind::Texts => {
                let texts = text.split(',').filter(|text| !text.is_empty());
                Some(Value::Texts(texts.map(|text| (text.to_owned(), place.clone())).collect()))
            }
        };
        match value {
            Some(value) => self.keep(name.to_owned(), value, place, setting),
            None => self.refuse_at(place, format!("{name} is {text:?}"), setting.wanted()),
        }
    }

    fn keep(&mut self, name: String, value: Value, place: Place, setting: &Setting) {
        match (&value, setting.kind) {
            (Value::Number(number), Kind::Number { min, max, .. })
                if !(min..=max).contains(number) =>
            {
                self.refuse_at(place, format!("{name} is {number}"), setting.wanted());
            }
            (Value::Text(text), _) if text.is_empty() => {
                self.refuse_at(place, format!("{name} is empty"), setting.wanted());
            }
            _ => {
                self.found.insert(name, (value, place));
            }
        }
    }

    /// What nobody set: the default, or a problem where there is none.
    fn fill_in(&mut self) {
        let peers = (0..self.peers).map(|i| format!("{PEER}[{i}]"));
        let tables: Vec<(&str, String)> = SECTIONS
            .into_iter()
            .map(|section| (section, section.to_owned()))
            .chain(peers.map(|own| (PEER, own)))
            .collect();
        for (schema, own) in tables {
            for setting in &SETTINGS {
                let Some((table, key)) = setting.name.rsplit_once('.') else { continue };
                let name = format!("{own}.{key}");
                if table != schema || self.found.contains_key(&name) {
                    continue;
                }
                let value = match setting.unset {
                    Unset::Nothing => continue,
                    Unset::Refused => {
                        self.refuse_missing(&own, &name, setting);
                        continue;
                    }
                    Unset::Flag(flag) => Value::Flag(flag),
                    Unset::Number(number) => Value::Number(number),
                    Unset::Text(text) => Value::Text(text.to_owned()),
                };
                self.found.insert(name, (value, Place::Default));
            }
        }
    }

    fn refuse_missing(&mut self, own: &str, name: &str, setting: &Setting) {
        // Of a value that was refused, it is not said that it is missing too.
        let refused = |problem: &Problem| problem.what.starts_with(&format!("{name} "));
        if self.problems.iter().any(refused) {
            return;
        }
        let whole = Place::File(self.file.clone(), None);
        let (place, below) = match self.sections.get(own) {
            Some(place) => (place.clone(), String::new()),
            None => (whole, format!(" under [{own}]")),
        };
        self.refuse_at(place, format!("{name} is missing"), format!("{}{below}", setting.wanted()));
    }

    fn refuse_unknown(&mut self, place: Place, schema: &str, key: &str) {
        let of_table = SETTINGS.iter().filter_map(|setting| setting.name.rsplit_once('.'));
        let mut known: Vec<&str> =
            of_table.filter(|(table, _)| *table == schema).map(|(_, key)| key).collect();
        if PEER.strip_suffix("peer") == Some(&format!("{schema}.")) {
            known.push("peer");
        }
        let name = if schema.is_empty() { key.to_owned() } else { format!("{schema}.{key}") };
        let mend = match nearest(key, &known) {
            _ if known.is_empty() => format!("the sections are {}", SECTIONS.join(", ")),
            Some(near) => format!("did you mean {schema}.{near}?"),
            None => format!("{schema} has {}", known.join(", ")),
        };
        self.refuse_at(place, format!("{name} is no setting"), mend);
    }
}

/// The key that begins most alike, where half of it does: a wrong unit or plural is at the end.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let alike = |other: &str| key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let best = known.iter().copied().max_by_key(|other| alike(other))?;
    (2 * alike(best) >= key.len().min(best.len())).then_some(best)
}

/// Where a byte of the file stands.
struct Lines<'t> {
    text: &'t str,
    file: &'t Path,
}

impl Lines<'_> {
    fn place(&self, at: usize) -> Place {
        let before = self.text.as_bytes().iter().take(at);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Place::File(self.file.to_owned(), Some(line))
    }
}

fn typed(
    lines: &Lines<'_>,
    setting: &Setting,
    spanned: &Spanned<DeValue<'_>>,
) -> Result<Value, (Place, String)> {
    let place = lines.place(spanned.span().start);
    let value = spanned.get_ref();
    let found = match setting.kind {
        Kind::Text | Kind::Path => value.as_str().map(|text| Value::Text(text.to_owned())),
        Kind::Flag => value.as_bool().map(Value::Flag),
        Kind::Number { .. } => value
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
            .map(Value::Number),
        Kind::Texts => {
            let items = value.as_array().ok_or_else(|| (place.clone(), described(value)))?;
            let texts = items.iter().map(|item| {
                let place = lines.place(item.span().start);
                let text = item.get_ref().as_str().map(str::to_owned);
                let holds =
                    || (place.clone(), format!("holds {}", &described(item.get_ref())[3..]));
                text.ok_or_else(holds).map(|text| (text, place.clone()))
            });
            return Ok(Value::Texts(texts.collect::<Result<_, _>>()?));
        }
    };
    found.ok_or_else(|| (place, described(value)))
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("is the text {text:?}"),
        DeValue::Integer(number) => format!("is {}", number.as_str()),
        DeValue::Float(number) => format!("is {}", number.as_str()),
        DeValue::Boolean(flag) => format!("is {flag}"),
        DeValue::Datetime(_) => "is a time".to_owned(),
        DeValue::Array(_) => "is a list".to_owned(),
        DeValue::Table(_) => "is a table".to_owned(),
    }
}
