//! Stage: identify. Who calls is proven before the body is read (`caller`); whose session or which stateless
//! client the message belongs to is settled here (`client`).

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use mantlet_access::{Caller, Means};
use mantlet_wire::{Era, Json, Kind, Message, Raw, Version, key};

use super::decode::{Decoded, Face, Via};
use crate::Gateway;
use crate::client::{Busy, Client, Endpoint, Hello};
use crate::refusal::{Reason, Refusal};
use crate::session::{close_later, lifetime};
use crate::trail::Trail;

/// The longest capabilities that a client may declare.
const MAX_CAPABILITIES: usize = 64 * 1024;

/// A decoded message with the client that it belongs to.
#[derive(Debug)]
pub(crate) struct Identified {
    decoded: Decoded,
    client: Busy,
    opened: Option<Opened>,
}

impl Deref for Identified {
    type Target = Decoded;

    fn deref(&self) -> &Decoded {
        &self.decoded
    }
}

impl Identified {
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Keeps the session that this very message opened, if it did; gives its id, where it has one.
    pub(crate) fn keep_session(&self) -> Option<String> {
        let opened = self.opened.as_ref()?;
        opened.kept.store(true, Ordering::Release);
        opened.id.clone()
    }
}

/// A session that this very message opened. INVARIANT: it is taken back, and what it holds is closed, when the
/// message is refused by whatever stage, fails or is given up.
#[derive(Debug)]
struct Opened {
    gateway: Weak<Gateway>,
    via: Via,
    client: Arc<Client>,
    /// None over stdio, where the connection is the session.
    id: Option<String>,
    kept: AtomicBool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.kept.load(Ordering::Acquire) {
            return;
        }
        if let Some(gateway) = self.gateway.upgrade() {
            match &self.id {
                Some(id) => {
                    drop(
                        gateway
                            .clients
                            .end_session(id, &self.client.caller, &self.client.endpoint),
                    );
                }
                None => gateway.clients.end_local(&self.client),
            }
        }
        if let Via::Stdio { port, .. } = &self.via {
            port.release(&self.client);
        }
        close_later(Arc::clone(&self.client));
    }
}

/// Who calls over HTTP, by the `Authorization` header. RFC 6750 §2.1: the scheme is case-insensitive.
///
/// # Errors
/// No token where one is needed, or a wrong one; which of the two is not told.
pub(crate) fn caller(gateway: &Gateway, authorization: Option<&[u8]>) -> Result<Caller, Refusal> {
    let shown = authorization.and_then(|value| {
        let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let known = match (&gateway.token, shown) {
        (Some(token), Some(shown)) => token.matches(shown),
        _ => false,
    };
    if known {
        return Ok(Caller {
            means: Means::Token,
            subject: "local".to_owned(),
        });
    }
    if authorization.is_none() && gateway.in_force().settings.identity.anonymous {
        return Ok(Caller {
            means: Means::Anonymous,
            subject: "loopback".to_owned(),
        });
    }
    Err(Refusal::new(
        Reason::Unauthenticated,
        "a valid bearer token is needed: send `Authorization: Bearer …` with the token from the gateway's token file",
    ))
}

/// Finds or makes the client. Only `initialize` opens a session.
pub(crate) fn client(
    gateway: &Arc<Gateway>,
    decoded: Decoded,
    trail: &mut Trail,
) -> Result<Identified, Refusal> {
    trail.enter("identify");
    known_endpoint(gateway, decoded.via().endpoint())?;
    let mut opened = None;
    let client = match (decoded.face(), decoded.via()) {
        (Face::Modern, _) if decoded.message().kind() == Kind::Request => stateless(gateway, &decoded)?,
        (_, _) if is_initialize(decoded.message()) => {
            let session = opened.insert(initialize(gateway, &decoded)?);
            session.client.busy()
        }
        (Face::Modern, Via::Http { .. }) => stateless(gateway, &decoded)?,
        (Face::Legacy, Via::Http { endpoint, head }) => {
            session_of(gateway, decoded.caller(), endpoint, head.session.as_deref())?.busy()
        }
        (_, Via::Stdio { port, .. }) => port.client(&decoded).ok_or_else(not_initialized)?.busy(),
    };
    if client.era == Era::Legacy && opened.is_none() {
        must_be_ready(&client, &decoded)?;
    }
    trail.client(&client);
    Ok(Identified {
        decoded,
        client,
        opened,
    })
}

fn is_initialize(message: &Message) -> bool {
    message.kind() == Kind::Request && message.method() == Some("initialize")
}

fn known_endpoint(gateway: &Gateway, endpoint: &Endpoint) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::All => Ok(()),
        Endpoint::One(name) if gateway.in_force().server(name).is_some() => Ok(()),
        Endpoint::One(_) => Err(Refusal::new(Reason::NotFound, "there is no such server here")),
    }
}

fn session_of(
    gateway: &Gateway,
    caller: &Caller,
    endpoint: &Endpoint,
    id: Option<&str>,
) -> Result<Arc<Client>, Refusal> {
    let Some(id) = id else {
        return Err(Refusal::new(
            Reason::SessionMissing,
            "the header `Mcp-Session-Id` is missing: begin with `initialize` and send the id that it returns",
        ));
    };
    gateway
        .clients
        .session(id, caller, endpoint, gateway.clock.now().micros())
}

