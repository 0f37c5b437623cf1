//! What to say of a wrong key or value besides that it is wrong: the nearest right name, the place where a key
//! belongs, what other programs call it. Nothing here decides whether something is wrong.

use crate::diagnose::{Problem, nearest, quoted};
use crate::tree::{Content, Node};

/// A few words beside the place, or a line below.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Label(String),
    Help(String),
}

impl Hint {
    pub(crate) fn put(self, problem: Problem) -> Problem {
        match self {
            Self::Label(label) => problem.label(label),
            Self::Help(help) => problem.help(help),
        }
    }
}

/// Of a key that is not known where it stands.
pub(crate) fn unknown_key(key: &str, known: &[&str]) -> Hint {
    let spelling = nearest(key, known).map(|name| Hint::Label(format!("did you mean `{name}`?")));
    let cage = IN_CAGE.iter().find(|(name, _)| *name == key);
    if let Some((_, right)) = cage.filter(|(_, right)| known.contains(right)) {
        return Hint::Help(format!("it is called `{right}` here"));
    }
    // A key with exactly this name elsewhere is likelier than one that is merely alike here.
    if let Some(level) = level_of(key) {
        return Hint::Help(format!("`{key}` belongs {level}"));
    }
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == key) {
        return Hint::Help((*instead).to_owned());
    }
    spelling.unwrap_or_else(|| Hint::Help(format!("known here: {}", list(known))))
}

/// Of a value that must be of another kind.
pub(crate) fn kind(key: &str, node: &Node) -> Option<String> {
    let Content::Scalar(scalar) = &node.content else {
        return match key {
            "environment" | "headers" | "secrets" => Some("write a mapping: `{ NAME: value }`".to_owned()),
            "sandbox" => Some(GRANTS.to_owned()),
            _ => None,
        };
    };
    let written = scalar.written();
    match key {
        "command" => Some(format!(
            "no shell reads it; write the program and each argument apart: {}",
            words(written)
        )),
        "environment" | "headers" | "secrets" => Some("write a mapping: `{ NAME: value }`".to_owned()),
        "sandbox" => Some(GRANTS.to_owned()),
        "breaches" => Some("write `{ limit: 3, within: 1m }`".to_owned()),
        "loopback" => Some("write `loopback: true` or `loopback: false`".to_owned()),
        "read" | "write" | "network" | "internal_network"
            if matches!(written, "none" | "off" | "no" | "false" | "") =>
        {
            Some("leave the key out: what is not named is not open".to_owned())
        }
        "contents" => Some("write `contents: true` or `contents: false`".to_owned()),
        "limit" | "depth" | "batch" | "in_flight" | "sessions" | "list_pages" | "cpu" | "processes" => {
            Some("write digits without quotes".to_owned())
        }
        "tools" | "resources" | "prompts" | "methods" | "asks" | "allowed_hosts" | "allowed_origins"
        | "network" | "internal_network" => Some(format!("write {}", words(written))),
        // A path may hold blanks.
        "read" | "write" => Some(format!("write {}", quoted(&format!("[{}]", item(written))))),
        _ => None,
    }
}

/// Of a key without a value.
pub(crate) fn empty(key: &str) -> Option<String> {
    Some(match key {
        "allow" => {
            "write `allow: {}` to allow nothing; without the key the holder of the token may use everything"
                .to_owned()
        }
        "servers" => missing("servers")?,
        "sandbox" => {
            "remove the key for a cage without grants, or name some: `sandbox: { read: [/srv/data] }`"
                .to_owned()
        }
        "read" | "write" | "network" | "internal_network" => {
            "write `[]` for none, or remove the key".to_owned()
        }
        _ => "remove the key, or write `\"\"` where an empty text is meant".to_owned(),
    })
}

/// Of a text that is none of the choices.
pub(crate) fn choice(written: &str, known: &[&str]) -> Hint {
    match nearest(written, known) {
        Some(name) => Hint::Label(format!("did you mean `{name}`?")),
        None if known.len() == 1 => Hint::Help(format!(
            "the only choice is {}: else leave the key out",
            list(known)
        )),
        None => Hint::Help(format!("choose one of {}", list(known))),
    }
}

/// Of a key that must be there.
pub(crate) fn missing(key: &str) -> Option<String> {
    (key == "servers").then(|| {
        "name at least one server: `servers: { files: { command: [PROGRAM, ARGUMENT] } }`".to_owned()
    })
}

/// Keys whose name says where they belong.
fn level_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "listen" | "identity" | "servers" | "limits" | "audit" => {
            "at the top of the file, without indentation"
        }
        "address" | "allowed_hosts" | "allowed_origins" => "under `listen`",
        "anonymous" | "token_file" => "under `identity`",
        "command" | "url" | "environment" | "directory" | "sandbox" | "transport" | "headers"
        | "plain_http" | "allow" | "refuse" | "protocol" | "restart" => {
            "to a server: under `servers`, below the server's name"
        }
        "tools" | "resources" | "prompts" | "methods" | "asks" => "under `allow` or `refuse` of a server",
        "start" | "call" | "idle" => "under `timeouts` of a server",
        "request_body" | "idle_session" | "session" | "drain" | "keep_alive" => {
            "under `timeouts` at the top of the file"
        }
        "message" | "header" | "depth" | "batch" | "answer" | "in_flight" | "sessions" | "list_pages" => {
            "under `limits`"
        }
        "durability" | "contents" => "under `audit`",
        // Not `files`: that is what many servers are called.
        "memory" | "cpu" | "processes" | "disk" | "read" | "write" | "network" | "internal_network"
        | "secrets" | "loopback" | "minimum" | "on_breach" | "breaches" => "under `sandbox` of a server",
        _ => return None,
    })
}

