//! What a checked configuration means: plain values with their units, ready to be used. How they are written in
//! a file is in `file`; nothing here parses.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mantlet_access::{Lists, ServerRules};
use mantlet_audit::Durability;
use mantlet_wire::Caps;

use crate::cage::Cage;
use crate::check;
use crate::defaults;
use crate::diagnose::{Diagnosis, Problem};
use crate::hidden::Hidden;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where clients reach the gateway over HTTP. `wrap` does not listen.
    pub listen: Listen,
    /// Who may call.
    pub identity: Identity,
    /// In the order of the file; names are unique.
    pub servers: Vec<Server>,
    /// How much is taken at once.
    pub limits: Limits,
    /// How long is waited, for what does not belong to one server.
    pub timeouts: Timeouts,
    /// The record of every message.
    pub audit: Audit,
}

/// Where clients reach the gateway over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A loopback address: there is no TLS yet. Port 0 lets the system choose.
    pub address: SocketAddr,
    /// Names that a `Host` header may carry besides the loopback names with the port of the listener: lower
    /// case, with a port where one was written.
    pub allowed_hosts: Vec<String>,
    /// Origins that may call besides those of the listener itself, in the form browsers send them (RFC 6454
    /// §6.2: lower case, without the scheme's default port).
    pub allowed_origins: Vec<String>,
}

/// Who may call over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Callers on this machine need no token. They are nobody in particular: only what an `allow` list of a
    /// server names is open to them.
    pub anonymous: bool,
    /// The file that holds the token, made at the first start.
    pub token_file: PathBuf,
}

/// One MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `[a-z0-9][a-z0-9_-]{0,31}`, without `__` and without `_` or `-` at the end.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// What may be used of it. `rules.name` is `name`.
    pub rules: ServerRules,
    /// Which era of the protocol it speaks.
    pub protocol: Protocol,
    /// How long it may take.
    pub timeouts: ServerTimeouts,
    /// How often it may fail before it is left alone for a while.
    pub restart: Restart,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A program on this machine that speaks over its standard input and output.
    Command(CommandLine),
    /// A server at a URL.
    Http(HttpServer),
}

/// A program and how it is started. No shell reads any of it.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program and its arguments: never empty, no NUL inside.
    pub argv: Vec<String>,
    /// Variables that the program gets besides the few that the gateway gives to every server.
    pub environment: BTreeMap<String, Hidden>,
    /// Where it starts: an absolute path, in a cage within a grant. Without one, in a home of its own; without a
    /// cage, where the gateway runs.
    pub directory: Option<PathBuf>,
    /// What it may do on this machine.
    pub cage: Cage,
}

/// A server at a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpServer {
    /// `https://…`, or `http://…` for loopback or where the configuration accepts it in words. It has a host,
    /// no user name or password and no fragment.
    pub url: String,
    /// Fixed headers of every request, names in lower case. None that the gateway sets by itself.
    pub headers: BTreeMap<String, Hidden>,
    /// Which HTTP transport it speaks.
    pub kind: HttpKind,
}

/// Which HTTP transport a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpKind {
    /// Streamable HTTP, and HTTP+SSE where the server turns out to be that old.
    Auto,
    /// Streamable HTTP only.
    Http,
    /// HTTP+SSE only, the deprecated transport of MCP 2024-11-05.
    Sse,
}

/// Which era of the protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Found out when it is reached.
    Auto,
    /// The `initialize` era, 2024-11-05 to 2025-11-25.
    Legacy,
    /// The stateless era, 2026-07-28.
    Modern,
}

/// How long one server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// From the start of the program, or the first connection, to the end of the handshake.
    pub start: Duration,
    /// How long a call may be silent: neither an answer nor progress.
    pub call: Duration,
    /// How long a connection that nobody uses is kept.
    pub idle: Duration,
}

/// How often a server may fail before it is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// This many failures …
    pub limit: u32,
    /// … within this time.
    pub within: Duration,
}

/// How much is taken at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The caps on one message of a client: bytes, depth, batch and what follows from them.
    pub message: Caps,
    /// Bytes of the headers of one HTTP request.
    pub header: usize,
    /// Bytes of one answer of a server.
    pub answer: usize,
    /// Requests of one caller that may run at the same time.
    pub in_flight: usize,
    /// Sessions that one caller may hold.
    pub sessions: usize,
    /// Pages of one list that are fetched from a server.
    pub list_pages: usize,
}

/// How long is waited, for what does not belong to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the whole body of a client's request.
    pub request_body: Duration,
    /// How long a session that nobody uses is kept.
    pub idle_session: Duration,
    /// How long any session is kept.
    pub session: Duration,
    /// At the end, for what still runs.
    pub drain: Duration,
    /// Between two signs of life on an event stream.
    pub keep_alive: Duration,
}

