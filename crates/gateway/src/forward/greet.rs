//! The first message of either era: `initialize` and `server/discover`. One server is introduced as itself;
//! several are introduced under the gateway's name with what they can do together.

use std::sync::Arc;
use std::time::Duration;

use mantlet_wire::{Era, Json, Message, Raw, Version, key};

use super::{announce, exchange, respond};
use crate::client::Client;
use crate::path::inspect::Cleared;
use crate::path::route::may_use;
use crate::refusal::Refusal;
use crate::upstream::{Greeting, Link, Server};
use crate::{Gateway, links};

/// The longest instructions that several servers get to say together, in characters per server.
const MAX_INSTRUCTIONS: usize = 4_000;
/// How long all servers of an endpoint may keep a client waiting.
const TOGETHER: Duration = Duration::from_secs(5);

/// `initialize`: opens the links and says what is behind them.
pub(crate) async fn initialize(gateway: &Arc<Gateway>, call: &Cleared) -> Result<Message, Refusal> {
    let result = match call.server() {
        Some(server) => introduce_one(call, &*links::to(gateway, call.client(), server).await?),
        None => introduce_all(gateway, call).await,
    };
    let version = result.raw().get("protocolVersion").and_then(Raw::text);
    if let Some(version) = version.as_deref().and_then(Version::parse) {
        call.client().agree(version);
    }
    Ok(respond(call, result))
}

fn introduce_one(call: &Cleared, link: &Link) -> Json {
    match link.era() {
        // Whatever the server said, unknown members included.
        Era::Legacy => link.greeting.result.clone(),
        Era::Modern => {
            let greeting = &link.greeting;
            let info = if greeting.info.raw().is_null() {
                serde_json::json!({ "name": link.server.name.as_ref(), "version": "unknown" })
            } else {
                greeting.info.raw().to_value()
            };
            let capabilities = old_capabilities(greeting.capabilities.raw().to_value());
            initialize_result(call, capabilities, info, greeting.instructions.as_deref())
        }
    }
}

fn initialize_result(
    call: &Cleared,
    capabilities: serde_json::Value,
    info: serde_json::Value,
    instructions: Option<&str>,
) -> Json {
    let mut result = serde_json::json!({
        "protocolVersion": call.client().hello.version.as_str(),
        "capabilities": capabilities,
        "serverInfo": info,
    });
    if let (Some(result), Some(instructions)) = (result.as_object_mut(), instructions) {
        result.insert("instructions".to_owned(), instructions.into());
    }
    Json::from_value(&result)
}

/// What cannot cross to the initialize era is not promised there.
fn old_capabilities(mut capabilities: serde_json::Value) -> serde_json::Value {
    if let Some(all) = capabilities.as_object_mut() {
        all.remove("extensions");
    }
    capabilities
}

/// What cannot cross to the stateless era is not promised there: its tasks are another thing.
fn new_capabilities(mut capabilities: serde_json::Value) -> serde_json::Value {
    if let Some(all) = capabilities.as_object_mut() {
        all.remove("tasks");
    }
    capabilities
}

fn own_info() -> serde_json::Value {
    serde_json::json!({ "name": "mantlet", "version": env!("CARGO_PKG_VERSION") })
}

async fn introduce_all(gateway: &Arc<Gateway>, call: &Cleared) -> Json {
    let (greetings, all_here) = greetings(gateway, call).await;
    let (capabilities, instructions) = together(&greetings, all_here);
    initialize_result(call, capabilities, own_info(), instructions.as_deref())
}

