//! What the specification knows where: the keys of each object of an MCP message, in all versions together.
//! Not here: the values behind them.

use crate::keys::Key;

/// An object that the walk can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Annotations,
    Answers,
    Argument,
    Capabilities,
    Completion,
    Content,
    Contents,
    Context,
    Envelope,
    ErrorObject,
    Filter,
    /// Arguments, schemas, structured content, data: keys of the servers, not of the specification.
    Free,
    Icon,
    Implementation,
    Meta,
    Params,
    Prompt,
    PromptArgument,
    Question,
    Questions,
    Reference,
    Resource,
    Result,
    Root,
    SpokenMessage,
    Task,
    Template,
    Tool,
    ToolAnnotations,
}

/// What a value will be, if it is an object, and what its items will be, if it is an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Then {
    pub(crate) object: Place,
    pub(crate) items: Place,
}

impl Then {
    pub(crate) const FREE: Self = Self {
        object: Place::Free,
        items: Place::Free,
    };
    pub(crate) const MESSAGE: Self = Self {
        object: Place::Envelope,
        items: Place::Free,
    };
    pub(crate) const BATCH: Self = Self {
        object: Place::Free,
        items: Place::Envelope,
    };
}

/// A key that the specification knows in a place.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: &'static str,
    pub(crate) then: Then,
}

