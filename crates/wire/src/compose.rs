//! Messages of our own. Not here: those of others.

use bytes::Bytes;

use crate::caps::Caps;
use crate::envelope::{Envelope, Kind, Message};
use crate::id::Id;
use crate::json::Json;
use crate::raw::{Raw, Span};
use crate::skip::Inside;
use crate::strict::Parts;

impl Message {
    /// A request. `params` has to be an object.
    #[must_use]
    pub fn request(id: &Id, method: &str, params: Option<Json>) -> Self {
        let id = id.to_json();
        let method = Json::text(method);
        write(&[
            ("id", Some(&id)),
            ("method", Some(&method)),
            ("params", params.as_ref()),
        ])
    }

    /// A notification. `params` has to be an object.
    #[must_use]
    pub fn notification(method: &str, params: Option<Json>) -> Self {
        let method = Json::text(method);
        write(&[("method", Some(&method)), ("params", params.as_ref())])
    }

    /// A result.
    #[must_use]
    pub fn response(id: &Id, result: Json) -> Self {
        write(&[("id", Some(&id.to_json())), ("result", Some(&result))])
    }

    /// An error; without an id it answers a text whose id could not be read, and says `"id":null`.
    #[must_use]
    pub fn error_response(id: Option<&Id>, code: i64, message: &str, data: Option<Json>) -> Self {
        let mut error = format!(r#"{{"code":{code},"message":{}"#, Json::text(message));
        if let Some(data) = data {
            error.push_str(r#","data":"#);
            error.push_str(data.as_str());
        }
        error.push('}');
        let error = Json::from_good(error.into());
        write(&[
            ("id", Some(&id.map_or_else(Json::null, Id::to_json))),
            ("error", Some(&error)),
        ])
    }

    /// Takes in a text that is known to be a message, as our own is; says what is wrong with it otherwise.
    pub(crate) fn adopt(bytes: Bytes) -> Result<Self, crate::reject::Reason> {
        let parts = Envelope::check(&bytes, find(&bytes), &generous())?;
        Ok(Self { bytes, parts })
    }

    /// What stands in for a message that we broke while writing it. It is a mistake of ours, never of a peer:
    /// the receiver gets an error, not half of what was meant.
    pub(crate) fn broken(id: Option<&Id>) -> Self {
        debug_assert!(false, "a message was broken while it was written");
        Self::error_response(
            id,
            INTERNAL_ERROR,
            "the gateway could not write this message",
            None,
        )
    }
}

/// Caps for our own messages: the edits of a message within its caps may add to it.
pub(crate) fn generous() -> Caps {
    Caps {
        message_bytes: usize::MAX,
        depth: Caps::DEEPEST,
        string_bytes: usize::MAX,
        object_keys: usize::MAX,
        id_bytes: usize::MAX,
        batch: 0,
        number_bytes: usize::MAX,
    }
}

fn write(members: &[(&str, Option<&Json>)]) -> Message {
    let present = || {
        members
            .iter()
            .filter_map(|(key, value)| value.map(|value| (*key, value.as_str())))
    };
    let length = present()
        .map(|(key, value)| key.len() + value.len() + 4)
        .sum::<usize>();
    let mut text = String::with_capacity(length + 20);
    text.push_str(r#"{"jsonrpc":"2.0""#);
    for (key, value) in present() {
        text.push_str(",\"");
        text.push_str(key);
        text.push_str("\":");
        text.push_str(value);
    }
    text.push('}');
    Message::adopt(Bytes::from(text)).unwrap_or_else(|_| Message::broken(None))
}

/// The parts of a text that needs no checking, found by stepping over it.
pub(crate) fn find(bytes: &[u8]) -> Parts {
    let mut parts = Parts::default();
    let mut inside = Inside::new(bytes, 0);
    while let Some(member) = inside.member() {
        let Some(key) = Raw::of(member.key.of(bytes)).text() else {
            continue;
        };
        let slot = match &*key {
            "jsonrpc" => &mut parts.jsonrpc,
            "id" => &mut parts.id,
            "method" => &mut parts.method,
            "params" => &mut parts.params,
            "result" => &mut parts.result,
            "error" => &mut parts.error,
            _ => continue,
        };
        *slot = Some(member.value);
    }
    parts.meta = parts
        .params
        .or(parts.result)
        .and_then(|payload| find_meta(bytes, payload));
    parts
}

/// `_meta` in the parameters or the result.
pub(crate) fn find_meta(bytes: &[u8], payload: Span) -> Option<Span> {
    let within = payload.of(bytes);
    let meta = Raw::of(within).get("_meta")?;
    span_in(meta, bytes)
}

/// Where a slice is in its text; `None` when it is none of this text.
pub(crate) fn span_in(raw: Raw<'_>, bytes: &[u8]) -> Option<Span> {
    let slice = raw.as_bytes();
    let start = slice.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    let end = start.checked_add(slice.len())?;
    (!slice.is_empty() && end <= bytes.len()).then_some(Span { start, end })
}

const INTERNAL_ERROR: i64 = -32603;

impl Kind {
    /// Whether the payload has a `_meta` that the specification knows.
    pub(crate) fn has_meta(self) -> bool {
        self != Self::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strict::Twins;

    fn reads_back(message: &Message) {
        let again = crate::message(message.bytes().clone(), &Caps::default(), Twins::Anywhere).unwrap();
        assert_eq!(again.parts, message.parts);
    }

    #[test]
    fn our_messages_are_messages() {
        let params = Json::from_value(&serde_json::json!({"name": "x", "_meta": {"progressToken": 1}}));
        let request = Message::request(&Id::from("a\"b"), "tools/call", Some(params.clone()));
        reads_back(&request);
        assert_eq!(request.kind(), Kind::Request);
        assert_eq!(request.id(), Some(&Id::from("a\"b")));
        assert_eq!(request.method(), Some("tools/call"));
        assert_eq!(request.meta().unwrap().as_str(), r#"{"progressToken":1}"#);

        let notification = Message::notification("x/\"y", None);
        reads_back(&notification);
        assert_eq!(notification.as_text(), r#"{"jsonrpc":"2.0","method":"x/\"y"}"#);
        reads_back(&Message::notification("notifications/progress", Some(params)));

        let response = Message::response(&Id::from(-7), Json::null());
        reads_back(&response);
        assert!(response.result().unwrap().is_null());

        let error = Message::error_response(None, -32000, "no\n", Some(Json::text("x")));
        reads_back(&error);
        assert_eq!(error.id(), None);
        assert_eq!(
            error.as_text(),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no\n","data":"x"}}"#
        );
        reads_back(&Message::error_response(Some(&Id::from(1)), 0, "", None));
    }

    #[test]
    #[should_panic(expected = "broken")]
    fn params_of_ours_that_are_no_object_are_noticed() {
        drop(Message::request(&Id::from(1), "x", Some(Json::null())));
    }

    impl Message {
        fn as_text(&self) -> &str {
            self.raw().as_str()
        }
    }
}