/// Opens all links that the caller may use, at the same time; one dead server keeps nobody waiting longer than
/// its own deadline.
pub(crate) async fn open_all(gateway: &Arc<Gateway>, call: &Cleared) -> Vec<Arc<Link>> {
    let usable = call
        .scope()
        .iter()
        .filter(|server| may_use(gateway, call, server));
    let deadline = tokio::time::Instant::now() + TOGETHER;
    let opening = usable.map(|server| in_time(gateway, call.client(), server, deadline));
    futures_util::future::join_all(opening)
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// The link to one of several servers, if it stands in time. One that comes late is told of by a change of the lists.
async fn in_time(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    server: &Arc<Server>,
    deadline: tokio::time::Instant,
) -> Option<Arc<Link>> {
    if let Some(link) = links::open_now(client, server) {
        return Some(link);
    }
    let (gateway, for_whom, server) = (Arc::clone(gateway), Arc::clone(client), Arc::clone(server));
    let mut opening = tokio::spawn(async move { links::to(&gateway, &for_whom, &server).await });
    match tokio::time::timeout_at(deadline, &mut opening).await {
        Ok(opened) => opened.ok()?.ok(),
        Err(_) => {
            let client = Arc::clone(client);
            tokio::spawn(async move {
                if matches!(opening.await, Ok(Ok(_))) {
                    announce::lists(&client).await;
                }
            });
            None
        }
    }
}

/// What the servers said of themselves, and whether all that the caller may use are here.
async fn greetings(gateway: &Arc<Gateway>, call: &Cleared) -> (Vec<(Arc<str>, Greeting)>, bool) {
    let links = open_all(gateway, call).await;
    let usable = call
        .scope()
        .iter()
        .filter(|server| may_use(gateway, call, server));
    let all_here = links.len() == usable.count();
    let greetings = links
        .iter()
        .map(|link| (Arc::clone(&link.server.name), link.greeting.clone()));
    (greetings.collect(), all_here)
}

/// The union of what the servers can do; what one that comes late can do is promised as well.
fn together(greetings: &[(Arc<str>, Greeting)], all_here: bool) -> (serde_json::Value, Option<String>) {
    let any = |capability: &str| !all_here || greetings.iter().any(|(_, greeting)| greeting.has(capability));
    let flag = |capability: &str, flag: &str| {
        greetings.iter().any(|(_, greeting)| {
            greeting
                .capabilities
                .raw()
                .pointer(&[capability, flag])
                .and_then(Raw::boolean)
                == Some(true)
        })
    };
    let mut all = serde_json::Map::new();
    if any("tools") {
        all.insert("tools".to_owned(), serde_json::json!({ "listChanged": true }));
    }
    if any("prompts") {
        all.insert("prompts".to_owned(), serde_json::json!({ "listChanged": true }));
    }
    if any("resources") {
        all.insert(
            "resources".to_owned(),
            serde_json::json!({
                "listChanged": true,
                "subscribe": flag("resources", "subscribe"),
            }),
        );
    }
    for capability in ["logging", "completions"] {
        if any(capability) {
            all.insert(capability.to_owned(), serde_json::json!({}));
        }
    }
    let said: Vec<String> = greetings
        .iter()
        .filter_map(|(name, greeting)| {
            let text = greeting.instructions.as_deref()?;
            Some(format!(
                "[{name}] {}",
                text.chars().take(MAX_INSTRUCTIONS).collect::<String>()
            ))
        })
        .collect();
    (
        serde_json::Value::Object(all),
        (!said.is_empty()).then(|| said.join("\n\n")),
    )
}

/// `server/discover` (MCP 2026-07-28 server/discover).
pub(crate) async fn discover(gateway: &Arc<Gateway>, call: &Cleared) -> Result<Message, Refusal> {
    let Some(server) = call.server() else {
        let (greetings, all_here) = greetings(gateway, call).await;
        let (capabilities, instructions) = together(&greetings, all_here);
        return Ok(respond(
            call,
            discover_result(capabilities, &own_info(), instructions.as_deref()),
        ));
    };
    let link = links::to(gateway, call.client(), server).await?;
    if link.era() == Era::Modern {
        let answer = exchange::run(gateway, call, &link).await?;
        return Ok(only_our_versions(&answer));
    }
    let greeting = &link.greeting;
    let capabilities = new_capabilities(greeting.capabilities.raw().to_value());
    let result = discover_result(
        capabilities,
        &greeting.info.raw().to_value(),
        greeting.instructions.as_deref(),
    );
    Ok(respond(call, result))
}

fn discover_result(
    capabilities: serde_json::Value,
    info: &serde_json::Value,
    instructions: Option<&str>,
) -> Json {
    let mut result = serde_json::json!({
        "resultType": "complete",
        "supportedVersions": [Version::LATEST.as_str()],
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { key::SERVER_INFO: info },
    });
    if let (Some(result), Some(instructions)) = (result.as_object_mut(), instructions) {
        result.insert("instructions".to_owned(), instructions.into());
    }
    Json::from_value(&result)
}

/// A version that only the server speaks is of no use through the gateway.
fn only_our_versions(answer: &Message) -> Message {
    let Some(result) = answer.result() else {
        return answer.clone();
    };
    let mut edit = answer.edit();
    edit.set(
        result,
        "supportedVersions",
        &Json::from_serialize(&[Version::LATEST.as_str()]),
    );
    edit.finish()
}
