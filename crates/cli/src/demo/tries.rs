//! What the demo tries, and what must come of it.

use std::path::Path;

use mantlet_wire::Raw;

use super::client::{Reply, Site};

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) practice: &'static str,
    pub(crate) tried: &'static str,
    pub(crate) stopped: bool,
    pub(crate) reason: String,
    pub(crate) as_expected: bool,
}

const HONEST: &str = "/servers/honest/mcp";
const HOSTILE: &str = "/servers/hostile/mcp";
const VALIDATION: &str = "1 input validation";
const ACCESS: &str = "2 access control";
const TRANSPORT: &str = "3 secure communication";
const LIMITS: &str = "4 rate limiting";
const LOGGING: &str = "5 logging and monitoring";
const TOKENS: &str = "7 token management";
const SESSIONS: &str = "8 session management";
const PERMISSIONS: &str = "13 scoped permissions";

/// Tries everything, in the order of the practices.
pub(crate) async fn all(site: &Site, audit: &Path) -> Vec<Row> {
    let (Some(honest), Some(hostile)) = (site.session(HONEST).await, site.session(HOSTILE).await) else {
        return vec![row(
            ACCESS,
            "open a session with each server",
            true,
            "no session was opened".to_owned(),
            false,
        )];
    };
    let mut rows = validation(site, &honest).await;
    rows.extend(hostile_answers(site, &hostile).await);
    rows.extend(access(site).await);
    rows.extend(transport(site).await);
    rows.extend(limits(site).await);
    rows.extend(tokens(site, &honest).await);
    rows.extend(sessions(site, &honest).await);
    rows.extend(permissions(site, &honest, &hostile).await);
    rows.extend(logging(audit));
    rows.sort_by_key(|row| {
        row.practice
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u8>().ok())
    });
    rows
}

fn row(practice: &'static str, tried: &'static str, stopped: bool, reason: String, as_expected: bool) -> Row {
    Row {
        practice,
        tried,
        stopped,
        reason,
        as_expected,
    }
}

/// Must be refused, and for this reason.
fn refused(practice: &'static str, tried: &'static str, reply: &Reply, reason: &str) -> Row {
    let named = reply.refusal();
    let as_expected = named.as_deref() == Some(reason);
    let told = if reply.sentence().is_empty() {
        format!("HTTP {}", reply.status)
    } else {
        reply.sentence()
    };
    row(practice, tried, named.is_some(), told, as_expected)
}

/// Must go through, with this text.
fn passed(practice: &'static str, tried: &'static str, reply: &Reply, wanted: &str) -> Row {
    let text = reply.tool_text();
    let good = text
        .as_ref()
        .is_some_and(|(text, failed)| text == wanted && !failed);
    let told = if good {
        format!("answered `{wanted}`")
    } else {
        format!("HTTP {} {}", reply.status, reply.sentence())
    };
    row(practice, tried, !good, told, good)
}