/// The record of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The directory of the log: an absolute path.
    pub path: PathBuf,
    /// When a record counts as written.
    pub durability: Durability,
    /// Whether records hold what was said, not only its digest.
    pub contents: bool,
}

impl Settings {
    /// The settings of `mantlet wrap`: one server over standard input and output, guarded with the defaults.
    /// The local user may do whatever it lists; the server is in a cage with no grants. State is kept under `state`, the log in
    /// `audit/wrap/NAME` of it: one log has one writer, so give each further process a path of its own.
    ///
    /// # Errors
    /// The name is no server name, or the command is empty or holds a NUL.
    pub fn wrap(name: &str, argv: Vec<String>, state: &Path) -> Result<Self, Diagnosis> {
        let refuse = |problem| Err(Diagnosis::of_file("the command line", problem));
        if let Err(unfit) = check::server_name(name) {
            return refuse(unfit.problem(name, false));
        }
        if argv.first().is_none_or(String::is_empty) {
            return refuse(Problem::new("there is no command to run").help("write it after `--`"));
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return refuse(Problem::new("an argument of the command holds a NUL character"));
        }
        let line = CommandLine {
            argv,
            environment: BTreeMap::new(),
            directory: None,
            cage: Cage::On(Box::new(defaults::cage())),
        };
        let mut audit = defaults::audit(state);
        audit.path = audit.path.join("wrap").join(name);
        Ok(Self {
            listen: defaults::listen(),
            identity: defaults::identity(state),
            servers: vec![Server {
                name: name.to_owned(),
                transport: Transport::Command(line),
                rules: ServerRules {
                    name: name.to_owned(),
                    allow: None,
                    refuse: Lists::default(),
                },
                protocol: Protocol::Auto,
                timeouts: defaults::SERVER_TIMEOUTS,
                restart: defaults::RESTART,
            }],
            limits: defaults::limits(),
            timeouts: defaults::TIMEOUTS,
            audit,
        })
    }
}

// Arguments and URLs may carry what a reference fetched: neither belongs in a log line.

impl fmt::Debug for CommandLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.argv.first().map(String::as_str).unwrap_or_default();
        out.debug_struct("CommandLine")
            .field("program", &program)
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("environment", &self.environment)
            .field("directory", &self.directory)
            .field("cage", &self.cage)
            .finish()
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths of web hooks and the like are credentials as well: scheme and host are shown.
        let end = self
            .url
            .match_indices('/')
            .nth(2)
            .map_or(self.url.len(), |(at, _)| at);
        let origin = self.url.get(..end).unwrap_or_default();
        out.debug_struct("HttpServer")
            .field("origin", &origin)
            .field("headers", &self.headers)
            .field("kind", &self.kind)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(name: &str, argv: &[&str]) -> Result<Settings, Diagnosis> {
        Settings::wrap(
            name,
            argv.iter().map(|&text| text.to_owned()).collect(),
            Path::new("/state"),
        )
    }

    #[test]
    fn wrap_guards_one_server_with_the_defaults() {
        let settings = wrap("files", &["./server", "--token", "s3cret"]).unwrap();
        let [server] = settings.servers.as_slice() else {
            panic!("one server")
        };
        assert_eq!(
            (server.name.as_str(), server.rules.name.as_str()),
            ("files", "files")
        );
        assert_eq!(server.rules.allow, None);
        let Transport::Command(line) = &server.transport else {
            panic!("a command")
        };
        assert_eq!(line.argv, ["./server", "--token", "s3cret"]);
        assert_eq!(settings.audit.path, Path::new("/state/audit/wrap/files"));
        assert!(!settings.identity.anonymous);
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn wrap_means_what_a_file_with_one_server_means() {
        let nothing = |name: &str| (name == "XDG_STATE_HOME").then(|| "/xdg".to_owned());
        let mut wrapped = Settings::wrap("it", vec!["run".to_owned()], Path::new("/xdg/mantlet")).unwrap();
        wrapped.audit.path = "/xdg/mantlet/audit".into();
        assert_eq!(
            crate::parse("servers: { it: { command: [run] } }", "plain", &nothing).unwrap(),
            wrapped
        );
    }

    #[test]
    fn wrap_refuses_what_cannot_run() {
        for (name, argv) in [
            ("files", &[][..]),
            ("files", &[""]),
            ("files", &["a", "b\0c"]),
            ("../x", &["a"]),
            ("a__b", &["a"]),
            ("", &["a"]),
        ] {
            assert!(wrap(name, argv).is_err(), "{name:?} {argv:?}");
        }
    }
}
