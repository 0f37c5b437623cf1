//! What the unit tests share: a gateway with a log of its own, clients, and a server that is only a queue.

use std::sync::Arc;

use mantlet_access::{Caller, Means};
use mantlet_audit::{Durability, Log};
use mantlet_config::Settings;
use mantlet_wire::{Json, Message, Version};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::client::{Client, Endpoint, Hello};
use crate::upstream::mux::Mux;
use crate::upstream::sse::Sse;
use crate::upstream::{Event, Greeting, Link, Server, Wire};
use crate::{Gateway, Halves, SystemClock};

pub(crate) fn json(value: &serde_json::Value) -> Json {
    Json::from_value(value)
}

pub(crate) fn caller(name: &str) -> Caller {
    Caller {
        means: Means::LocalUser,
        subject: name.to_owned(),
    }
}

pub(crate) fn hello(version: Version, capabilities: &serde_json::Value) -> Hello {
    Hello {
        version,
        capabilities: json(capabilities),
        info: json(&serde_json::json!({"name": "test", "version": "1"})),
        initialize: None,
    }
}

pub(crate) fn client(version: Version, capabilities: &serde_json::Value) -> Arc<Client> {
    let hello = hello(version, capabilities);
    Arc::new(Client::new(caller("ada"), Endpoint::All, hello, None))
}

/// Settings with one server, `only`.
pub(crate) fn settings(directory: &TempDir) -> Settings {
    Settings::wrap("only", vec!["true".to_owned()], directory.path()).unwrap()
}

pub(crate) fn gateway(settings: Settings) -> Arc<Gateway> {
    let log = mantlet_audit::Settings {
        directory: settings.audit.path.clone(),
        durability: Durability::Write,
        segment_bytes: 1 << 20,
        instance: "test".to_owned(),
    };
    let log = Log::open(log).unwrap();
    Gateway::new(settings, log, None, Arc::new(SystemClock), Halves::One).unwrap()
}

/// A link to the gateway's one server, of the initialize era. What is sent to the server arrives in the queue.
pub(crate) fn link(gateway: &Gateway) -> (Arc<Link>, mpsc::Receiver<Message>, mpsc::Receiver<Event>) {
    let server: Arc<Server> = Arc::clone(gateway.in_force().servers.first().unwrap());
    let (to_server, sent) = mpsc::channel(64);
    let (outside, said) = mpsc::channel(64);
    let mux = Mux::new(Arc::clone(&server), to_server, outside.clone());
    let empty = || json(&serde_json::json!({}));
    let greeting = Greeting {
        capabilities: empty(),
        info: empty(),
        instructions: None,
        result: empty(),
    };
    let wire = Wire::Sse(Sse::of(mux));
    let link = Link::new(server, Version::V2025_11_25, greeting, wire, outside, 10);
    (Arc::new(link), sent, said)
}
