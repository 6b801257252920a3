//! Parameters: JSON becomes a checked value, or an error that names the parameter.

use jsonrpsee::types::Params;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::errors::RpcError;

/// Reads by-name parameters. None at all is as good as an empty object.
pub(crate) fn read<P: DeserializeOwned>(params: &Params<'_>) -> Result<P, RpcError> {
    let text = params.as_str().map_or("{}", str::trim);
    let text = if matches!(text, "[]" | "null") { "{}" } else { text };
    if text.starts_with('[') {
        let message = "parameters are taken by name, in an object, not by position";
        return Err(RpcError::invalid_params("params", message));
    }
    serde_json::from_str(text).map_err(|error| explain::<P>(text, &error))
}

/// An error of serde names a field only where it is missing or unknown. Where a value is wrong, the
/// field is found by leaving one out after the other: without the wrong one, another error comes.
fn explain<P: DeserializeOwned>(text: &str, error: &serde_json::Error) -> RpcError {
    let sentence = sentence(error);
    if let Some(field) = quoted(&sentence) {
        return RpcError::invalid_params(&field, sentence);
    }
    let values: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    // Unknown names were answered above, so there are no more values than a method has parameters.
    let culprit = values.keys().take(8).find(|name| {
        let mut rest = values.clone();
        rest.remove(*name);
        match serde_json::from_value::<P>(Value::Object(rest)) {
            Ok(_) => true,
            Err(error) => quoted(&error.to_string()).is_some_and(|missing| missing == **name),
        }
    });
    let field = culprit.map_or("params", String::as_str);
    RpcError::invalid_params(field, format_args!("{field}: {sentence}"))
}

/// Without the position, which is one in our text rather than in the caller's.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(sentence, _)| sentence.to_owned())
}

/// The name in "missing field `name`", "unknown field `name`" and "duplicate field `name`".
fn quoted(sentence: &str) -> Option<String> {
    let (about, rest) = sentence.split_once(" field `")?;
    if !matches!(about, "missing" | "unknown" | "duplicate") {
        return None;
    }
    let (name, _) = rest.split_once('`')?;
    Some(name.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{GetBlocks, GetUnit, Nothing};

    fn field<P: DeserializeOwned>(text: &'static str) -> Option<Box<str>> {
        read::<P>(&Params::new(Some(text))).err().and_then(|error| error.field)
    }

    #[test]
    fn an_error_names_the_parameter() {
        assert_eq!(field::<GetUnit>(r#"{"unitId":"s10/RB123456785GB"}"#), None);
        assert_eq!(
            field::<GetUnit>(r#"{"unitId":"s10/RB123456784GB"}"#).as_deref(),
            Some("unitId")
        );
        assert_eq!(field::<GetUnit>(r#"{"unit":"s10/RB123456785GB"}"#).as_deref(), Some("unit"));
        assert_eq!(field::<GetUnit>("{}").as_deref(), Some("unitId"));
        let height = r#"{"unitId":"s10/RB123456785GB","atHeight":-1}"#;
        assert_eq!(field::<GetUnit>(height).as_deref(), Some("atHeight"));
        assert_eq!(field::<GetBlocks>(r#"{"order":"asc","limit":0}"#).as_deref(), Some("limit"));
        assert_eq!(field::<GetBlocks>(r#"{"limit":1,"limit":1}"#).as_deref(), Some("limit"));
        assert_eq!(field::<GetUnit>(r#"["s10/RB123456785GB"]"#).as_deref(), Some("params"));
    }

    #[test]
    fn no_parameters_are_an_empty_object() {
        assert!(read::<Nothing>(&Params::new(None)).is_ok());
        assert_eq!(field::<Nothing>("[]"), None);
        assert_eq!(field::<Nothing>("null"), None);
    }
}
