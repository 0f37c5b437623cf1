//! What `mantlet status` shows: what runs, and which control is in force. Only what really runs is claimed; the
//! state of each practice is derived from the settings and the links, not from a wish list.

use mantlet_config::{Protocol, Transport};
use serde::Serialize;

use crate::Gateway;
use crate::upstream::Server;

/// The state of one gateway process.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Sessions and stateless clients that are known now.
    pub clients: usize,
    /// Per server, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
    /// The fifteen practices, in their order.
    pub practices: Vec<Practice>,
}

/// The state of one server.
#[derive(Debug, Serialize)]
pub struct ServerStatus {
    /// As the configuration names it.
    pub name: String,
    /// `stdio`, `http` or `sse`.
    pub transport: &'static str,
    /// `up`, `down` or `not used yet`.
    pub state: &'static str,
    /// The protocol version of the last handshake.
    pub version: Option<String>,
    /// How often a connection was opened or the process started.
    pub opened: u64,
    /// Why the last attempt, or the last connection, failed.
    pub last_error: Option<String>,
    /// Answers that nobody had asked for, and what was no message: dropped, since the gateway was started.
    pub strays: u64,
    /// Controls that hold for this server now.
    pub in_force: Vec<String>,
    /// Controls that do not.
    pub not_in_force: Vec<String>,
}

/// The state of one practice.
#[derive(Debug, Serialize)]
pub struct Practice {
    /// 1 to 15.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// `in force`, `partly` or `not in force`.
    pub state: &'static str,
    /// What does and what does not hold.
    pub detail: String,
}

impl Gateway {
    /// The state now.
    #[must_use]
    pub fn status(&self) -> Status {
        let in_force = self.in_force();
        Status {
            clients: self.clients.count(),
            servers: in_force
                .servers
                .iter()
                .map(|server| server_status(server))
                .collect(),
            practices: practices(self),
        }
    }
}

fn server_status(server: &Server) -> ServerStatus {
    let view = server.health.view();
    let (transport, mut in_force, mut not_in_force) = match &server.settings.transport {
        Transport::Command(_) => (
            "stdio",
            vec![
                "environment from nothing plus what the configuration grants".to_owned(),
                "own process group, killed with its descendants".to_owned(),
                "standard error drained and capped".to_owned(),
            ],
            vec!["sandbox: the server runs with all rights of this user".to_owned()],
        ),
        Transport::Http(http) => (
            "http",
            vec!["no redirects, no cookies; the client's token is never sent on".to_owned()],
            if http.url.starts_with("https:") {
                Vec::new()
            } else {
                vec!["TLS: this server is reached over plain HTTP".to_owned()]
            },
        ),
    };
    in_force
        .push("strict parse both ways; arguments and results checked against the tool's schemas".to_owned());
    in_force.push("only what the server lists can be called".to_owned());
    match &server.settings.rules.allow {
        Some(_) => in_force.push("allow list: what it does not name is refused".to_owned()),
        None => {
            not_in_force.push("no allow list: the owner may use everything that is not refused".to_owned())
        }
    }
    if server.settings.protocol != Protocol::Auto {
        in_force.push("protocol era fixed by configuration".to_owned());
    }
    not_in_force.push("content inspection and pinned definitions".to_owned());
    let state = match (view.up, view.opened, &view.last_error) {
        (true, ..) => "up",
        (false, 0, None) => "not used yet",
        (false, ..) => "down",
    };
    ServerStatus {
        name: server.name.to_string(),
        transport,
        state,
        version: view.version,
        opened: view.opened,
        last_error: view.last_error,
        strays: view.strays,
        in_force,
        not_in_force,
    }
}

const IN_FORCE: &str = "in force";
const PARTLY: &str = "partly";
const NOT: &str = "not in force";

/// What does not depend on the configuration: number, name, state, and what that rests on.
const PRACTICES: [(u8, &str, &str, &str); 15] = [
    (
        1,
        "input validation",
        IN_FORCE,
        "one strict parse; headers equal body; arguments and results against JSON Schema; resource URIs without traversal",
    ),
    (
        2,
        "access control",
        IN_FORCE,
        "every HTTP request needs the token, stdio is the local user; Cedar, default deny",
    ),
    (
        3,
        "secure communication",
        PARTLY,
        "loopback only; Host and Origin checked; TLS to servers verified; no TLS towards clients yet",
    ),
    (
        4,
        "rate limiting",
        PARTLY,
        "concurrency and session caps per caller, size caps everywhere; no rates or budgets yet",
    ),
    (
        5,
        "logging and monitoring",
        PARTLY,
        "every message and verdict in a hash-chained log, no record no reply; no signed checkpoints, export or metrics yet",
    ),
    (
        6,
        "secure storage",
        NOT,
        "there is no vault yet; nothing secret is stored but the token file (mode 0600)",
    ),
    (
        7,
        "token management",
        PARTLY,
        "the inbound token never leaves the process; servers get only configured credentials; no exchange yet",
    ),
    (
        8,
        "session management",
        IN_FORCE,
        "256-bit ids bound to caller and endpoint, idle and absolute expiry, never authentication",
    ),
    (
        9,
        "sandboxed tool execution",
        NOT,
        "servers run with the rights of this user; only their environment and descendants are controlled",
    ),
    (10, "regular security audits", NOT, "not built yet"),
    (11, "prompt validation", NOT, "not built yet"),
    (
        12,
        "delegated authentication",
        NOT,
        "not built yet: a generated token stands in for an identity provider",
    ),
    (
        13,
        "scoped permissions",
        PARTLY,
        "per tool, resource and prompt, lists filtered by the same decisions; not yet per argument, role or approval",
    ),
    (
        14,
        "data minimisation",
        PARTLY,
        "the log keeps digests instead of contents unless told otherwise; answers are not cut down yet",
    ),
    (15, "vulnerability scanning", NOT, "not built yet"),
];

fn practices(gateway: &Gateway) -> Vec<Practice> {
    let anonymous = gateway.in_force().settings.identity.anonymous;
    let row = |(number, name, state, detail): (u8, &'static str, &'static str, &str)| {
        let open = number == 2 && anonymous;
        Practice {
            number,
            name,
            state: if open { PARTLY } else { state },
            detail: if open { OPEN_TO_ALL_HERE } else { detail }.to_owned(),
        }
    };
    PRACTICES.into_iter().map(row).collect()
}

const OPEN_TO_ALL_HERE: &str =
    "Cedar, default deny; but anyone on this machine may call without a token, as the configuration says";