fn not_initialized() -> Refusal {
    Refusal::new(Reason::NotInitialized, "the first request must be `initialize`")
}

fn must_be_ready(client: &Client, decoded: &Decoded) -> Result<(), Refusal> {
    if is_initialize(decoded.message()) {
        return Err(Refusal::new(
            Reason::AlreadyInitialized,
            "this session is initialised already",
        ));
    }
    if decoded.message().method() == Some("notifications/initialized") {
        client.ready.store(true, Ordering::Release);
    }
    Ok(())
}

fn initialize(gateway: &Arc<Gateway>, decoded: &Decoded) -> Result<Opened, Refusal> {
    if decoded.face() == Face::Modern {
        return Err(Refusal::new(
            Reason::UnknownMethod,
            "`initialize` does not exist in protocol version 2026-07-28",
        ));
    }
    let hello = hello_of_initialize(decoded.message())?;
    let now = gateway.clock.now().micros();
    let (caller, endpoint) = (decoded.caller(), decoded.via().endpoint());
    let (client, id) = match decoded.via() {
        Via::Http { head, .. } => {
            if head.session.is_some() {
                return Err(Refusal::new(
                    Reason::AlreadyInitialized,
                    "`initialize` opens a new session: send it without `Mcp-Session-Id`",
                ));
            }
            let settings = gateway.in_force();
            let (timeouts, limits) = (&settings.settings.timeouts, &settings.settings.limits);
            let lifetime = lifetime(timeouts.idle_session, timeouts.session, limits.sessions);
            let (id, client) = gateway
                .clients
                .open_session(caller, endpoint, hello, now, lifetime)?;
            (client, Some(id))
        }
        Via::Stdio { port, .. } => {
            let client = Arc::new(Client::new(caller.clone(), endpoint.clone(), hello, None));
            client.touch(now);
            if !port.adopt(&client) {
                return Err(Refusal::new(
                    Reason::AlreadyInitialized,
                    "this connection is initialised already",
                ));
            }
            gateway.clients.keep_local(Arc::clone(&client));
            (client, None)
        }
    };
    Ok(Opened {
        gateway: Arc::downgrade(gateway),
        via: decoded.via().clone(),
        client,
        id,
        kept: AtomicBool::new(false),
    })
}

fn hello_of_initialize(message: &Message) -> Result<Hello, Refusal> {
    let wrong = |what: &str| Refusal::new(Reason::InvalidParams, format!("`initialize` {what}"));
    let params = message.params().ok_or_else(|| wrong("needs params"))?;
    let asked = params.get("protocolVersion").and_then(Raw::text);
    let asked = asked.ok_or_else(|| wrong("needs the text `protocolVersion`"))?;
    // MCP 2025-11-25 basic/lifecycle §Version Negotiation: another version we support, for one we do not.
    let version = Version::parse(&asked)
        .filter(|version| version.era() == Era::Legacy)
        .unwrap_or(Version::LATEST_LEGACY);
    let capabilities =
        object(params.get("capabilities")).ok_or_else(|| wrong("needs the object `capabilities`"))?;
    let info = object(params.get("clientInfo")).ok_or_else(|| wrong("needs the object `clientInfo`"))?;
    if capabilities.as_str().len() > MAX_CAPABILITIES || info.as_str().len() > MAX_CAPABILITIES {
        return Err(wrong("declares more than 64 KiB of capabilities"));
    }
    let mut edit = params.to_json();
    if asked != version.as_str() {
        let mut change = edit.edit();
        change.set(edit.raw(), "protocolVersion", &Json::text(version.as_str()));
        edit = change.finish();
    }
    Ok(Hello {
        version,
        capabilities,
        info,
        initialize: Some(edit),
    })
}

fn stateless(gateway: &Arc<Gateway>, decoded: &Decoded) -> Result<Busy, Refusal> {
    let meta = decoded.message().meta();
    let empty = || Json::from_value(&serde_json::json!({}));
    let capabilities = object(meta.and_then(|meta| meta.get(key::CLIENT_CAPABILITIES))).unwrap_or_else(empty);
    if capabilities.as_str().len() > MAX_CAPABILITIES {
        return Err(Refusal::new(
            Reason::InvalidParams,
            "the request declares more than 64 KiB of capabilities",
        ));
    }
    let unnamed = || Json::from_value(&serde_json::json!({ "name": "unnamed", "version": "0" }));
    let info = object(meta.and_then(|meta| meta.get(key::CLIENT_INFO)))
        .filter(|info| info.as_str().len() <= MAX_CAPABILITIES)
        .unwrap_or_else(unnamed);
    let hello = Hello {
        version: Version::LATEST,
        capabilities,
        info,
        initialize: None,
    };
    let now = gateway.clock.now().micros();
    let client = gateway
        .clients
        .stateless(decoded.caller(), decoded.via().endpoint(), hello, now)?;
    if let Via::Stdio { port, .. } = decoded.via() {
        port.remember(&client);
    }
    Ok(client)
}

fn object(value: Option<Raw<'_>>) -> Option<Json> {
    value
        .filter(|value| matches!(value.shape(), mantlet_wire::Shape::Object))
        .map(Raw::to_json)
}
