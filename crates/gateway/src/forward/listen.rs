//! Subscriptions. `subscriptions/listen` of stateless clients, whatever their servers speak, and the standing
//! one that the gateway holds at a stateless server for a session of the initialize era (MCP 2026-07-28
//! basic/patterns/subscriptions).

use std::sync::Arc;
use std::time::Duration;

use mantlet_access::{Action, Item};
use mantlet_wire::{Era, Json, Message, Raw, key};
use tokio::sync::mpsc;

use super::{exchange, greet, questions};
use crate::client::{Client, Outbound, lock};
use crate::path::authorise::may;
use crate::path::from_server::{self, Context};
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::open::modern_meta;
use crate::upstream::{Event, Link, Outgoing};
use crate::{Gateway, links, names};

/// Subscriptions that one stateless client may hold.
const MAX_LISTENS: usize = 64;
/// Resources that one subscription may name.
const MAX_URIS: usize = 1_000;
/// Before a standing subscription that broke is opened again.
const PAUSE: Duration = Duration::from_secs(2);

/// An open subscription of a stateless client.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    /// Which it is: several may be open under one id, since stateless clients do not know of each other.
    number: u64,
    /// The id of the request that opened it, in the client's own JSON type.
    id: Json,
    filter: Filter,
    out: Outbound,
}

/// What a subscription is for (MCP 2026-07-28 schema, `SubscriptionFilter`). URIs as the client writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: Vec<String>,
}

impl Filter {
    fn read(params: Option<Raw<'_>>) -> Option<Self> {
        let wanted = params?.get("notifications")?;
        let flag = |name: &str| wanted.get(name).and_then(Raw::boolean) == Some(true);
        let uris = wanted
            .get("resourceSubscriptions")
            .into_iter()
            .flat_map(Raw::items);
        Some(Self {
            tools: flag("toolsListChanged"),
            prompts: flag("promptsListChanged"),
            resources: flag("resourcesListChanged"),
            uris: uris
                .filter_map(Raw::text)
                .map(std::borrow::Cow::into_owned)
                .take(MAX_URIS)
                .collect(),
        })
    }

