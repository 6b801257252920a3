//! The interface described in its own terms: an OpenRPC document, checked in and served.
//!
//! It is generated from the method table, the error table and the types by a test, which fails when
//! the file differs; `UPDATE=1` writes it anew. Subscriptions, which OpenRPC has no word for, are
//! described under `x-subscription`.

/// The document.
pub const OPENRPC: &str = include_str!("../openrpc.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
    use serde_json::{Map, Value, json};

    use super::OPENRPC;
    use crate::errors::{ErrorData, ErrorKind};
    use crate::methods::{
        DISCOVER, ERRORS_OF_EVERY_CALL, ERRORS_OF_SCOPES, METHODS, Method, schemas,
    };
    use crate::scope::Scope;

    /// The document that the tables and types make.
    fn generate() -> Value {
        let settings = SchemaSettings::draft07()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        let mut generator = settings.into_generator();
        let schemas = schemas(&mut generator);
        assert_eq!(schemas.len(), METHODS.len());
        let mut methods: Vec<Value> = METHODS
            .iter()
            .zip(schemas)
            .map(|(method, schemas)| describe(method, schemas))
            .collect();
        methods.push(json!({
            "name": DISCOVER,
            "summary": "Tells this document.",
            "paramStructure": "by-name",
            "params": [],
            "result": { "name": "document", "schema": { "type": "object" } },
            "errors": errors(&[], Scope::Public),
            "x-scope": Scope::Public.as_str(),
        }));
        json!({
            "openrpc": "1.3.2",
            "info": {
                "title": "Consign",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Custody of packages, recorded by those who hold them. \
                    Parameters are by name. An error's data.kind is stable, its code is coarse.",
                "license": { "name": "Apache-2.0" },
            },
            "methods": methods,
            "components": { "schemas": components(&mut generator), "errors": all_errors() },
        })
    }

    fn describe(method: &Method, (params, answer): (Schema, Schema)) -> Value {
        let mut described = json!({
            "name": method.name,
            "summary": method.summary,
            "paramStructure": "by-name",
            "params": parameters(&params),
            "result": { "name": "answer", "schema": answer },
            "errors": errors(method.errors, method.scope),
            "x-scope": method.scope.as_str(),
        });
        if let Some(feed) = method.feed {
            described["result"] = json!({
                "name": "subscription", "schema": { "type": ["string", "integer"] },
            });
            described["x-subscription"] = json!({
                "notification": feed.notification,
                "unsubscribe": feed.unsubscribe,
                "transport": "websocket",
                "schema": answer,
            });
        }
        described
    }

    /// One content descriptor for each property, required ones first, as OpenRPC asks.
    fn parameters(params: &Schema) -> Vec<Value> {
        let properties = params.get("properties").and_then(Value::as_object);
        let required: BTreeSet<&str> = (params.get("required").and_then(Value::as_array))
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut described: Vec<Value> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let needed = required.contains(name.as_str());
                json!({ "name": name, "required": needed, "schema": schema })
            })
            .collect();
        described.sort_by_key(|parameter| parameter["required"] != json!(true));
        described
    }

    fn errors(own: &[ErrorKind], scope: Scope) -> Vec<Value> {
        let scopes = if scope == Scope::Public { &[] } else { ERRORS_OF_SCOPES };
        let every = ERRORS_OF_EVERY_CALL.iter().chain(scopes).filter(|kind| !own.contains(kind));
        let reference = |kind: &ErrorKind| json!({ "$ref": format!("#/components/errors/{kind}") });
        own.iter().chain(every).map(reference).collect()
    }

    fn all_errors() -> Map<String, Value> {
        let sent = ErrorKind::ALL.iter().filter(|kind| kind.is_sent());
        sent.map(|kind| {
            let data = json!({
                "kind": kind.as_str(), "retryable": kind.retryable(), "help": kind.help(),
            });
            let error = json!({ "code": kind.code(), "message": kind.as_str(), "data": data });
            (kind.as_str().to_owned(), error)
        })
        .collect()
    }

    fn components(generator: &mut SchemaGenerator) -> Value {
        let _ = generator.subschema_for::<ErrorData>();
        Value::Object(generator.take_definitions(true))
    }

    #[test]
    fn the_document_is_what_tables_and_types_make() {
        let generated = generate();
        if std::env::var_os("UPDATE").is_some() {
            let mut text = serde_json::to_string_pretty(&generated).expect("a JSON value");
            text.push('\n');
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openrpc.json");
            std::fs::write(path, text).expect("the document can be written");
            return;
        }
        let checked_in: Value = serde_json::from_str(OPENRPC).expect("the document is JSON");
        assert!(
            checked_in == generated,
            "openrpc.json is out of date: run this test with UPDATE=1"
        );
    }

    /// A reference that leads nowhere would break every generator of clients.
    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str));
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(OPENRPC).expect("the document is JSON");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
