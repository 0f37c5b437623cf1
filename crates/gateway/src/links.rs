//! A client's links to servers: opened when first needed, opened again when they died, listed when a name must
//! be looked up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mantlet_access::{Action, Item};
use mantlet_wire::{Caps, Era, Json, Message, Raw};
use tokio::sync::mpsc;

use crate::Gateway;
use crate::breach::Place;
use crate::client::{Client, lock};
use crate::path::authorise::may;
use crate::path::from_server::{self, Context};
use crate::refusal::{Reason, Refusal};
use crate::upstream::catalog::{MAX_TOOLS, ToolFacts};
use crate::upstream::open::{self, Opening, modern_meta};
use crate::upstream::{Event, Link, LinkError, LinkSlot, Outgoing, Server};

/// What a server says outside any request waits here while the gateway is busy.
const UNSOLICITED: usize = 256;
/// A server that is resting after failures is waited for this long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of one whole list.
const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;
/// A whole list is not read more often than this for names that are not in it.
const RELIST: Duration = Duration::from_secs(1);

/// Names that a server may know a shown name by.
pub(crate) type NamesOf =
    for<'a> fn(&'a Arc<Gateway>, &'a Arc<Client>, &'a Arc<Server>, &'a str) -> BoxFuture<'a, Vec<String>>;

/// The link of this client to this server.
pub(crate) async fn to(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    server: &Arc<Server>,
) -> Result<Arc<Link>, Refusal> {
    let slot = slot(client, server);
    if let Some(link) = slot.link.try_lock().ok().and_then(|held| held.clone())
        && !link.is_dead()
    {
        link.touch();
        return Ok(link);
    }
    // Boxed, as all that is rare on the way of a message: the futures of the usual way stay small, and small ones are
    // moved at little cost.
    Box::pin(open_again(gateway, client, server, &slot)).await
}

async fn open_again(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    server: &Arc<Server>,
    slot: &LinkSlot,
) -> Result<Arc<Link>, Refusal> {
    let mut held = slot.link.lock().await;
    if let Some(link) = held.as_ref().filter(|link| !link.is_dead()) {
        link.touch();
        return Ok(Arc::clone(link));
    }
    let again = if let Some(dead) = held.take() {
        tokio::spawn(async move { dead.close().await });
        true
    } else {
        false
    };
    let link = open_link(gateway, client, server).await?;
    *held = Some(Arc::clone(&link));
    drop(held);
    if again {
        restore(client, &link).await;
    }
    Ok(link)
}

/// The link of this client to this server, if it stands now.
pub(crate) fn open_now(client: &Client, server: &Arc<Server>) -> Option<Arc<Link>> {
    let slot = slot(client, server);
    let link = slot.link.try_lock().ok()?.clone()?;
    (!link.is_dead()).then_some(link)
}

fn slot(client: &Client, server: &Arc<Server>) -> Arc<LinkSlot> {
    let mut links = lock(&client.links);
    let slot = links
        .entry(Arc::clone(&server.name))
        .or_insert_with(|| Arc::new(LinkSlot::new(Arc::clone(server))));
    if !Arc::ptr_eq(&slot.server, server) {
        *slot = Arc::new(LinkSlot::new(Arc::clone(server)));
    }
    Arc::clone(slot)
}

async fn open_link(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    server: &Arc<Server>,
) -> Result<Arc<Link>, Refusal> {
    if let Some(why) = server.health.quarantined() {
        return Err(Refusal::new(
            Reason::Quarantined,
            format!(
                "server `{}` is in quarantine for what it tried: ask the operator",
                server.name
            ),
        )
        .because(why));
    }
    if let Some(wait) = server.health.wait(Instant::now()) {
        if wait > PATIENCE {
            let view = server.health.view();
            return Err(unavailable(server, &view.last_error.unwrap_or_default()));
        }
        tokio::time::sleep(wait).await;
    }
    let (unsolicited, events) = mpsc::channel(UNSOLICITED);
    let caps = answer_caps(gateway);
    let offered = offered(gateway, client, server);
    let opening = Opening {
        server,
        pool: &gateway.pool(),
        caps: &caps,
        hello: &client.hello,
        offered: &offered,
        unsolicited,
        halves: gateway.halves(),
        place: Place::new(gateway, client),
    };
    match open::open(opening).await {
        Ok(link) => {
            server.health.opened(link.version.as_str());
            let link = Arc::new(link);
            tokio::spawn(listen(
                Arc::downgrade(gateway),
                Arc::downgrade(client),
                Arc::downgrade(&link),
                events,
            ));
            if client.era == Era::Modern || client.ready.load(Ordering::Acquire) {
                link.say_initialized()
                    .await
                    .map_err(|error| lost(server, &error))?;
            }
            Ok(link)
        }
        Err(error) => Err(lost(server, &error)),
    }
}

/// Opening failed.
fn lost(server: &Server, error: &LinkError) -> Refusal {
    server.failed(error.to_string());
    tracing::warn!(server = %server.name, %error, "the server could not be reached");
    unavailable(server, &error.to_string())
}