async fn validation(site: &Site, session: &str) -> Vec<Row> {
    let send = |body: &'static str| site.within(HONEST, session, body);
    let echo = site
        .call(
            HONEST,
            session,
            "echo",
            &serde_json::json!({ "message": "hello" }),
        )
        .await;
    let add = site
        .call(HONEST, session, "add", &serde_json::json!({ "a": 2, "b": 40 }))
        .await;
    let duplicate = send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"purge","arguments":{}}}"#).await;
    let twin = send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","Name":"purge","arguments":{}}}"#).await;
    let escaped = send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","n\u0061me":"purge","arguments":{}}}"#).await;
    let deep = site
        .within(
            HONEST,
            session,
            format!(
                r#"{{"jsonrpc":"2.0","id":4,"method":"ping","params":{{"x":{}}}}}"#,
                "[".repeat(5_000)
            ),
        )
        .await;
    let batch = send(r#"[{"jsonrpc":"2.0","id":5,"method":"ping"}]"#).await;
    let wrong = site
        .call(HONEST, session, "echo", &serde_json::json!({ "message": 42 }))
        .await;
    let told = wrong
        .tool_text()
        .map(|(text, _)| text)
        .unwrap_or_else(|| wrong.sentence());
    let told_model = wrong.tool_text().is_some_and(|(_, failed)| failed);
    let climb = send(r#"{"jsonrpc":"2.0","id":6,"method":"resources/read","params":{"uri":"demo://public/%2e%2e/secret/key"}}"#).await;
    vec![
        passed(VALIDATION, "call a tool of the honest server", &echo, "hello"),
        passed(VALIDATION, "call a tool whose result has a schema", &add, "42"),
        refused(
            VALIDATION,
            "the same key twice, to smuggle another tool",
            &duplicate,
            "duplicate_key",
        ),
        refused(VALIDATION, "a key that differs in case only", &twin, "twin_key"),
        refused(
            VALIDATION,
            "the same key, once written with an escape",
            &escaped,
            "duplicate_key",
        ),
        refused(VALIDATION, "5000 nested arrays", &deep, "too_deep"),
        refused(
            VALIDATION,
            "a batch, where the version has none",
            &batch,
            "batch_not_supported",
        ),
        row(
            VALIDATION,
            "a number where the tool's schema says text",
            told_model,
            told,
            told_model,
        ),
        refused(VALIDATION, "a resource behind encoded `..`", &climb, "bad_uri"),
    ]
}

async fn hostile_answers(site: &Site, session: &str) -> Vec<Row> {
    let none = serde_json::json!({});
    let weather = site.call(HOSTILE, session, "weather", &none).await;
    let two_faced = site.call(HOSTILE, session, "two_faced", &none).await;
    let impostor = site.call(HOSTILE, session, "impostor", &none).await;
    let broken = site.call(HOSTILE, session, "broken", &none).await;
    let hidden = site.call(HOSTILE, session, "backdoor", &none).await;
    let curious = site.call(HOSTILE, session, "curious", &none).await;
    let asked = curious
        .messages
        .iter()
        .any(|message| message.method() == Some("sampling/createMessage"));
    let told = if asked {
        "the question reached the client"
    } else {
        "the question was refused, the answer came through"
    };
    vec![
        refused(
            VALIDATION,
            "a hostile result against the tool's own output schema",
            &weather,
            "invalid_result",
        ),
        refused(
            VALIDATION,
            "a hostile answer with two readings",
            &two_faced,
            "upstream_broke",
        ),
        refused(
            VALIDATION,
            "a hostile answer that is no result",
            &broken,
            "invalid_result",
        ),
        passed(
            VALIDATION,
            "a forged answer to somebody else's question",
            &impostor,
            "genuine",
        ),
        refused(
            PERMISSIONS,
            "a tool that the server does not list",
            &hidden,
            "unknown_tool",
        ),
        row(
            PERMISSIONS,
            "a server that wants the client's model, without leave",
            !asked,
            told.to_owned(),
            !asked,
        ),
    ]
}

async fn access(site: &Site) -> Vec<Row> {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut nobody = site.post(HONEST, ping);
    nobody.token = None;
    let mut guess = site.post(HONEST, ping);
    guess.token = Some("mtl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    vec![
        refused(
            ACCESS,
            "a request without a token",
            &site.send(&nobody).await,
            "unauthenticated",
        ),
        refused(
            ACCESS,
            "a request with a guessed token",
            &site.send(&guess).await,
            "unauthenticated",
        ),
    ]
}

async fn transport(site: &Site) -> Vec<Row> {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut rebound = site.post(HONEST, ping);
    rebound.host = Some("evil.example");
    let mut page = site.post(HONEST, ping);
    page.headers.push(("Origin", "http://evil.example".to_owned()));
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let mut lying = site.post(HONEST, modern);
    for (name, value) in [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "add"),
    ] {
        lying.headers.push((name, value.to_owned()));
    }
    vec![
        refused(
            TRANSPORT,
            "DNS rebinding: another `Host`",
            &site.send(&rebound).await,
            "wrong_host",
        ),
        refused(
            TRANSPORT,
            "a web page of another `Origin`",
            &site.send(&page).await,
            "wrong_origin",
        ),
        refused(
            TRANSPORT,
            "a header that names another tool than the body",
            &site.send(&lying).await,
            "header_mismatch",
        ),
    ]
}

async fn limits(site: &Site) -> Vec<Row> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{}"}}}}"#,
        "x".repeat(5 * 1024 * 1024)
    );
    let large = site.send(&site.post(HONEST, body)).await;
    let stopped = large.status == 413;
    let told = if large.sentence().is_empty() {
        format!("HTTP {}", large.status)
    } else {
        large.sentence()
    };
    vec![row(LIMITS, "a body of 5 MiB", stopped, told, stopped)]
}