/// What a place says about a key.
#[must_use]
pub(crate) enum Judged {
    /// Spelled as in the specification.
    Known(&'static Known),
    /// Not in the specification, yet a careless reader would take it for this one.
    Lookalike(&'static Known),
    /// None of the specification's business.
    Unknown(Then),
}

impl Place {
    /// Judges a key of this place.
    pub(crate) fn judge(self, key: &Key<'_>) -> Judged {
        for known in self.known() {
            if known.key.len() == key.folded().len() && known.key.eq_ignore_ascii_case(key.folded()) {
                return if known.key == key.exact() {
                    Judged::Known(known)
                } else {
                    Judged::Lookalike(known)
                };
            }
        }
        Judged::Unknown(self.others())
    }

    /// What is behind the keys that the specification leaves to others.
    fn others(self) -> Then {
        match self {
            Self::Answers => ONE_RESULT,
            Self::Questions => ONE_QUESTION,
            _ => Then::FREE,
        }
    }

    /// The keys of this place, the frequent ones first.
    fn known(self) -> &'static [Known] {
        match self {
            Self::Annotations => ANNOTATIONS,
            Self::Argument => ARGUMENT,
            Self::Capabilities => CAPABILITIES,
            Self::Completion => COMPLETION,
            Self::Content => CONTENT,
            Self::Contents => CONTENTS,
            Self::Context => CONTEXT,
            Self::Envelope => ENVELOPE,
            Self::ErrorObject => ERROR_OBJECT,
            Self::Filter => FILTER,
            Self::Answers | Self::Free | Self::Questions => &[],
            Self::Icon => ICON,
            Self::Implementation => IMPLEMENTATION,
            Self::Meta => META,
            Self::Params => PARAMS,
            Self::Prompt => PROMPT,
            Self::PromptArgument => PROMPT_ARGUMENT,
            Self::Question => QUESTION,
            Self::Reference => REFERENCE,
            Self::Resource => RESOURCE,
            Self::Result => RESULT,
            Self::Root => ROOT,
            Self::SpokenMessage => SPOKEN_MESSAGE,
            Self::Task => TASK,
            Self::Template => TEMPLATE,
            Self::Tool => TOOL,
            Self::ToolAnnotations => TOOL_ANNOTATIONS,
        }
    }
}

const ONE_QUESTION: Then = Then {
    object: Place::Question,
    items: Place::Free,
};
const ONE_RESULT: Then = Then {
    object: Place::Result,
    items: Place::Free,
};

const fn plain(key: &'static str) -> Known {
    Known {
        key,
        then: Then::FREE,
    }
}

const fn one(key: &'static str, object: Place) -> Known {
    Known {
        key,
        then: Then {
            object,
            items: Place::Free,
        },
    }
}

const fn each(key: &'static str, items: Place) -> Known {
    Known {
        key,
        then: Then {
            object: Place::Free,
            items,
        },
    }
}

const fn one_or_each(key: &'static str, place: Place) -> Known {
    Known {
        key,
        then: Then {
            object: place,
            items: place,
        },
    }
}

const META_KEY: Known = one("_meta", Place::Meta);

// MCP 2026-07-28 schema §JSONRPCRequest, §JSONRPCResultResponse, §JSONRPCErrorResponse.
const ENVELOPE: &[Known] = &[
    plain("jsonrpc"),
    plain("id"),
    plain("method"),
    one("params", Place::Params),
    one("result", Place::Result),
    one("error", Place::ErrorObject),
];

const ERROR_OBJECT: &[Known] = &[plain("code"), plain("message"), plain("data")];

// §RequestMetaObject, §NotificationMetaObject, §ResultMetaObject; W3C names as in basic §_meta.
const META: &[Known] = &[
    plain("progressToken"),
    plain("io.modelcontextprotocol/protocolVersion"),
    one("io.modelcontextprotocol/clientInfo", Place::Implementation),
    one("io.modelcontextprotocol/clientCapabilities", Place::Capabilities),
    one("io.modelcontextprotocol/serverInfo", Place::Implementation),
    plain("io.modelcontextprotocol/logLevel"),
    plain("io.modelcontextprotocol/subscriptionId"),
    one("io.modelcontextprotocol/related-task", Place::Task),
    plain("traceparent"),
    plain("tracestate"),
    plain("baggage"),
];

// All requests and notifications together: the method may come after the parameters.
const PARAMS: &[Known] = &[
    META_KEY,
    plain("name"),
    plain("arguments"),
    plain("uri"),
    plain("cursor"),
    plain("requestId"),
    plain("progressToken"),
    plain("progress"),
    plain("total"),
    plain("message"),
    plain("reason"),
    plain("level"),
    plain("logger"),
    plain("data"),
    plain("requestState"),
    one("inputResponses", Place::Answers),
    plain("protocolVersion"),
    one("capabilities", Place::Capabilities),
    one("clientInfo", Place::Implementation),
    one("notifications", Place::Filter),
    one("ref", Place::Reference),
    one("argument", Place::Argument),
    one("context", Place::Context),
    // sampling/createMessage
    each("messages", Place::SpokenMessage),
    plain("modelPreferences"),
    plain("systemPrompt"),
    plain("includeContext"),
    plain("temperature"),
    plain("maxTokens"),
    plain("stopSequences"),
    plain("metadata"),
    each("tools", Place::Tool),
    plain("toolChoice"),
    // elicitation/create
    plain("mode"),
    plain("requestedSchema"),
    plain("url"),
    plain("elicitationId"),
    // Tasks: 2025-11-25, and the extension of 2026-07-28.
    one("task", Place::Task),
    plain("taskId"),
    plain("status"),
    plain("statusMessage"),
    plain("createdAt"),
    plain("lastUpdatedAt"),
    plain("ttl"),
    plain("ttlMs"),
    plain("pollInterval"),
    plain("pollIntervalMs"),
    one("result", Place::Result),
    one("error", Place::ErrorObject),
    one("inputRequests", Place::Questions),
];

// All results together: which request one answers is known to the caller only. `content` is an array in a tool
// result, but in an answer to elicitation an object with the keys of the form.
const RESULT: &[Known] = &[
    META_KEY,
    plain("resultType"),
    each("content", Place::Content),
    plain("structuredContent"),
    plain("isError"),
    each("tools", Place::Tool),
    each("prompts", Place::Prompt),
    each("resources", Place::Resource),
    each("resourceTemplates", Place::Template),
    each("contents", Place::Contents),
    each("messages", Place::SpokenMessage),
    plain("description"),
    plain("nextCursor"),
    plain("ttlMs"),
    plain("cacheScope"),
    one("inputRequests", Place::Questions),
    plain("requestState"),
    plain("protocolVersion"),
    plain("supportedVersions"),
    one("capabilities", Place::Capabilities),
    one("serverInfo", Place::Implementation),
    plain("instructions"),
    one("completion", Place::Completion),
    // Answers of the client.
    each("roots", Place::Root),
    plain("action"),
    plain("role"),
    plain("model"),
    plain("stopReason"),
    // Tasks.
    one("task", Place::Task),
    each("tasks", Place::Task),
    plain("taskId"),
    plain("status"),
    plain("statusMessage"),
    plain("createdAt"),
    plain("lastUpdatedAt"),
    plain("ttl"),
    plain("pollInterval"),
    plain("pollIntervalMs"),
    one("result", Place::Result),
    one("error", Place::ErrorObject),
];

const TOOL: &[Known] = &[
    plain("name"),
    plain("title"),
    plain("description"),
    plain("inputSchema"),
    plain("outputSchema"),
    one("annotations", Place::ToolAnnotations),
    plain("execution"),
    each("icons", Place::Icon),
    META_KEY,
];

const TOOL_ANNOTATIONS: &[Known] = &[
    plain("title"),
    plain("readOnlyHint"),
    plain("destructiveHint"),
    plain("idempotentHint"),
    plain("openWorldHint"),
];

const PROMPT: &[Known] = &[
    plain("name"),
    plain("title"),
    plain("description"),
    each("arguments", Place::PromptArgument),
    each("icons", Place::Icon),
    META_KEY,
];

const PROMPT_ARGUMENT: &[Known] = &[
    plain("name"),
    plain("title"),
    plain("description"),
    plain("required"),
];

const RESOURCE: &[Known] = &[
    plain("uri"),
    plain("name"),
    plain("title"),
    plain("description"),
    plain("mimeType"),
    one("annotations", Place::Annotations),
    plain("size"),
    each("icons", Place::Icon),
    META_KEY,
];

const TEMPLATE: &[Known] = &[
    plain("uriTemplate"),
    plain("name"),
    plain("title"),
    plain("description"),
    plain("mimeType"),
    one("annotations", Place::Annotations),
    each("icons", Place::Icon),
    META_KEY,
];

const CONTENTS: &[Known] = &[
    plain("uri"),
    plain("mimeType"),
    plain("text"),
    plain("blob"),
    META_KEY,
];

// Text, image, audio, resource link, embedded resource, tool use and tool result together.
const CONTENT: &[Known] = &[
    plain("type"),
    plain("text"),
    plain("data"),
    plain("mimeType"),
    one("annotations", Place::Annotations),
    META_KEY,
    one("resource", Place::Contents),
    plain("uri"),
    plain("name"),
    plain("title"),
    plain("description"),
    plain("size"),
    each("icons", Place::Icon),
    plain("id"),
    plain("input"),
    plain("toolUseId"),
    one_or_each("content", Place::Content),
    plain("structuredContent"),
    plain("isError"),
];

const SPOKEN_MESSAGE: &[Known] = &[plain("role"), one_or_each("content", Place::Content), META_KEY];

const ANNOTATIONS: &[Known] = &[plain("audience"), plain("priority"), plain("lastModified")];

const ICON: &[Known] = &[plain("src"), plain("mimeType"), plain("sizes"), plain("theme")];

const IMPLEMENTATION: &[Known] = &[
    plain("name"),
    plain("title"),
    plain("version"),
    plain("description"),
    plain("websiteUrl"),
    each("icons", Place::Icon),
];

// Of clients and servers together.
const CAPABILITIES: &[Known] = &[
    plain("tools"),
    plain("resources"),
    plain("prompts"),
    plain("logging"),
    plain("completions"),
    plain("roots"),
    plain("sampling"),
    plain("elicitation"),
    plain("tasks"),
    plain("extensions"),
    plain("experimental"),
];

const COMPLETION: &[Known] = &[plain("values"), plain("total"), plain("hasMore")];

const REFERENCE: &[Known] = &[plain("type"), plain("name"), plain("uri"), plain("title")];

const ARGUMENT: &[Known] = &[plain("name"), plain("value")];

const CONTEXT: &[Known] = &[plain("arguments")];

const FILTER: &[Known] = &[
    plain("toolsListChanged"),
    plain("promptsListChanged"),
    plain("resourcesListChanged"),
    plain("resourceSubscriptions"),
    plain("taskIds"),
];

const ROOT: &[Known] = &[plain("uri"), plain("name"), META_KEY];

const TASK: &[Known] = &[
    plain("taskId"),
    plain("status"),
    plain("statusMessage"),
    plain("createdAt"),
    plain("lastUpdatedAt"),
    plain("ttl"),
    plain("ttlMs"),
    plain("pollInterval"),
    plain("pollIntervalMs"),
    plain("requestState"),
];

// The requests within an `input_required` result: a method and its parameters, no id (§InputRequests).
const QUESTION: &[Known] = &[plain("method"), one("params", Place::Params)];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Place] = &[
        Place::Annotations,
        Place::Argument,
        Place::Capabilities,
        Place::Completion,
        Place::Content,
        Place::Contents,
        Place::Context,
        Place::Envelope,
        Place::ErrorObject,
        Place::Filter,
        Place::Icon,
        Place::Implementation,
        Place::Meta,
        Place::Params,
        Place::Prompt,
        Place::PromptArgument,
        Place::Question,
        Place::Reference,
        Place::Resource,
        Place::Result,
        Place::Root,
        Place::SpokenMessage,
        Place::Task,
        Place::Template,
        Place::Tool,
        Place::ToolAnnotations,
    ];

    #[test]
    fn no_two_keys_of_a_place_are_twins_and_all_are_plain() {
        for place in ALL {
            let known = place.known();
            assert!(!known.is_empty(), "{place:?}");
            for (index, one) in known.iter().enumerate() {
                assert!(crate::fold::is_plain(one.key), "{place:?} {}", one.key);
                for other in &known[index + 1..] {
                    assert!(!one.key.eq_ignore_ascii_case(other.key), "{place:?} {}", one.key);
                }
            }
        }
    }

    #[test]
    fn a_key_is_known_a_lookalike_or_neither() {
        for place in ALL {
            for known in place.known() {
                let judged = place.judge(&Key::new(known.key.into(), 0));
                assert!(matches!(judged, Judged::Known(found) if found.key == known.key));
                for disguised in [
                    known.key.to_ascii_uppercase(),
                    format!("{}\0", known.key),
                    format!("\u{feff}{}", known.key),
                    format!(" {}", known.key),
                    known.key.replace('s', "\u{17f}").replace('k', "\u{212a}") + "\u{200b}",
                ] {
                    let judged = place.judge(&Key::new(disguised.clone().into(), 0));
                    assert!(
                        matches!(judged, Judged::Lookalike(found) if found.key == known.key),
                        "{disguised:?}"
                    );
                }
                let other = format!("x-{}", known.key);
                assert!(matches!(
                    place.judge(&Key::new(other.into(), 0)),
                    Judged::Unknown(_)
                ));
            }
        }
    }
}
