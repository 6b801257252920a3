//! The effective configuration: each setting, its value, and who set it.
//!
//! No setting holds a secret: keys and passphrases lie in files, which are named here and never opened.

use serde_json::{Value as Json, json};

use super::problem::{ConfigError, Place};
use super::values::{Sources, Value, Values};

/// A setting as it is in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    /// `section.key`; peers are counted from 0.
    pub name: String,
    /// What holds.
    pub value: Value,
    /// Who set it.
    pub place: Place,
}

/// The settings in force, by name. What they point to is not looked at.
///
/// # Errors
/// When a setting is unknown, missing or of the wrong type.
pub fn effective(sources: &Sources) -> Result<Vec<Effective>, ConfigError> {
    let values = Values::read(sources)?;
    if !values.problems().is_empty() {
        return Err(ConfigError::new(values.problems().to_vec()));
    }
    let one = |(name, value, place): (&str, &Value, &Place)| Effective {
        name: name.to_owned(),
        value: value.clone(),
        place: place.clone(),
    };
    Ok(values.iter().map(one).collect())
}

impl Effective {
    /// `name = value  # place`, as in a file.
    pub fn line(&self) -> String {
        format!("{} = {}  # {}", self.name, json_of(&self.value), self.place)
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let mut object = json!({
            "name": self.name,
            "value": json_of(&self.value),
        });
        let (source, detail) = match &self.place {
            Place::Default => ("default", None),
            Place::File(path, line) => {
                object["line"] = json!(line);
                ("file", Some(path.display().to_string()))
            }
            Place::Environment(variable) => ("environment", Some(variable.clone())),
            Place::Flag(name) => ("flag", Some(name.clone())),
        };
        object["source"] = json!(source);
        object["where"] = json!(detail);
        object
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Flag(flag) => json!(flag),
        Value::Number(number) => json!(number),
        Value::Texts(texts) => texts.iter().map(|(text, _)| json!(text)).collect(),
    }
}
