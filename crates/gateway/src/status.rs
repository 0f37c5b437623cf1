//! What `mantlet status` shows: what runs, and which control is in force. Only what really runs is claimed; the
//! state of each practice is derived from the settings and the links, not from a wish list.

use mantlet_config::cage::Cage;
use mantlet_config::{Protocol, Transport};
use mantlet_sandbox::Itself;
use serde::Serialize;

use crate::upstream::Server;
use crate::upstream::health::View;
use crate::{Gateway, Halves};

/// The state of one gateway process.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Sessions and stateless clients that are known now.
    pub clients: usize,
    /// What holds the gateway itself.
    pub itself: Itself,
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
    /// `up`, `down`, `in quarantine` or `not used yet`.
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
            itself: itself(self.halves()),
            servers: in_force
                .servers
                .iter()
                .map(|server| server_status(server))
                .collect(),
            practices: practices(self),
        }
    }
}

/// What was found out when the walls were raised; a gateway of one process has none.
fn itself(halves: &Halves) -> Itself {
    match halves {
        Halves::Two { itself, .. } => itself.clone(),
        Halves::One => Itself {
            in_force: Vec::new(),
            not_in_force: vec![
                "one process, which starts servers itself: it has all rights of this user (`serve` is two)"
                    .to_owned(),
            ],
        },
    }
}

fn server_status(server: &Server) -> ServerStatus {
    let view = server.health.view();
    let (transport, mut in_force, mut not_in_force) = match &server.settings.transport {
        Transport::Command(line) => {
            let (mut held, loose) = cage_status(&line.cage, &view);
            held.push("standard error drained and capped".to_owned());
            ("stdio", held, loose)
        }
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
    if view.breaches > 0 {
        not_in_force.push(format!(
            "cage: {} breaches were refused since the start",
            view.breaches
        ));
    }
    let state = match (view.up, view.opened, &view.last_error) {
        _ if view.quarantine.is_some() => "in quarantine",
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
        last_error: view.quarantine.or(view.last_error),
        strays: view.strays,
        in_force,
        not_in_force,
    }
}

/// What the cage was found to hold when the server was started last, and what the configuration or the machine takes
/// from it.
fn cage_status(cage: &Cage, view: &View) -> (Vec<String>, Vec<String>) {
    let Cage::On(settings) = cage else {
        return (
            vec![
                "environment from nothing plus what the configuration grants".to_owned(),
                "a keeper, which ends it with all that it started, however that detached".to_owned(),
            ],
            vec!["cage: off by configuration: the server runs with all rights of this user".to_owned()],
        );
    };
    let Some(proof) = &view.proof else {
        return (
            Vec::new(),
            vec!["cage: not built yet: the server was not started since the gateway was".to_owned()],
        );
    };
    let held = proof.trials.iter().filter(|trial| trial.held).count();
    let mut in_force = vec![format!(
        "cage: {}; {held} of {} trials from within were prevented",
        proof.tier,
        proof.trials.len()
    )];
    in_force.extend(proof.enforced.iter().map(|layer| format!("cage: {layer}")));
    let mut loose: Vec<String> = proof.missing.iter().map(|what| format!("cage: {what}")).collect();
    loose.extend(granted(
        "may read",
        settings.read.iter().map(|path| path.display().to_string()),
    ));
    loose.extend(granted(
        "may write",
        settings.write.iter().map(|path| path.display().to_string()),
    ));
    let hosts = settings.network.iter().chain(&settings.internal_network);
    loose.extend(granted("may reach", hosts.map(ToString::to_string)));
    if settings.loopback {
        loose.push("cage: may open ports of its own, seen within the cage only".to_owned());
    }
    (in_force, loose)
}

fn granted(what: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| format!("cage: {what} {}, by configuration", names.join(", ")))
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
        IN_FORCE,
        "every stdio server in a cage: namespaces, own root, Landlock, seccomp, limits, hosts by name; tried from within at each start",
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
    let in_force = gateway.in_force();
    let anonymous = in_force.settings.identity.anonymous;
    let bare = in_force
        .settings
        .servers
        .iter()
        .any(|server| matches!(&server.transport, Transport::Command(line) if line.cage == Cage::Off));
    let row = |(number, name, state, detail): (u8, &'static str, &'static str, &str)| {
        let loosened = match number {
            2 if anonymous => Some(OPEN_TO_ALL_HERE),
            9 if bare => Some(SOME_ARE_BARE),
            _ => None,
        };
        Practice {
            number,
            name,
            state: loosened.map_or(state, |_| PARTLY),
            detail: loosened.unwrap_or(detail).to_owned(),
        }
    };
    PRACTICES.into_iter().map(row).collect()
}

const SOME_ARE_BARE: &str =
    "servers run in cages, but for those that the configuration sets `sandbox: off` for";
const OPEN_TO_ALL_HERE: &str =
    "Cedar, default deny; but anyone on this machine may call without a token, as the configuration says";
