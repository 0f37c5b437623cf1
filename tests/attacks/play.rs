//! Plays one attack: the gateway, a puppet behind it, and the attacker's bytes.

use std::path::Path;

use mantlet_tests::binary;
use mantlet_tests::http::{self, Answer};
use mantlet_tests::lines::Talk;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

use crate::attack::{Attack, Expect, Step, filled};

const ENDPOINT: &str = "/servers/puppet/mcp";

pub(crate) fn over_http(attack: &Attack) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let serving = Serving::start(&configuration(attack, directory.path()));
    let session = begin(attack, &serving);
    let mut problems = Vec::new();
    for (index, step) in attack.steps.iter().enumerate() {
        let endpoint = if attack.all_servers { "/mcp" } else { ENDPOINT };
        let answer = send(step, &serving, endpoint, &session, directory.path());
        let message = answer
            .messages()
            .into_iter()
            .rfind(|message| message.get("method").is_none());
        for problem in unmet(
            &step.expect,
            Some(answer.status),
            message.as_ref(),
            &answer.text(),
        ) {
            problems.push(format!("step {}: {problem}", index + 1));
        }
    }
    problems.extend(settled(|| {
        let log = serving.log().replace(&serving.token, "{token}");
        aftermath(attack, directory.path(), &log)
    }));
    problems
}

pub(crate) fn over_stdio(attack: &Attack) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mantlet.yaml");
    std::fs::write(&file, configuration(attack, directory.path())).unwrap();
    let arguments = ["wrap", "--config", &file.to_string_lossy(), "--name", "puppet"];
    let mut talk = Talk::start(&binary("mantlet"), &arguments, directory.path());
    talk.ask(0, "initialize", &hello(attack)).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let mut problems = Vec::new();
    for (index, step) in attack.steps.iter().enumerate() {
        talk.say_bytes(&step.payload(directory.path()));
        let heard = std::iter::from_fn(|| talk.hear()).find(|message| message.get("method").is_none());
        let text = heard.as_ref().map(Value::to_string).unwrap_or_default();
        for problem in unmet(&step.expect, None, heard.as_ref(), &text) {
            problems.push(format!("step {}: {problem}", index + 1));
        }
    }
    drop(talk);
    problems.extend(aftermath(attack, directory.path(), &log(directory.path())));
    problems
}

fn configuration(attack: &Attack, directory: &Path) -> String {
    let own = directory.join("puppet");
    std::fs::create_dir_all(&own).unwrap();
    let script = own.join("script.json");
    let script_text = attack.server.clone().unwrap_or_else(|| json!({}));
    std::fs::write(&script, script_text.to_string()).unwrap();
    let mut server = attack.rules.clone().unwrap_or_else(|| json!({}));
    server["command"] = json!([binary("mantlet-puppet"), script, own.join("seen")]);
    server["sandbox"] = json!({"write": [own]});
    let mut all = json!({"servers": {"puppet": server}});
    for (key, value) in attack.settings.iter().flatten() {
        if key == "servers" {
            for (name, other) in value.as_object().unwrap() {
                let text = other
                    .to_string()
                    .replace("{puppet}", &binary("mantlet-puppet").to_string_lossy());
                let text = text.replace("{dir}", &directory.to_string_lossy());
                all["servers"][name] = http::parse(&text).unwrap();
            }
        } else {
            all[key] = value.clone();
        }
    }
    all["listen"]["address"] = json!("127.0.0.1:0");
    // JSON is YAML.
    format!("{all}\n")
}

fn hello(attack: &Attack) -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": attack.capabilities.clone().unwrap_or_else(|| json!({})),
        "clientInfo": {"name": "attacker", "version": "1"},
    })
}

/// An initialize-era session for the steps that have one.
fn begin(attack: &Attack, serving: &Serving) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello(attack)});
    let server = (!attack.all_servers).then_some("puppet");
    let answer = serving.post(server, &[], &hello.to_string());
    let session = answer.header("mcp-session-id").unwrap_or_default().to_owned();
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ready = serving.post(server, &[("Mcp-Session-Id", &session)], ready);
    assert_eq!(ready.status, 202, "{}", ready.text());
    session
}