/// The caps for what servers send: larger than for clients, otherwise the same.
fn answer_caps(gateway: &Gateway) -> Caps {
    let limits = &gateway.in_force().settings.limits;
    let mut caps = limits.message.clone();
    caps.message_bytes = limits.answer;
    caps.string_bytes = limits.answer;
    caps
}

/// The client's capabilities, less the questions that this server may not ask by policy.
pub(crate) fn offered(gateway: &Gateway, client: &Client, server: &Server) -> Json {
    let mut capabilities = client.hello.capabilities.clone();
    for (capability, action) in [
        ("sampling", Action::Sample),
        ("elicitation", Action::Elicit),
        ("roots", Action::ListRoots),
    ] {
        if client.hello.declares(capability) && !may(gateway, client, &server.name, action, Item::Server) {
            let mut edit = capabilities.edit();
            edit.remove(capabilities.raw(), capability);
            capabilities = edit.finish();
        }
    }
    capabilities
}

/// Brings a link that was opened again to where the dead one was.
async fn restore(client: &Client, link: &Link) {
    if link.era() == Era::Modern {
        return;
    }
    if let Some(level) = client.log_level().filter(|_| link.greeting.has("logging")) {
        let params = Json::from_value(&serde_json::json!({ "level": level }));
        drop(plain(link, "logging/setLevel", Some(params)).await);
    }
    for uri in client.subscribed() {
        let params = Json::from_value(&serde_json::json!({ "uri": uri }));
        drop(plain(link, "resources/subscribe", Some(params)).await);
    }
}

/// Serves what a server says outside any request, until the link is gone.
async fn listen(
    gateway: Weak<Gateway>,
    client: Weak<Client>,
    link: Weak<Link>,
    mut events: mpsc::Receiver<Event>,
) {
    while let Some(event) = events.recv().await {
        let (Some(gateway), Some(client), Some(link)) = (gateway.upgrade(), client.upgrade(), link.upgrade())
        else {
            return;
        };
        from_server::event(&Context::outside(&gateway, &client, &link), event).await;
    }
}

/// Forgets a link whose session the server has ended, so that the next use opens it again.
pub(crate) fn failure(server: &Server, error: LinkError) -> Refusal {
    match error {
        LinkError::Timeout(seconds) => Refusal::new(
            Reason::UpstreamTimeout,
            format!("server `{}` did not answer in {seconds} s", server.name),
        ),
        LinkError::Breached(why) => Refusal::new(
            Reason::ServerBreach,
            format!(
                "server `{}` tried what it is not granted, and the call was ended",
                server.name
            ),
        )
        .because(why),
        LinkError::Broke(why) => broke(server, &why),
        LinkError::Rejected(reject) => broke(server, &format!("{}: {reject}", reject.code())),
        LinkError::Gone | LinkError::SessionLost => unavailable(
            server,
            "the connection to the server was lost while it worked; it may or may not have done it",
        ),
        LinkError::Status(status) => unavailable(server, &format!("it answered HTTP {status}")),
        LinkError::Unavailable(why) => unavailable(server, &why),
    }
}

fn broke(server: &Server, why: &str) -> Refusal {
    Refusal::new(
        Reason::UpstreamBroke,
        format!(
            "server `{}` broke the protocol and its answer was withheld",
            server.name
        ),
    )
    .because(why.to_owned())
}

fn unavailable(server: &Server, why: &str) -> Refusal {
    Refusal::new(
        Reason::UpstreamUnavailable,
        format!("server `{}` cannot be reached now", server.name),
    )
    .because(why.to_owned())
}

/// A request of the gateway's own, without a client behind it.
pub(crate) async fn plain(link: &Link, method: &str, params: Option<Json>) -> Result<Message, LinkError> {
    let message = Message::request(&link.next_id(), method, params);
    let (events, mut said) = mpsc::channel(16);
    let patience = link.server.settings.timeouts.start;
    let mut call = std::pin::pin!(link.call(
        Outgoing {
            message,
            name: None,
            mirrored: Vec::new(),
        },
        &events,
    ));
    let mut deadline = std::pin::pin!(tokio::time::sleep(patience));
    loop {
        tokio::select! {
            outcome = &mut call => return outcome,
            // A question during a request of ours has to do with the client, not with the request.
            Some(event) = said.recv() => drop(link.outside.try_send(event)),
            () = &mut deadline => return Err(LinkError::Timeout(patience.as_secs())),
        }
    }
}