    fn to_value(&self) -> serde_json::Value {
        let mut value = serde_json::Map::new();
        for (name, set) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if set {
                value.insert(name.to_owned(), true.into());
            }
        }
        if !self.uris.is_empty() {
            value.insert("resourceSubscriptions".to_owned(), self.uris.clone().into());
        }
        serde_json::Value::Object(value)
    }

    /// What of it this server can and, by policy, may serve, in the server's own words.
    fn for_link(&self, gateway: &Gateway, client: &Client, link: &Link, renames: bool) -> Self {
        let can = |capability: &str, flag: &str| {
            link.greeting
                .capabilities
                .raw()
                .pointer(&[capability, flag])
                .and_then(Raw::boolean)
                == Some(true)
        };
        let local = |shown: &String| -> Option<String> {
            if renames {
                let name = link.server.name.as_ref();
                names::local_uri(std::iter::once(name), shown).map(|(_, uri)| uri.to_owned())
            } else {
                Some(shown.clone())
            }
        };
        let permitted = |uri: &String| {
            may(
                gateway,
                client,
                &link.server.name,
                Action::SubscribeResource,
                Item::Resource(uri),
            )
        };
        let watches = can("resources", "subscribe");
        let uris = self
            .uris
            .iter()
            .filter(|_| watches)
            .filter_map(local)
            .filter(permitted)
            .collect();
        Self {
            tools: self.tools && can("tools", "listChanged"),
            prompts: self.prompts && can("prompts", "listChanged"),
            resources: self.resources && can("resources", "listChanged"),
            uris,
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn wants(&self, message: &Message, shown: Option<&str>) -> bool {
        match message.method().unwrap_or_default() {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            // An update may be of a part of what was subscribed to.
            "notifications/resources/updated" => shown.is_some_and(|shown| {
                self.uris
                    .iter()
                    .any(|uri| shown == uri || shown.starts_with(&format!("{}/", uri.trim_end_matches('/'))))
            }),
            _ => false,
        }
    }
}

/// Serves `subscriptions/listen` until the client leaves. The answer comes only when the subscription ends.
pub(crate) async fn open(gateway: &Arc<Gateway>, call: &Cleared) -> Result<Message, Refusal> {
    let Some(wanted) = Filter::read(call.message().params()) else {
        return Err(Refusal::new(
            Reason::InvalidParams,
            "`subscriptions/listen` needs the object `notifications`",
        ));
    };
    let client = call.client();
    let links = match call.server() {
        Some(server) => vec![links::to(gateway, client, server).await?],
        None => greet::open_all(gateway, call).await,
    };
    let parts: Vec<(Arc<Link>, Filter)> = links
        .into_iter()
        .map(|link| {
            let part = wanted.for_link(gateway, client, &link, call.renames());
            (link, part)
        })
        .filter(|(_, part)| !part.is_empty())
        .collect();
    let mut honoured = honoured(call, &parts);
    if call.renames() {
        // The gateway itself tells when a server comes late.
        honoured.tools |= wanted.tools;
        honoured.prompts |= wanted.prompts;
        honoured.resources |= wanted.resources;
    }
    let id = questions::id_value(exchange::client_id(call)?);
    let listen = Listen {
        number: client.next_number(),
        id: Json::from_value(&id),
        filter: honoured.clone(),
        out: call.out().clone(),
    };
    let _registered = register(client, listen)?;
    acknowledge(call, &id, &honoured).await;
    let mut tasks = tokio::task::JoinSet::new();
    for (link, part) in parts {
        tasks.spawn(serve(Arc::clone(gateway), Arc::clone(client), link, part));
    }
    // The caller stops this future when the client leaves or cancels; the tasks end with it.
    while tasks.join_next().await.is_some() {}
    if honoured.is_empty() {
        std::future::pending::<()>().await;
    }
    let meta = serde_json::json!({ "resultType": "complete", "_meta": { key::SUBSCRIPTION_ID: id } });
    Ok(super::respond(call, Json::from_value(&meta)))
}

/// The union of what the servers serve, in the client's words.
fn honoured(call: &Cleared, parts: &[(Arc<Link>, Filter)]) -> Filter {
    let mut all = Filter::default();
    for (link, part) in parts {
        all.tools |= part.tools;
        all.prompts |= part.prompts;
        all.resources |= part.resources;
        all.uris.extend(part.uris.iter().map(|uri| {
            if call.renames() {
                names::exposed_uri(&link.server.name, uri)
            } else {
                uri.clone()
            }
        }));
    }
    all
}

/// The acknowledgement is the first message of a subscription.
async fn acknowledge(call: &Cleared, id: &serde_json::Value, honoured: &Filter) {
    let params = serde_json::json!({
        "_meta": { key::SUBSCRIPTION_ID: id },
        "notifications": honoured.to_value(),
    });
    let params = Json::from_value(&params);
    let note = Message::notification("notifications/subscriptions/acknowledged", Some(params));
    call.out().event(note).await;
}

struct Registered {
    client: Arc<Client>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.client.listens).retain(|listen| listen.number != self.number);
    }
}

fn register(client: &Arc<Client>, listen: Listen) -> Result<Registered, Refusal> {
    let mut listens = lock(&client.listens);
    if listens.len() >= MAX_LISTENS {
        return Err(Refusal::new(
            Reason::TooManyInFlight,
            "this caller holds as many subscriptions as it may",
        ));
    }
    let number = listen.number;
    listens.push(listen);
    Ok(Registered {
        client: Arc::clone(client),
        number,
    })
}