fn send(step: &Step, serving: &Serving, endpoint: &str, session: &str, directory: &Path) -> Answer {
    let fill = |text: &str| {
        filled(text)
            .replace("{host}", &serving.address)
            .replace("{token}", &serving.token)
            .replace("{session}", session)
    };
    if let Some(raw) = &step.raw {
        return http::raw(&serving.address, fill(&raw.replace('\n', "\r\n")).as_bytes());
    }
    let payload = step.payload(directory);
    let mut headers = vec![
        ("Authorization".to_owned(), format!("Bearer {}", serving.token)),
        ("Content-Type".to_owned(), "application/json".to_owned()),
        (
            "Accept".to_owned(),
            "application/json, text/event-stream".to_owned(),
        ),
    ];
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    match step.face.as_str() {
        "legacy" => {
            add("Mcp-Session-Id", session);
            add("MCP-Protocol-Version", "2025-11-25");
        }
        "modern" => {
            add("MCP-Protocol-Version", "2026-07-28");
            let body = http::parse(&String::from_utf8_lossy(&payload)).unwrap_or_default();
            if let Some(method) = body["method"].as_str() {
                add("Mcp-Method", method);
            }
            if let Some(name) = body["params"]["name"].as_str().or(body["params"]["uri"].as_str()) {
                add("Mcp-Name", name);
            }
        }
        _ => {}
    }
    for (name, value) in &step.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            // Two values are two headers.
            headers.extend(value.split(" && ").map(|value| (name.clone(), fill(value))));
        }
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let path = fill(step.path.as_deref().unwrap_or(endpoint));
    http::request(&serving.address, &step.method, &path, &headers, &payload)
}

fn unmet(expect: &Expect, status: Option<u16>, message: Option<&Value>, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let shown: String = text.chars().take(400).collect();
    if let (Some(wanted), Some(status)) = (expect.status, status)
        && wanted != status
    {
        problems.push(format!("HTTP {status} instead of {wanted}: {shown}"));
    }
    if let Some(wanted) = &expect.reason {
        let reason = message.and_then(reason).unwrap_or_default();
        if reason != wanted {
            problems.push(format!("refused with `{reason}` instead of `{wanted}`: {shown}"));
        }
    }
    if expect.result && message.and_then(|message| message.get("result")).is_none() {
        problems.push(format!("no result: {shown}"));
    }
    if expect.has.as_ref().is_some_and(|part| !text.contains(part)) {
        problems.push(format!("does not have {:?}: {shown}", expect.has));
    }
    if expect.has_not.as_ref().is_some_and(|part| text.contains(part)) {
        problems.push(format!("has {:?}: {shown}", expect.has_not));
    }
    problems
}

/// The code of a refusal: in an error, or in a tool's result that says the call was wrong.
fn reason(message: &Value) -> Option<&str> {
    let error = message.pointer("/error/data/reason");
    error
        .or_else(|| message.pointer("/result/_meta/io.mantlet~1reason"))?
        .as_str()
}

/// What servers say on their own is recorded in its own time: what is missing may come.
fn settled(look: impl Fn() -> Vec<String>) -> Vec<String> {
    for _ in 0..100 {
        let problems = look();
        if problems.is_empty() {
            return problems;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    look()
}

fn aftermath(attack: &Attack, directory: &Path, log: &str) -> Vec<String> {
    let seen = std::fs::read_to_string(directory.join("puppet/seen")).unwrap_or_default();
    let mut problems = Vec::new();
    for (parts, text, wanted, what) in [
        (&attack.server_never_sees, &seen, false, "the server saw"),
        (&attack.server_sees, &seen, true, "the server did not see"),
        (&attack.log_has, &log.to_owned(), true, "the log does not have"),
        (&attack.log_never_has, &log.to_owned(), false, "the log has"),
    ] {
        for part in parts {
            if text.contains(part.as_str()) != wanted {
                problems.push(format!("{what} `{part}`"));
            }
        }
    }
    for name in &attack.never_made {
        if directory.join(name).exists() {
            problems.push(format!("somebody made `{name}`"));
        }
    }
    problems
}

/// Everything in any audit log below a directory.
fn log(directory: &Path) -> String {
    let mut text = String::new();
    let mut directories = vec![directory.join("mantlet/audit")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                directories.push(entry.path());
            } else {
                text.push_str(&String::from_utf8_lossy(
                    &std::fs::read(entry.path()).unwrap_or_default(),
                ));
            }
        }
    }
    text
}
