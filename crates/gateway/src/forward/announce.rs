//! What the gateway tells clients of its own accord: that lists are no longer what they were, since a server has come
//! late or the configuration is another.

use std::sync::Arc;

use mantlet_wire::{Era, Message, Raw};

use super::listen;
use crate::client::{Client, Endpoint};

/// Each list, with the capability that promises such news.
const LISTS: [(&str, &str); 3] = [
    ("tools", "notifications/tools/list_changed"),
    ("prompts", "notifications/prompts/list_changed"),
    ("resources", "notifications/resources/list_changed"),
];

/// Tells a client that its lists changed: those of which it was promised to be told.
pub(crate) async fn lists(client: &Arc<Client>) {
    for (list, method) in LISTS {
        if !promised(client, list).await {
            continue;
        }
        let news = Message::notification(method, None);
        match client.era {
            Era::Legacy => client.push.send(news).await,
            Era::Modern => listen::to_all(client, &news, None).await,
        }
    }
}

/// On the endpoint of all servers the gateway itself promises it; else the server has, or has not.
async fn promised(client: &Client, list: &str) -> bool {
    if client.endpoint == Endpoint::All {
        return true;
    }
    for slot in client.link_slots() {
        if let Some(link) = slot.link.lock().await.as_ref() {
            let flag = link.greeting.capabilities.raw().pointer(&[list, "listChanged"]);
            return flag.and_then(Raw::boolean) == Some(true);
        }
    }
    false
}