/// Keeps one server's part of a subscription alive.
async fn serve(gateway: Arc<Gateway>, client: Arc<Client>, link: Arc<Link>, part: Filter) {
    match link.era() {
        Era::Legacy => {
            let _used = link.in_use();
            let _watching = Watching::begin(&link, part.uris).await;
            // Changes come as the server's own notifications, outside any request.
            while !link.is_dead() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Era::Modern => follow(&gateway, &client, &link, &part).await,
    }
}

/// What a subscription watches at a server of the initialize era. Dropping it ends that, unless another subscription
/// watches the same.
struct Watching {
    link: Arc<Link>,
    uris: Vec<String>,
}

impl Watching {
    async fn begin(link: &Arc<Link>, uris: Vec<String>) -> Self {
        let mut watching = Self {
            link: Arc::clone(link),
            uris: Vec::new(),
        };
        for uri in uris {
            // Held while the server is told: what it is told of one resource stays in its order.
            let mut watched = link.watched.lock().await;
            let watchers = watched.entry(uri.clone()).or_insert(0);
            *watchers = watchers.saturating_add(1);
            let first = *watchers == 1;
            watching.uris.push(uri.clone());
            if first {
                tell(link, "resources/subscribe", &uri).await;
            }
        }
        watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let (link, uris) = (Arc::clone(&self.link), std::mem::take(&mut self.uris));
        if uris.is_empty() {
            return;
        }
        tokio::spawn(async move {
            for uri in uris {
                let mut watched = link.watched.lock().await;
                let Some(watchers) = watched.get_mut(&uri) else {
                    continue;
                };
                *watchers = watchers.saturating_sub(1);
                if *watchers == 0 {
                    watched.remove(&uri);
                    tell(&link, "resources/unsubscribe", &uri).await;
                }
            }
        });
    }
}

async fn tell(link: &Link, method: &str, uri: &str) {
    if !link.is_dead() {
        let params = Json::from_value(&serde_json::json!({ "uri": uri }));
        drop(links::plain(link, method, Some(params)).await);
    }
}

/// One `subscriptions/listen` towards a stateless server, until the server ends it.
async fn follow(gateway: &Arc<Gateway>, client: &Arc<Client>, link: &Arc<Link>, part: &Filter) {
    let offered = links::offered(gateway, client, &link.server);
    let params = serde_json::json!({
        "_meta": modern_meta(&client.hello, &offered, None),
        "notifications": part.to_value(),
    });
    let message = Message::request(
        &link.next_id(),
        "subscriptions/listen",
        Some(Json::from_value(&params)),
    );
    let (to_us, mut events) = mpsc::channel::<Event>(64);
    let cx = Context::outside(gateway, client, link);
    let mut call = std::pin::pin!(link.call(
        Outgoing {
            message,
            name: None,
            mirrored: Vec::new(),
        },
        &to_us,
    ));
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => from_server::event(&cx, event).await,
            outcome = &mut call => {
                if let Err(error) = outcome {
                    tracing::info!(server = %link.server.name, %error, "a subscription ended");
                }
                return;
            }
        }
    }
}

/// Brings a change to the subscriptions of a stateless client that asked for it.
pub(crate) async fn to_subscribers(cx: &Context, message: &Message) {
    let params = message.params();
    let uri = params.and_then(|params| params.get("uri")).and_then(Raw::text);
    let shown = uri.map(|uri| {
        if cx.renames {
            names::exposed_uri(&cx.link.server.name, &uri)
        } else {
            uri.into_owned()
        }
    });
    to_all(&cx.client, message, shown.as_deref()).await;
}

/// The same for a message in the client's own words.
pub(crate) async fn to_all(client: &Client, message: &Message, shown: Option<&str>) {
    let listens: Vec<Listen> = lock(&client.listens).clone();
    for listen in listens
        .iter()
        .filter(|listen| listen.filter.wants(message, shown))
    {
        // Who does not read holds the others up once, for a moment.
        let _dropped = listen.out.news(subscribed(message, listen, shown)).await;
    }
}

/// The notification as the subscription's own: under its id, with the URI that the client knows.
fn subscribed(message: &Message, listen: &Listen, shown: Option<&str>) -> Message {
    let mut params = message
        .params()
        .map_or_else(|| serde_json::json!({}), Raw::to_value);
    if let Some(params) = params.as_object_mut() {
        if let Some(shown) = shown {
            params.insert("uri".to_owned(), shown.into());
        }
        let meta = params.entry("_meta").or_insert_with(|| serde_json::json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert(key::SUBSCRIPTION_ID.to_owned(), listen.id.raw().to_value());
        }
    }
    Message::notification(
        message.method().unwrap_or_default(),
        Some(Json::from_value(&params)),
    )
}

/// Holds, for a session of the initialize era, the subscription that replaces what its server would say by
/// itself. Called again when what it watches has changed.
pub(crate) fn keep(gateway: &Arc<Gateway>, client: &Arc<Client>, link: &Arc<Link>) {
    let wanted = Filter {
        tools: true,
        prompts: true,
        resources: true,
        uris: client.subscribed(),
    };
    let (gateway, client, link) = (Arc::downgrade(gateway), Arc::clone(client), Arc::clone(link));
    let name = Arc::clone(&link.server.name);
    let holder = Arc::clone(&client);
    let weak = Arc::downgrade(&client);
    drop(client);
    let task = tokio::spawn(async move {
        while !link.is_dead() {
            let (Some(gateway), Some(client)) = (gateway.upgrade(), weak.upgrade()) else {
                return;
            };
            let part = wanted.for_link(&gateway, &client, &link, false);
            if part.is_empty() {
                return;
            }
            follow(&gateway, &client, &link, &part).await;
            drop((gateway, client));
            tokio::time::sleep(PAUSE).await;
        }
    });
    let before = lock(&holder.standing).insert(name, task);
    if let Some(before) = before {
        before.abort();
    }
}
