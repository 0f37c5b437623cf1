//! Lists: tools, prompts, resources, templates. They show what the caller may use, by the same decisions as the
//! use itself. One server's pages pass through; several servers' lists are read whole, merged and paged anew.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mantlet_access::{Action, Item};
use mantlet_wire::{Era, Json, Message, Raw};
use sha2::{Digest as _, Sha256};

use super::{exchange, greet, respond};
use crate::path::authorise::may;
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::upstream::Link;
use crate::{Gateway, links, names};

/// Items on one page of a merged list.
const PAGE: usize = 500;

/// What a list method is about.
#[derive(Clone, Copy, Debug)]
struct Kind {
    method: &'static str,
    /// The member of the result that holds the items.
    field: &'static str,
    /// The member of an item that names it.
    name: &'static str,
    capability: &'static str,
    list: Action,
    action: Action,
}

impl Kind {
    fn of(method: &str) -> Option<Self> {
        let kind = |method, field, name, capability, list, action| {
            Some(Self {
                method,
                field,
                name,
                capability,
                list,
                action,
            })
        };
        match method {
            "tools/list" => kind(
                "tools/list",
                "tools",
                "name",
                "tools",
                Action::ListTools,
                Action::CallTool,
            ),
            "prompts/list" => kind(
                "prompts/list",
                "prompts",
                "name",
                "prompts",
                Action::ListPrompts,
                Action::GetPrompt,
            ),
            "resources/list" => kind(
                "resources/list",
                "resources",
                "uri",
                "resources",
                Action::ListResources,
                Action::ReadResource,
            ),
            "resources/templates/list" => kind(
                "resources/templates/list",
                "resourceTemplates",
                "uriTemplate",
                "resources",
                Action::ListResources,
                Action::ReadResource,
            ),
            _ => None,
        }
    }

    fn item(self, name: &str) -> Item<'_> {
        match self.action {
            Action::CallTool => Item::Tool(name),
            Action::GetPrompt => Item::Prompt(name),
            _ => Item::Resource(name),
        }
    }
}

/// Answers a list request.
pub(crate) async fn list(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    trail: &mut Trail,
) -> Result<Message, Refusal> {
    let method = call.message().method().unwrap_or_default();
    let Some(kind) = Kind::of(method) else {
        return Err(Refusal::new(
            Reason::UnknownMethod,
            "this method is not known here",
        ));
    };
    match call.server() {
        Some(server) => {
            let link = links::to(gateway, call.client(), server).await?;
            trail.link(&link);
            let answer = exchange::run(gateway, call, &link).await?;
            Ok(filtered(gateway, call, &link, kind, &answer, trail))
        }
        None => merged(gateway, call, kind, trail).await,
    }
}

/// Takes out of one page what the caller may not use, and learns the tools on it.
fn filtered(
    gateway: &Gateway,
    call: &Cleared,
    link: &Link,
    kind: Kind,
    answer: &Message,
    trail: &mut Trail,
) -> Message {
    let Some(items) = answer.result().and_then(|result| result.get(kind.field)) else {
        return answer.clone();
    };
    let mut edit = answer.edit();
    let mut seen = HashSet::new();
    for (index, item) in items.items().enumerate() {
        if !shown(gateway, call, link, kind, item, &mut seen, trail) {
            edit.remove_item(items, index);
        }
    }
    learn(link, kind, items.items());
    edit.finish()
}

fn learn<'r>(link: &Link, kind: Kind, items: impl Iterator<Item = Raw<'r>>) {
    if kind.capability == "tools" {
        let facts: Vec<_> = items.filter_map(|item| link.server.facts.of(item)).collect();
        link.catalog.learn(&facts);
    }
}

/// Whether one item is shown to this caller.
fn shown(
    gateway: &Gateway,
    call: &Cleared,
    link: &Link,
    kind: Kind,
    item: Raw<'_>,
    seen: &mut HashSet<String>,
    trail: &mut Trail,
) -> bool {
    let Some(name) = item.get(kind.name).and_then(Raw::text) else {
        return false;
    };
    if !may(
        gateway,
        call.client(),
        &link.server.name,
        kind.action,
        kind.item(&name),
    ) {
        return false;
    }
    let cut: String = name.chars().take(128).collect();
    if !seen.insert(name.into_owned()) {
        trail.reason(format!(
            "finding: `{}` lists `{cut}` twice; the second was left out",
            link.server.name
        ));
        return false;
    }
    // MCP 2026-07-28 streamable-http §Custom Headers: a client drops a tool whose annotations are invalid.
    let invalid = (kind.capability == "tools" && link.era() == Era::Modern)
        .then(|| link.server.facts.of(item))
        .flatten()
        .and_then(|facts| facts.mirrors.as_ref().err().cloned());
    if let Some(why) = invalid {
        trail.reason(format!(
            "finding: the tool `{cut}` of `{}` was left out: {why}",
            link.server.name
        ));
        return false;
    }
    true
}

