//! Whether a client saw through Mantlet what it saw directly. What belongs to the hop or to the era is left out.

use serde_json::{Value, json};

use crate::walks::Server;

/// Where two walks through a server differ. `crossing`: the second was in another era.
#[must_use]
pub fn differences(server: &Server, direct: &Value, seen: &Value, crossing: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !crossing && direct["version"] != seen["version"] {
        found.push(format!(
            "version {} instead of {}",
            seen["version"], direct["version"]
        ));
    }
    for member in ["tools", "prompts", "resources", "templates"] {
        compare(
            &format!("list of {member}"),
            &direct[member],
            &seen[member],
            false,
            crossing,
            &mut found,
        );
    }
    let each = |member: &str, names: Vec<(String, bool)>, found: &mut Vec<String>| {
        for (at, (name, varies)) in names.into_iter().enumerate() {
            // A server may offer a tool to some clients only; Mantlet then refuses what it does not list.
            if member == "calls" && !listed(direct, &name) {
                continue;
            }
            compare(
                &name,
                &direct[member][at],
                &seen[member][at],
                varies,
                crossing,
                found,
            );
        }
    };
    let calls = server.calls.iter().map(|call| (call.tool.clone(), call.varies));
    each("calls", calls.collect(), &mut found);
    let prompts = server
        .prompts
        .iter()
        .map(|prompt| (prompt.name.clone(), prompt.varies));
    each("gets", prompts.collect(), &mut found);
    each(
        "reads",
        server.reads.iter().map(|uri| (uri.clone(), false)).collect(),
        &mut found,
    );
    compare(
        "all resources",
        &direct["all"],
        &seen["all"],
        false,
        crossing,
        &mut found,
    );
    found
}

fn listed(direct: &Value, tool: &str) -> bool {
    let tools = direct["tools"].as_array().into_iter().flatten();
    tools.into_iter().any(|known| known["name"] == tool)
}

/// Notes the first place where two values differ.
pub fn compare(
    what: &str,
    direct: &Value,
    seen: &Value,
    varies: bool,
    crossing: bool,
    found: &mut Vec<String>,
) {
    let (direct, seen) = (
        comparable(direct, varies, crossing),
        comparable(seen, varies, crossing),
    );
    if let Some((at, direct, seen)) = first(&direct, &seen, "") {
        let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
        found.push(format!(
            "{what} at `{at}`:\n  direct  {}\n  through {}",
            cut(direct),
            cut(seen)
        ));
    }
}

/// The first place where two values differ.
fn first<'a>(one: &'a Value, other: &'a Value, at: &str) -> Option<(String, &'a Value, &'a Value)> {
    let deeper = |key: &str, one: &'a Value, other: &'a Value| first(one, other, &format!("{at}/{key}"));
    match (one, other) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (one, other))| deeper(&index.to_string(), one, other))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| deeper(key, value, b.get(key)?))
        }
        _ => (one != other).then(|| (at.to_owned(), one, other)),
    }
}

/// Without what belongs to the hop or the era; of an answer that varies, only its shape.
fn comparable(value: &Value, varies: bool, crossing: bool) -> Value {
    let mut value = value.clone();
    strip(&mut value);
    if crossing {
        // Tasks are an extension of another shape in the new era.
        for item in value.as_array_mut().into_iter().flatten() {
            item.as_object_mut().map(|item| item.remove("execution"));
        }
    }
    if let Some(code) = value.get("error").cloned() {
        // An unknown resource is -32002 in the old versions and -32602 in the new one.
        let moved = crossing && (code == -32002 || code == -32602);
        return if moved {
            json!("not found")
        } else {
            json!({"error": code, "message": value.get("message")})
        };
    }
    if varies {
        let kinds: Vec<&Value> = value["content"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| &item["type"])
            .collect();
        return json!({"isError": value["isError"], "content": kinds});
    }
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => {
            for name in ["resultType", "ttlMs", "cacheScope"] {
                members.remove(name);
            }
            let information = |key: &String| key.starts_with("io.modelcontextprotocol/");
            if let Some(Value::Object(meta)) = members.get_mut("_meta") {
                meta.retain(|key, _| !information(key));
                if meta.is_empty() {
                    members.remove("_meta");
                }
            }
            if members.get("isError") == Some(&Value::Bool(false)) {
                members.remove("isError");
            }
            members.values_mut().for_each(strip);
        }
        _ => {}
    }
}