/// What is to be written for a cage.
const GRANTS: &str = "write what the program may do, such as `sandbox: { read: [/srv/data] }`; `sandbox: off` runs it with all rights of this user";

/// What other programs call the keys of a cage. Some of these names mean something else elsewhere.
const IN_CAGE: &[(&str, &str)] = &[
    ("net", "network"),
    ("hosts", "network"),
    ("host", "network"),
    ("egress", "network"),
    ("domains", "network"),
    ("allowed_domains", "network"),
    ("allowed_hosts", "network"),
    ("internal", "internal_network"),
    ("private_network", "internal_network"),
    ("ro", "read"),
    ("readonly", "read"),
    ("read_only", "read"),
    ("rw", "write"),
    ("writable", "write"),
    ("read_write", "write"),
    ("ram", "memory"),
    ("mem", "memory"),
    ("memory_limit", "memory"),
    ("cpus", "cpu"),
    ("cores", "cpu"),
    ("pids", "processes"),
    ("pids_limit", "processes"),
    ("threads", "processes"),
    ("storage", "disk"),
    ("inodes", "files"),
    ("tier", "minimum"),
    ("level", "minimum"),
    ("cage", "sandbox"),
    ("isolation", "sandbox"),
    ("container", "sandbox"),
    ("permissions", "sandbox"),
];

/// What other programs' files call things, and what is not there yet.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "mcpServers",
        "it is called `servers` here, and `command` takes the arguments too",
    ),
    ("mcp_servers", "it is called `servers` here"),
    (
        "args",
        "arguments are part of `command`: `command: [PROGRAM, ARGUMENT, …]`",
    ),
    (
        "arguments",
        "arguments are part of `command`: `command: [PROGRAM, ARGUMENT, …]`",
    ),
    ("env", "it is called `environment` here"),
    ("cwd", "it is called `directory` here"),
    ("net", "it is called `network`, under `sandbox` of a server"),
    ("egress", "it is called `network`, under `sandbox` of a server"),
    ("ram", "it is called `memory`, under `sandbox` of a server"),
    ("cage", "it is called `sandbox`, and belongs to a server"),
    (
        "volumes",
        "name folders under `sandbox` of a server, by their own paths: `read: [/srv/data]`, `write: [/srv/out]`",
    ),
    (
        "mounts",
        "name folders under `sandbox` of a server, by their own paths: `read: [/srv/data]`, `write: [/srv/out]`",
    ),
    (
        "type",
        "a server with `command` speaks over stdio, one with `url` over HTTP; see also `transport`",
    ),
    (
        "host",
        "write address and port together: `address: 127.0.0.1:8300`",
    ),
    (
        "port",
        "write address and port together: `address: 127.0.0.1:8300`",
    ),
    ("deny", "it is called `refuse` here"),
    (
        "tls",
        "this version has no TLS yet: put a proxy that has it in front",
    ),
    ("public_url", "this version listens on this machine only"),
    (
        "issuers",
        "this version knows no identity providers yet: callers use the generated token",
    ),
    (
        "policies",
        "this version has no policy files yet: use `allow` and `refuse` of a server",
    ),
    (
        "credential",
        "this version fetches no credentials yet: use `headers` with `${env:NAME}`",
    ),
    ("redact", "this version does not redact yet"),
    ("rate", "this version has no rate limits yet"),
    ("export", "this version exports no records yet"),
];

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A text as the list that was probably meant.
fn words(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(item).collect();
    quoted(&format!("[{}]", words.join(", ")))
}

/// An item of a list in brackets, in quotes where YAML needs them.
pub(crate) fn item(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=".contains(letter);
    if word.chars().all(plain) && word != "-" {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named() {
        let known = ["command", "url", "sandbox", "allow"];
        assert_eq!(
            unknown_key("sandbx", &known),
            Hint::Label("did you mean `sandbox`?".to_owned())
        );
        assert_eq!(
            unknown_key("Command", &known),
            Hint::Label("did you mean `command`?".to_owned())
        );
        assert!(
            matches!(unknown_key("zzz", &known), Hint::Help(help) if help.contains("known here: `command`"))
        );
    }

    #[test]
    fn a_key_of_another_level_is_sent_there() {
        let hint = unknown_key("address", &["listen", "servers"]);
        assert_eq!(hint, Hint::Help("`address` belongs under `listen`".to_owned()));
    }

    #[test]
    fn what_other_cages_call_it_is_known_where_it_matters() {
        let called = |key: &str, known: &[&str]| match unknown_key(key, known) {
            Hint::Help(help) | Hint::Label(help) => help,
        };
        let cage = ["read", "write", "network", "memory"];
        assert_eq!(called("hosts", &cage), "it is called `network` here");
        assert_eq!(called("ram", &cage), "it is called `memory` here");
        assert!(called("host", &["address"]).contains("address and port"));
        assert!(called("net", &["command"]).contains("under `sandbox`"));
        // Many servers are called so.
        assert!(!called("files", &["listen"]).contains("sandbox"));
    }

    #[test]
    fn what_clients_call_it_is_known() {
        assert!(
            matches!(unknown_key("args", &["command"]), Hint::Help(help) if help.contains("part of `command`"))
        );
    }

    #[test]
    fn a_line_becomes_a_list() {
        assert_eq!(words("npx -y @scope/pkg"), "`[npx, -y, \"@scope/pkg\"]`");
    }
}