/// The lists of all servers as one.
async fn merged(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    kind: Kind,
    trail: &mut Trail,
) -> Result<Message, Refusal> {
    let links = greet::open_all(gateway, call).await;
    let able = links.iter().filter(|link| {
        link.greeting.has(kind.capability)
            && may(gateway, call.client(), &link.server.name, kind.list, Item::Server)
    });
    let reading = able.map(|link| async move {
        (
            link,
            links::list(gateway, call.client(), link, kind.method, kind.field).await,
        )
    });
    let mut items: Vec<Json> = Vec::new();
    let mut names_seen = HashSet::new();
    for (link, read) in futures_util::future::join_all(reading).await {
        match read {
            Ok(read) => {
                learn(link, kind, read.iter().map(Json::raw));
                let mut seen = HashSet::new();
                for item in &read {
                    if shown(gateway, call, link, kind, item.raw(), &mut seen, trail) {
                        note_twins(link, kind, item.raw(), &mut names_seen, trail);
                        items.push(under_own_roof(&link.server.name, kind, item));
                    }
                }
            }
            Err(error) => trail.reason(format!(
                "`{}` of server `{}` failed: {error}",
                kind.method, link.server.name
            )),
        }
    }
    let unreachable = call.scope().len().saturating_sub(links.len());
    if unreachable > 0 {
        trail.reason(format!(
            "{unreachable} of {} servers could not be used",
            call.scope().len()
        ));
    }
    page(call, kind, &items)
}

/// Two servers offering the same name is something a person should know.
fn note_twins(link: &Link, kind: Kind, item: Raw<'_>, seen: &mut HashSet<String>, trail: &mut Trail) {
    if let Some(name) = item.get(kind.name).and_then(Raw::text)
        && !seen.insert(name.to_string())
    {
        let cut: String = name.chars().take(128).collect();
        trail.reason(format!(
            "finding: `{cut}` is offered by `{}` and by another server",
            link.server.name
        ));
    }
}

fn under_own_roof(server: &str, kind: Kind, item: &Json) -> Json {
    let Some(at) = item.raw().get(kind.name) else {
        return item.clone();
    };
    let local = at.text().unwrap_or_default();
    let shown = match kind.name {
        "name" => names::exposed(server, &local),
        _ => names::exposed_uri(server, &local),
    };
    let mut edit = item.edit();
    edit.replace(at, &Json::text(&shown));
    edit.finish()
}

/// One page of a merged list. The cursor names a place in this very list; when the list has changed, it is no
/// longer valid (MCP server/utilities/pagination §Error Handling).
fn page(call: &Cleared, kind: Kind, items: &[Json]) -> Result<Message, Refusal> {
    let mut hasher = Sha256::new();
    for item in items {
        hasher.update(
            item.raw()
                .get(kind.name)
                .map(Raw::as_str)
                .unwrap_or_default()
                .as_bytes(),
        );
        hasher.update([0]);
    }
    let digest: String = hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let start = match super::param(call, "cursor") {
        None => 0,
        Some(cursor) => place(&cursor, &digest).ok_or_else(|| {
            Refusal::new(
                Reason::InvalidCursor,
                "the cursor is not one of this list (any more): list again from the start",
            )
        })?,
    };
    let end = start.saturating_add(PAGE).min(items.len());
    let shown = items.get(start..end).unwrap_or_default();
    let mut result = serde_json::Map::new();
    result.insert(
        kind.field.to_owned(),
        shown.iter().map(|item| item.raw().to_value()).collect(),
    );
    if end < items.len() {
        result.insert(
            "nextCursor".to_owned(),
            URL_SAFE_NO_PAD.encode(format!("{end}:{digest}")).into(),
        );
    }
    if call.client().era == Era::Modern {
        result.insert("resultType".to_owned(), "complete".into());
        result.insert("ttlMs".to_owned(), 0.into());
        result.insert("cacheScope".to_owned(), "private".into());
    }
    Ok(respond(
        call,
        Json::from_value(&serde_json::Value::Object(result)),
    ))
}

fn place(cursor: &str, digest: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (place, of) = text.split_once(':')?;
    (of == digest).then(|| place.parse().ok()).flatten()
}
