//! The examples load, the published schema is current and agrees with them, and what it calls a default is one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::{Path, PathBuf};

use mantlet_config::{Settings, Transport, json_schema, load, parse};
use serde_json::{Map, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn lookup(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/ada".to_owned()),
        "CRM_KEY" | "FILES_API_KEY" => Some("k3y".to_owned()),
        _ => None,
    }
}

fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.len() >= 5, "only {} examples found", found.len());
    found
}

fn example(name: &str) -> Settings {
    load(&root().join("examples").join(name), &lookup).unwrap_or_else(|diagnosis| panic!("{diagnosis}"))
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&json_schema()).unwrap()
}

fn as_json(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn every_example_loads() {
    for (name, text) in examples() {
        parse(&text, &name, &lookup).unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
    }
}

#[test]
fn every_example_is_valid_by_the_schema() {
    let validator = validator();
    for (name, text) in examples() {
        let problems: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn the_first_example_is_six_lines_and_means_what_it_says() {
    let (_, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "first.yaml")
        .unwrap();
    assert_eq!(text.lines().count(), 6);
    let settings = example("first.yaml");
    assert_eq!(settings.listen.address.to_string(), "127.0.0.1:8300");
    assert!(!settings.identity.anonymous);
    let server = &settings.servers[0];
    assert_eq!(
        (server.name.as_str(), server.rules.name.as_str()),
        ("files", "files")
    );
    assert_eq!(server.rules.allow.as_ref().unwrap().tools, ["read_*", "list_*"]);
    let Transport::Command(line) = &server.transport else {
        panic!("not a command")
    };
    assert_eq!(line.argv.last().map(String::as_str), Some("/srv/data"));
}

#[test]
fn servers_stay_in_the_order_of_the_file() {
    let names: Vec<String> = example("several-servers.yaml")
        .servers
        .into_iter()
        .map(|server| server.name)
        .collect();
    assert_eq!(names, ["files", "git", "memory"]);
}

#[test]
fn a_key_from_the_environment_reaches_its_header() {
    let settings = example("remote.yaml");
    let Transport::Http(crm) = &settings.servers[0].transport else {
        panic!("not a URL")
    };
    assert_eq!(crm.headers["authorization"].expose(), "Bearer k3y");
    assert!(
        !format!("{settings:#?}").contains("k3y"),
        "what a reference fetched is not shown"
    );
}

#[test]
fn the_example_of_everything_has_every_key() {
    let (_, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "everything.yaml")
        .unwrap();
    let schema = json_schema();
    let mut missing = Vec::new();
    absent(&schema, &schema, &[&as_json(&text)], "", &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a schema refers to, and of a choice of schemas the one that has keys.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let named = |schema: &'a Value| match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let schema = named(schema);
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut choices = choices.into_iter().flatten().map(named);
    choices
        .find(|choice| choice.get("properties").is_some())
        .unwrap_or(schema)
}

/// The keys of a schema that none of these values have.
fn absent(root: &Value, schema: &Value, values: &[&Value], way: &str, missing: &mut Vec<String>) {
    let schema = resolved(root, schema);
    for (key, inner) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let found: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
        let way = format!("{way}/{key}");
        if found.is_empty() {
            missing.push(way);
        } else {
            absent(root, inner, &found, &way, missing);
        }
    }
    if let Some(inner @ Value::Object(_)) = schema.get("additionalProperties") {
        let found: Vec<&Value> = values
            .iter()
            .filter_map(|value| value.as_object())
            .flat_map(Map::values)
            .collect();
        absent(root, inner, &found, &format!("{way}/*"), missing);
    }
}

#[test]
fn what_the_schema_calls_a_default_is_the_default() {
    let schema = json_schema();
    let said: Map<String, Value> = ["listen", "identity", "limits", "timeouts", "audit"]
        .into_iter()
        .map(|section| {
            (
                section.to_owned(),
                stated(&schema, &schema["properties"][section]),
            )
        })
        .collect();
    let mut said = Value::Object(said);
    assert_eq!(
        said["limits"].as_object().unwrap().len(),
        8,
        "every limit states its default"
    );
    let mut server = stated(&schema, &schema["properties"]["servers"]["additionalProperties"]);
    server.as_object_mut().unwrap().remove("transport");
    let url =
        serde_json::json!({ "servers": { "web": { "url": "https://a.example/", "transport": "auto" } } });
    server["command"] = serde_json::json!(["run"]);
    said["servers"] = serde_json::json!({ "it": server });

    let plain = parse("servers: { it: { command: [run] } }", "plain", &lookup).unwrap();
    let stated =
        parse(&said.to_string(), "stated", &lookup).unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
    assert_eq!(plain, stated);

    let plain = parse(
        "servers: { web: { url: 'https://a.example/' } }",
        "plain",
        &lookup,
    )
    .unwrap();
    let stated = parse(&url.to_string(), "stated", &lookup).unwrap();
    assert_eq!(plain, stated);
}

/// The stated defaults of an object, and of the objects in it that state some.
fn stated(root: &Value, schema: &Value) -> Value {
    let schema = resolved(root, schema);
    let mut found = Map::new();
    for (key, inner) in schema["properties"].as_object().unwrap() {
        if let Some(default) = inner.get("default") {
            found.insert(key.clone(), default.clone());
        } else if resolved(root, inner)
            .get("properties")
            .is_some_and(|all| all.to_string().contains("\"default\""))
        {
            found.insert(key.clone(), stated(root, inner));
        }
    }
    Value::Object(found)
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/mantlet.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == current,
        "run this test with UPDATE=1 and commit `schema/mantlet.schema.json`"
    );
}

#[test]
fn every_key_is_described() {
    let schema = json_schema();
    let types = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for object in types {
        for (key, inner) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let description = inner
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            assert!(
                description.len() > 10 && !description.contains('\n'),
                "{key}: {description:?}"
            );
        }
    }
}

#[test]
fn a_value_is_not_null_by_the_schema_either() {
    let validator = validator();
    let server = |text: &str| validator.is_valid(&as_json(&format!("servers: {{ a: {text} }}")));
    assert!(server("{ command: [run] }"));
    for wrong in [
        "{ command: [run], allow: null }",
        "{ command: [run], url: 'https://a.example' }",
        "{ command: [] }",
        "{}",
        "{ command: run }",
        "{ command: [run], sandbx: {} }",
        "{ command: [run], timeouts: { start: 30 } }",
        "{ command: [run], allow: { asks: [everything] } }",
    ] {
        assert!(!server(wrong), "{wrong}");
    }
}
