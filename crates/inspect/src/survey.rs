//! How much a schema costs, before it is compiled: its size, how deep it nests, whether it refers to something
//! outside itself, and how many subschemas one value can be checked against at once (MCP 2026-07-28 basic/index
//! §Composition-Keyword Resource Use). A cycle of references that never goes down the instance has no end.

use std::collections::{HashMap, HashSet};

use mantlet_wire::percent_decoded;
use serde_json::{Map, Value};

const MAX_NODES: usize = 5_000;
const MAX_DEPTH: usize = 32;
/// Subschemas that one value may be checked against.
const MAX_COST: u64 = 10_000;
/// References that may follow one another.
const MAX_CHAIN: usize = 64;

/// Keywords whose value is one schema for the same value.
const SAME_ONE: &[&str] = &["not", "if", "then", "else"];
/// Keywords whose value is a list of schemas for the same value.
const SAME_LIST: &[&str] = &["allOf", "anyOf", "oneOf"];
/// Keywords whose value is a map of schemas for the same value.
const SAME_MAP: &[&str] = &["dependentSchemas"];
/// Keywords whose value is a map of schemas by name.
const MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];
/// Keywords whose value is data and no schema.
const DATA: &[&str] = &["const", "enum", "default", "examples"];
const REFERENCES: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef"];

/// Checks a schema.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub(crate) fn check(root: &Value) -> Result<(), String> {
    let mut survey = Survey {
        root,
        nodes: 0,
        schemas: Vec::new(),
        anchors: HashMap::new(),
    };
    survey.walk(root, 0)?;
    let schemas = std::mem::take(&mut survey.schemas);
    let mut costs = Costs {
        survey: &survey,
        known: HashMap::new(),
        open: HashSet::new(),
    };
    for schema in schemas {
        costs.of(schema, 0)?;
    }
    Ok(())
}

struct Survey<'v> {
    root: &'v Value,
    nodes: usize,
    schemas: Vec<&'v Map<String, Value>>,
    anchors: HashMap<&'v str, Vec<&'v Value>>,
}

impl<'v> Survey<'v> {
    fn walk(&mut self, schema: &'v Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("its subschemas are nested deeper than {MAX_DEPTH}"));
        }
        let Value::Object(members) = schema else {
            return Ok(());
        };
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} subschemas"));
        }
        self.schemas.push(members);
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                (data, _) if DATA.contains(&data) => {}
                (reference, value) if REFERENCES.contains(&reference) => local(value)?,
                ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                    self.anchors.entry(name).or_default().push(schema);
                }
                (map, Value::Object(map_members)) if MAPS.contains(&map) => {
                    for under in map_members.values() {
                        self.walk(under, depth + 1)?;
                    }
                }
                (_, Value::Object(_)) => self.walk(value, depth + 1)?,
                (_, Value::Array(all)) => {
                    for under in all {
                        self.walk(under, depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a local reference means; several schemas where an anchor is there more than once.
    fn targets(&self, reference: &str) -> Vec<&'v Value> {
        let fragment = reference.strip_prefix('#').unwrap_or_default();
        if fragment.is_empty() {
            return vec![self.root];
        }
        if fragment.starts_with('/') {
            let pointer = percent_decoded(fragment);
            return self.root.pointer(&pointer).into_iter().collect();
        }
        self.anchors.get(fragment).cloned().unwrap_or_default()
    }
}

fn local(reference: &Value) -> Result<(), String> {
    match reference {
        Value::String(text) if text.starts_with('#') => Ok(()),
        // 2019-09: `$recursiveRef` is always "#".
        Value::String(_) => Err("it refers to something outside itself, which is never fetched".to_owned()),
        _ => Err("a reference in it is no text".to_owned()),
    }
}

struct Costs<'s, 'v> {
    survey: &'s Survey<'v>,
    known: HashMap<*const Map<String, Value>, u64>,
    open: HashSet<*const Map<String, Value>>,
}

impl<'v> Costs<'_, 'v> {
    /// Subschemas that one value is checked against when it is checked against this one.
    fn of(&mut self, schema: &'v Map<String, Value>, chain: usize) -> Result<u64, String> {
        let place = std::ptr::from_ref(schema);
        if let Some(cost) = self.known.get(&place) {
            return Ok(*cost);
        }
        if chain > MAX_CHAIN || !self.open.insert(place) {
            return Err("its references go in a circle or too far without going down the value".to_owned());
        }
        let mut cost = 1_u64;
        for under in self.same_value(schema) {
            if let Value::Object(members) = under {
                cost = cost.saturating_add(self.of(members, chain + 1)?);
            }
        }
        if cost > MAX_COST {
            return Err(format!(
                "one value would be checked against more than {MAX_COST} subschemas"
            ));
        }
        self.open.remove(&place);
        self.known.insert(place, cost);
        Ok(cost)
    }

    fn same_value(&self, schema: &'v Map<String, Value>) -> Vec<&'v Value> {
        let mut all: Vec<&'v Value> = SAME_ONE
            .iter()
            .filter_map(|keyword| schema.get(*keyword))
            .collect();
        for keyword in SAME_LIST {
            all.extend(
                schema
                    .get(*keyword)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
        for keyword in SAME_MAP {
            all.extend(
                schema
                    .get(*keyword)
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(Map::values),
            );
        }
        for keyword in REFERENCES {
            if let Some(reference) = schema.get(*keyword).and_then(Value::as_str) {
                all.extend(self.survey.targets(reference));
            }
        }
        all
    }
}
