//! The methods that the protocol knows: who sends them, in which era they exist, and what they name. Others are
//! extensions and pass as policy says.

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Clients.
    Client,
    /// Servers.
    Server,
    /// Both.
    Both,
}

/// What a method names in its params.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `name`, a tool.
    Tool,
    /// `name`, a prompt.
    Prompt,
    /// `uri`, a resource.
    Resource,
    /// `taskId`, a task.
    Task,
    /// `ref`, a prompt or a resource template.
    Completion,
}

/// What is known of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodFacts {
    /// Its name.
    pub name: &'static str,
    /// Who sends it.
    pub by: Party,
    /// True when it has no answer.
    pub notification: bool,
    /// It exists in versions up to 2025-11-25.
    pub legacy: bool,
    /// It exists since 2026-07-28.
    pub modern: bool,
    /// What it names.
    pub names: Option<Named>,
}

const fn request(name: &'static str, by: Party, legacy: bool, modern: bool, names: Option<Named>) -> MethodFacts {
    MethodFacts { name, by, notification: false, legacy, modern, names }
}

const fn note(name: &'static str, by: Party, legacy: bool, modern: bool) -> MethodFacts {
    MethodFacts { name, by, notification: true, legacy, modern, names: None }
}

/// All methods of all versions, with the tasks extension (SEP-2663).
pub const METHODS: &[MethodFacts] = &[
    request("tools/call", Party::Client, true, true, Some(Named::Tool)),
    request("tools/list", Party::Client, true, true, None),
    request("resources/read", Party::Client, true, true, Some(Named::Resource)),
    request("resources/list", Party::Client, true, true, None),
    request("resources/templates/list", Party::Client, true, true, None),
    request("resources/subscribe", Party::Client, true, false, Some(Named::Resource)),
    request("resources/unsubscribe", Party::Client, true, false, Some(Named::Resource)),
    request("prompts/get", Party::Client, true, true, Some(Named::Prompt)),
    request("prompts/list", Party::Client, true, true, None),
    request("completion/complete", Party::Client, true, true, Some(Named::Completion)),
    request("logging/setLevel", Party::Client, true, false, None),
    request("initialize", Party::Client, true, false, None),
    request("ping", Party::Both, true, false, None),
    request("server/discover", Party::Client, false, true, None),
    request("subscriptions/listen", Party::Client, false, true, None),
    request("tasks/get", Party::Both, true, true, Some(Named::Task)),
    request("tasks/cancel", Party::Both, true, true, Some(Named::Task)),
    request("tasks/result", Party::Both, true, false, Some(Named::Task)),
    request("tasks/list", Party::Both, true, false, None),
    request("tasks/update", Party::Client, false, true, Some(Named::Task)),
    request("sampling/createMessage", Party::Server, true, true, None),
    request("elicitation/create", Party::Server, true, true, None),
    request("roots/list", Party::Server, true, true, None),
    note("notifications/initialized", Party::Client, true, false),
    note("notifications/cancelled", Party::Both, true, true),
    note("notifications/progress", Party::Both, true, true),
    note("notifications/message", Party::Server, true, true),
    note("notifications/roots/list_changed", Party::Client, true, false),
    note("notifications/tools/list_changed", Party::Server, true, true),
    note("notifications/prompts/list_changed", Party::Server, true, true),
    note("notifications/resources/list_changed", Party::Server, true, true),
    note("notifications/resources/updated", Party::Server, true, true),
    note("notifications/subscriptions/acknowledged", Party::Server, false, true),
    note("notifications/tasks/status", Party::Both, true, false),
    note("notifications/tasks", Party::Server, false, true),
    note("notifications/elicitation/complete", Party::Server, true, true),
];

/// What is known of a method; `None` for extensions.
#[must_use]
pub fn facts(method: &str) -> Option<&'static MethodFacts> {
    METHODS.iter().find(|facts| facts.name == method)
}
