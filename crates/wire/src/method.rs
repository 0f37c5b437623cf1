//! The methods that the specification knows, in all its versions and its tasks extension. Not here: who may
//! call them.

use crate::fold::fold;

/// What the specification says about a method.
#[derive(Debug, PartialEq, Eq)]
pub struct MethodFacts {
    /// The method.
    pub name: &'static str,
    /// Who sends it.
    pub by: Party,
    /// Whether it is a notification, not a request.
    pub notification: bool,
    /// Whether it exists in the versions with `initialize` (2024-11-05 to 2025-11-25).
    pub legacy: bool,
    /// Whether it exists in the stateless version (2026-07-28) as a message of its own. Requests of servers do
    /// not: there they travel within results (basic/patterns/mrtr).
    pub modern: bool,
    /// What its parameters name.
    pub names: Option<Named>,
}

/// Who sends a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The client only.
    Client,
    /// The server only.
    Server,
    /// Either.
    Both,
}

/// What the parameters of a method name, and in which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A tool, in `params.name`.
    Tool,
    /// A prompt, in `params.name`.
    Prompt,
    /// A resource, in `params.uri`.
    Resource,
    /// A task, in `params.taskId`.
    Task,
    /// A prompt or a resource template, in `params.ref`.
    Completion,
}

/// What the specification says about the method; `None` when it is an extension's, or nobody's.
#[must_use]
pub fn facts(method: &str) -> Option<&'static MethodFacts> {
    METHODS.iter().find(|facts| facts.name == method)
}

/// The method of the specification that a careless server may take this one for; `None` when it is one itself, or
/// like none. Only letters and digits count, without case: `Tools/Call`, `tools//call` and `tools/call ` are all
/// like `tools/call`.
#[must_use]
pub fn lookalike(method: &str) -> Option<&'static str> {
    if facts(method).is_some() || method.len() > LONGEST_DISGUISE {
        return None;
    }
    let skeleton =
        |name: &str| -> String { fold(name).chars().filter(char::is_ascii_alphanumeric).collect() };
    let disguised = skeleton(method);
    METHODS
        .iter()
        .map(|facts| facts.name)
        .find(|name| skeleton(name) == disguised)
}

/// Longer names are like none that the specification knows.
const LONGEST_DISGUISE: usize = 512;

const fn request(name: &'static str, by: Party, eras: Eras, names: Option<Named>) -> MethodFacts {
    MethodFacts {
        name,
        by,
        notification: false,
        legacy: eras.legacy(),
        modern: eras.modern(),
        names,
    }
}

const fn notification(name: &'static str, by: Party, eras: Eras, names: Option<Named>) -> MethodFacts {
    MethodFacts {
        name,
        by,
        notification: true,
        legacy: eras.legacy(),
        modern: eras.modern(),
        names,
    }
}

#[derive(Clone, Copy)]
enum Eras {
    Both,
    Legacy,
    Modern,
}

impl Eras {
    const fn legacy(self) -> bool {
        matches!(self, Self::Both | Self::Legacy)
    }

    const fn modern(self) -> bool {
        matches!(self, Self::Both | Self::Modern)
    }
}

use Eras::{Legacy, Modern};
use Party::{Client, Server};

// The frequent ones first.
static METHODS: &[MethodFacts] = &[
    request("tools/call", Client, Eras::Both, Some(Named::Tool)),
    request("tools/list", Client, Eras::Both, None),
    request("resources/read", Client, Eras::Both, Some(Named::Resource)),
    request("prompts/get", Client, Eras::Both, Some(Named::Prompt)),
    request("resources/list", Client, Eras::Both, None),
    request("resources/templates/list", Client, Eras::Both, None),
    request("prompts/list", Client, Eras::Both, None),
    request("completion/complete", Client, Eras::Both, Some(Named::Completion)),
    notification("notifications/progress", Party::Both, Eras::Both, None),
    notification("notifications/cancelled", Party::Both, Eras::Both, None),
    notification("notifications/message", Server, Eras::Both, None),
    notification("notifications/tools/list_changed", Server, Eras::Both, None),
    notification("notifications/resources/list_changed", Server, Eras::Both, None),
    notification(
        "notifications/resources/updated",
        Server,
        Eras::Both,
        Some(Named::Resource),
    ),
    notification("notifications/prompts/list_changed", Server, Eras::Both, None),
    // 2026-07-28.
    request("server/discover", Client, Modern, None),
    request("subscriptions/listen", Client, Modern, None),
    notification("notifications/subscriptions/acknowledged", Server, Modern, None),
    // 2024-11-05 to 2025-11-25.
    request("initialize", Client, Legacy, None),
    notification("notifications/initialized", Client, Legacy, None),
    request("ping", Party::Both, Legacy, None),
    request("logging/setLevel", Client, Legacy, None),
    request("resources/subscribe", Client, Legacy, Some(Named::Resource)),
    request("resources/unsubscribe", Client, Legacy, Some(Named::Resource)),
    request("sampling/createMessage", Server, Legacy, None),
    request("elicitation/create", Server, Legacy, None),
    request("roots/list", Server, Legacy, None),
    notification("notifications/roots/list_changed", Client, Legacy, None),
    notification("notifications/elicitation/complete", Server, Legacy, None),
    // Tasks: built in and both ways in 2025-11-25, an extension of servers in 2026-07-28 (SEP-2663).
    request("tasks/get", Party::Both, Eras::Both, Some(Named::Task)),
    request("tasks/cancel", Party::Both, Eras::Both, Some(Named::Task)),
    request("tasks/update", Client, Modern, Some(Named::Task)),
    request("tasks/result", Party::Both, Legacy, Some(Named::Task)),
    request("tasks/list", Party::Both, Legacy, None),
    notification(
        "notifications/tasks/status",
        Party::Both,
        Legacy,
        Some(Named::Task),
    ),
    notification("notifications/tasks", Server, Modern, Some(Named::Task)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disguised_method_is_known_again() {
        for disguised in [
            "Tools/Call",
            "tools/call ",
            "tools//call",
            "/tools/call",
            "tools/call\0",
            "tools\u{2215}call",
            "tools_call",
            "too\u{200b}ls/call",
        ] {
            assert_eq!(lookalike(disguised), Some("tools/call"), "{disguised:?}");
        }
        for honest in ["tools/call", "tools/calls", "acme/tools/call", "x"] {
            assert_eq!(lookalike(honest), None, "{honest}");
        }
    }

    #[test]
    fn each_method_is_there_once_and_in_some_era() {
        for (index, one) in METHODS.iter().enumerate() {
            assert!(one.legacy || one.modern, "{}", one.name);
            assert_eq!(
                one.notification,
                one.name.starts_with("notifications/"),
                "{}",
                one.name
            );
            assert!(
                METHODS[index + 1..].iter().all(|other| other.name != one.name),
                "{}",
                one.name
            );
            assert_eq!(facts(one.name), Some(one));
        }
    }

    #[test]
    fn an_unknown_method_has_no_facts() {
        for unknown in ["", "tools", "tools/call ", "Tools/call", "tools/call\0", "x/y"] {
            assert_eq!(facts(unknown), None, "{unknown}");
        }
    }
}