async fn tokens(site: &Site, session: &str) -> Vec<Row> {
    let reply = site
        .call(HONEST, session, "environment", &serde_json::json!({}))
        .await;
    let names = reply.tool_text().map(|(text, _)| text).unwrap_or_default();
    let known = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "MANTLET_SERVER_MARK",
    ];
    let foreign: Vec<&str> = names.split(' ').filter(|name| !known.contains(name)).collect();
    let good = !names.is_empty() && foreign.is_empty();
    let told = if good {
        "a server sees only PATH, HOME and the like".to_owned()
    } else {
        format!("it sees {}", foreign.join(" "))
    };
    vec![row(
        TOKENS,
        "secrets of the environment, read by a server",
        good,
        told,
        good,
    )]
}

async fn sessions(site: &Site, session: &str) -> Vec<Row> {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let elsewhere = site.within(HOSTILE, session, ping).await;
    let made_up = site
        .within(HONEST, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ping)
        .await;
    let none = site.send(&site.post(HONEST, ping)).await;
    let forged = site
        .within(
            HONEST,
            session,
            r#"{"jsonrpc":"2.0","id":99,"result":{"action":"accept"}}"#,
        )
        .await;
    vec![
        refused(
            SESSIONS,
            "a session of one server, used on another",
            &elsewhere,
            "session_unknown",
        ),
        refused(SESSIONS, "a made-up session", &made_up, "session_unknown"),
        refused(
            SESSIONS,
            "a request without its session",
            &none,
            "session_missing",
        ),
        refused(
            SESSIONS,
            "an answer to a question that nobody asked",
            &forged,
            "unexpected_response",
        ),
    ]
}

async fn permissions(site: &Site, honest: &str, hostile: &str) -> Vec<Row> {
    let none = serde_json::json!({});
    let purge = site.call(HONEST, honest, "purge", &none).await;
    let delete = site.call(HOSTILE, hostile, "delete_everything", &none).await;
    let public = site
        .within(
            HONEST,
            honest,
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"demo://public/readme"}}"#,
        )
        .await;
    let secret = site
        .within(
            HONEST,
            honest,
            r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"demo://secret/key"}}"#,
        )
        .await;
    let list = site
        .within(
            HONEST,
            honest,
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#,
        )
        .await;
    let names: Vec<String> = list
        .answer()
        .and_then(|answer| answer.result())
        .and_then(|result| result.get("tools"))
        .into_iter()
        .flat_map(Raw::items)
        .filter_map(|tool| {
            tool.get("name")
                .and_then(Raw::text)
                .map(std::borrow::Cow::into_owned)
        })
        .collect();
    let filtered = names == ["echo", "add", "environment"];
    let read = public.answer().is_some_and(|answer| answer.result().is_some());
    vec![
        refused(
            PERMISSIONS,
            "a tool that no allow list names",
            &purge,
            "policy_denied",
        ),
        refused(PERMISSIONS, "a tool on a refuse list", &delete, "policy_denied"),
        row(
            PERMISSIONS,
            "a resource that the allow list names",
            !read,
            "read".to_owned(),
            read,
        ),
        refused(
            PERMISSIONS,
            "a resource that it does not name",
            &secret,
            "policy_denied",
        ),
        row(
            PERMISSIONS,
            "the list of tools",
            false,
            format!("shows {}", names.join(", ")),
            filtered,
        ),
    ]
}

/// The log of all this holds; a copy with one changed byte does not.
fn logging(audit: &Path) -> Vec<Row> {
    let report = mantlet_audit::verify(audit);
    let holds = report.holds() && report.records > 20;
    let told = match &report.finding {
        None => format!("{} records, the chain holds", report.records),
        Some(finding) => finding.why.clone(),
    };
    let forged = forge(audit);
    let found = forged.as_ref().is_ok_and(|report| !report.holds());
    let forged_told = match forged {
        Ok(report) => report.finding.map_or_else(
            || "nothing was found".to_owned(),
            |finding| format!("record {}: {}", finding.seq, finding.why),
        ),
        Err(error) => error.to_string(),
    };
    vec![
        row(LOGGING, "check the log of everything above", !holds, told, holds),
        row(
            LOGGING,
            "change one verdict in a copy of it",
            found,
            forged_told,
            found,
        ),
    ]
}

fn forge(audit: &Path) -> std::io::Result<mantlet_audit::Report> {
    let copy = audit.with_extension("forged");
    crate::state::make(&copy).map_err(std::io::Error::other)?;
    for entry in std::fs::read_dir(audit)?.flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let text = text.replacen("\"decision\":\"refuse\"", "\"decision\":\"allow\"", 1);
        std::fs::write(copy.join(entry.file_name()), text)?;
    }
    let report = mantlet_audit::verify(&copy);
    std::fs::remove_dir_all(&copy)?;
    Ok(report)
}