/// All items of a list, from the first page to the last.
pub(crate) async fn list(
    gateway: &Gateway,
    client: &Client,
    link: &Link,
    method: &str,
    field: &str,
) -> Result<Vec<Json>, LinkError> {
    let pages = gateway.in_force().settings.limits.list_pages;
    let meta = (link.era() == Era::Modern)
        .then(|| modern_meta(&client.hello, &offered(gateway, client, &link.server), None));
    let (mut items, mut bytes, mut cursor) = (Vec::new(), 0_usize, None::<String>);
    for _ in 0..pages {
        let mut params = serde_json::Map::new();
        if let Some(cursor) = &cursor {
            params.insert("cursor".to_owned(), cursor.as_str().into());
        }
        if let Some(meta) = &meta {
            params.insert("_meta".to_owned(), meta.clone());
        }
        let params = (!params.is_empty()).then(|| Json::from_value(&serde_json::Value::Object(params)));
        let answer = plain(link, method, params).await?;
        let Some(result) = answer.result() else {
            let text = answer
                .error()
                .and_then(|error| error.get("message"))
                .and_then(Raw::text)
                .unwrap_or_default();
            return Err(LinkError::Broke(format!(
                "`{method}` failed: {}",
                text.chars().take(200).collect::<String>()
            )));
        };
        bytes = bytes.saturating_add(answer.len());
        items.extend(
            result
                .get(field)
                .into_iter()
                .flat_map(Raw::items)
                .map(Raw::to_json)
                // One too many is enough to know.
                .take(MAX_TOOLS.saturating_add(1)),
        );
        if items.len() > MAX_TOOLS || bytes > MAX_LIST_BYTES {
            return Err(LinkError::Broke(format!(
                "`{method}` lists more than {MAX_TOOLS} items, or more than {MAX_LIST_BYTES} bytes of them"
            )));
        }
        // MCP server/utilities/pagination: an empty cursor is a cursor; only its absence ends the list.
        cursor = result
            .get("nextCursor")
            .and_then(Raw::text)
            .map(std::borrow::Cow::into_owned);
        if cursor.is_none() {
            return Ok(items);
        }
    }
    Err(LinkError::Broke(format!(
        "`{method}` has more than {pages} pages"
    )))
}

/// The tool with this name, as the server lists it.
pub(crate) async fn tool(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    server: &Arc<Server>,
    name: &str,
) -> Result<Arc<ToolFacts>, Refusal> {
    let link = to(gateway, client, server).await?;
    if link.catalog.tool(name).is_none() {
        Box::pin(refresh(gateway, client, &link, name)).await?;
    }
    if link.catalog.is_ambiguous(name) {
        return Err(Refusal::new(
            Reason::AmbiguousName,
            format!(
                "server `{}` lists this tool twice, with two definitions: nobody can say which one is meant",
                server.name
            ),
        ));
    }
    link.catalog.tool(name).ok_or_else(|| {
        let shown: String = name.chars().take(128).collect();
        Refusal::new(
            Reason::UnknownTool,
            format!(
                "Unknown tool: `{shown}` is not in the list of server `{}`",
                server.name
            ),
        )
    })
}

/// Reads the server's whole list of tools, unless that was done a moment ago or `wanted` has turned up meanwhile.
async fn refresh(
    gateway: &Arc<Gateway>,
    client: &Arc<Client>,
    link: &Arc<Link>,
    wanted: &str,
) -> Result<(), Refusal> {
    let _one_at_a_time = link.catalog.listing.lock().await;
    let recent = link.catalog.listed_at().is_some_and(|at| at.elapsed() < RELIST);
    if recent || link.catalog.tool(wanted).is_some() {
        return Ok(());
    }
    if !link.greeting.has("tools") {
        link.catalog.replace(Vec::new(), Instant::now());
        return Ok(());
    }
    let items = list(gateway, client, link, "tools/list", "tools").await;
    let items = items.map_err(|error| failure(&link.server, error))?;
    let facts = items
        .iter()
        .filter_map(|item| link.server.facts.of(item.raw()))
        .collect();
    link.catalog.replace(facts, Instant::now());
    Ok(())
}

/// The tools of a server, for looking a shown name up.
pub(crate) fn tool_names<'a>(
    gateway: &'a Arc<Gateway>,
    client: &'a Arc<Client>,
    server: &'a Arc<Server>,
    shown: &'a str,
) -> BoxFuture<'a, Vec<String>> {
    async move {
        let Ok(link) = to(gateway, client, server).await else {
            return Vec::new();
        };
        let known = |link: &Link| -> Vec<String> {
            link.catalog
                .tools()
                .iter()
                .map(|tool| tool.name.clone())
                .collect()
        };
        let before = known(&link);
        if before
            .iter()
            .any(|local| crate::names::exposed(&server.name, local) == shown)
        {
            return before;
        }
        drop(refresh(gateway, client, &link, "").await);
        known(&link)
    }
    .boxed()
}

/// The prompts of a server, for looking a shown name up.
pub(crate) fn prompt_names<'a>(
    gateway: &'a Arc<Gateway>,
    client: &'a Arc<Client>,
    server: &'a Arc<Server>,
    _shown: &'a str,
) -> BoxFuture<'a, Vec<String>> {
    async move {
        let Ok(link) = to(gateway, client, server).await else {
            return Vec::new();
        };
        if !link.greeting.has("prompts") {
            return Vec::new();
        }
        let items = list(gateway, client, &link, "prompts/list", "prompts")
            .await
            .unwrap_or_default();
        let name = |item: &Json| {
            item.raw()
                .get("name")
                .and_then(Raw::text)
                .map(std::borrow::Cow::into_owned)
        };
        items.iter().filter_map(name).collect()
    }
    .boxed()
}
