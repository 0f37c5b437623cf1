//! What can be written: the keys, and in their doc comments what the published JSON Schema says of them. Only
//! the shape is here; what a value must be is in `check`, what holds without it in `defaults`.

mod sandbox;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::quantity::{Named, Pause, Size, Whole};

pub(crate) use sandbox::{Breaches, Grants, Off, OnBreach, Sandbox, Tier};

/// The configuration of Mantlet, the security gateway for the Model Context Protocol. Only `servers` must be
/// there; whatever is left out is secure. Any value may hold `${env:NAME}`, which stands for a variable of the
/// gateway's own environment; `$${` is a plain `${`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Mantlet configuration")]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Where clients reach the gateway.
    pub(crate) listen: Option<Listen>,
    /// Who may call.
    pub(crate) identity: Option<Identity>,
    /// The MCP servers behind the gateway, each under a name that clients see: lower-case letters, digits, `-`
    /// and `_`, at most 32, without `__` and with a letter or digit at both ends.
    #[schemars(extend("minProperties" = 1, "propertyNames" = { "pattern": SERVER_NAME }))]
    pub(crate) servers: Servers,
    /// How much is taken at once.
    pub(crate) limits: Option<Limits>,
    /// How long is waited. What concerns one server is set there.
    pub(crate) timeouts: Option<Timeouts>,
    /// The record of every message.
    pub(crate) audit: Option<Audit>,
}

/// The rule for a server's name as a pattern.
const SERVER_NAME: &str = "^(?!.*__)[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?$";

/// The servers in the order of the file.
pub(crate) type Servers = Named<Server>;

/// Where clients reach the gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// The address and port of the listener. It must be a loopback address: this version has no TLS, and
    /// tokens do not travel in the clear.
    #[schemars(extend("default" = "127.0.0.1:8300", "examples" = ["127.0.0.1:8300", "[::1]:8300"]))]
    pub(crate) address: Option<String>,
    /// Host names under which clients may call besides `127.0.0.1`, `localhost` and `[::1]`, such as that of a
    /// proxy in front, with the port where clients send one. Others are refused (DNS rebinding).
    #[schemars(extend("default" = [], "examples" = [["mcp.example.com", "gateway.internal:8300"]]))]
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// Origins of web pages that may call besides those of the listener itself, written exactly as browsers
    /// send them. Others are refused.
    #[schemars(extend("default" = [], "examples" = [["https://app.example.com"]]))]
    pub(crate) allowed_origins: Option<Vec<String>>,
}

/// Who may call.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// `loopback` lets anyone on this machine call without a token. Such callers may do only what `allow`
    /// lists name. Left out, every call needs the token.
    pub(crate) anonymous: Option<Anonymous>,
    /// The file with the token that callers must send. It is made at the first start, readable by its owner
    /// only. Left out, it is `token` in the state directory (`$XDG_STATE_HOME/mantlet`, else
    /// `~/.local/state/mantlet`).
    pub(crate) token_file: Option<String>,
}

/// Callers without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anonymous {
    /// Those on this machine may call.
    Loopback,
}

/// One MCP server: a `command` that is started, or a `url` that is called.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [{"required": ["command"]}, {"required": ["url"]}]))]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The program and its arguments. No shell reads them.
    #[schemars(length(min = 1), extend("examples" = [["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/data"]]))]
    pub(crate) command: Option<Vec<String>>,
    /// Variables that the program gets. It starts with these and the few that every program needs (`PATH`, `LANG`
    /// and `LC_*`, `TZ`, and of the cage's own `HOME`, `TMPDIR` and `USER`), and with none of the gateway's others.
    pub(crate) environment: Option<Named<String>>,
    /// The directory in which the program starts, as a full path. It must lie in what `sandbox` lets the program
    /// read or write. Left out, the program starts in a home of its own, which is empty.
    pub(crate) directory: Option<String>,
    /// The cage of the program: what it may read, write, reach and use, and nothing else. Left out, it is in a cage
    /// with no grants. `off` runs it without one, with all rights of the user that the gateway runs as.
    pub(crate) sandbox: Option<Sandbox>,
    /// The URL of a server that is reached over HTTP. `http://` is for this machine only.
    #[schemars(extend("examples" = ["https://crm.example.com/mcp"]))]
    pub(crate) url: Option<String>,
    /// Which HTTP transport the server at `url` speaks.
    #[schemars(extend("default" = "auto"))]
    pub(crate) transport: Option<HttpKind>,
    /// Headers that every request to `url` carries, such as a key of the gateway's own. The token of the
    /// caller is never among them.
    pub(crate) headers: Option<Named<String>>,
    /// `accept` lets `url` be `http://` to another machine: whoever is on the way reads and changes
    /// everything, headers included.
    pub(crate) plain_http: Option<PlainHttp>,
    /// What callers may use of the server, and nothing else. Left out, the holder of the token may use
    /// everything that the server lists, and nobody else anything.
    pub(crate) allow: Option<Lists>,
    /// What nobody may use of the server, whatever `allow` says.
    pub(crate) refuse: Option<Lists>,
    /// Which era of the protocol the server speaks: `legacy` is 2024-11-05 to 2025-11-25, `modern` is
    /// 2026-07-28.
    #[schemars(extend("default" = "auto"))]
    pub(crate) protocol: Option<Protocol>,
    /// How long the server may take.
    pub(crate) timeouts: Option<ServerTimeouts>,
    /// When a server that keeps failing is left alone for a while.
    pub(crate) restart: Option<Restart>,
}

/// Which HTTP transport a server speaks.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HttpKind {
    /// Streamable HTTP, and HTTP+SSE where the server turns out to be that old.
    Auto,
    /// Streamable HTTP only.
    Http,
    /// HTTP+SSE only, the deprecated transport of 2024-11-05.
    Sse,
}

/// What is said to plain HTTP towards another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlainHttp {
    /// It is taken as it is.
    Accept,
}

/// Which era of the protocol a server speaks.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// Found out when the server is reached.
    Auto,
    /// The versions that begin with `initialize`.
    Legacy,
    /// The stateless version.
    Modern,
}

/// Names of what a server offers. In each name `*` stands for any run of characters and `\*` for a star.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lists {
    /// Names of tools.
    #[schemars(extend("examples" = [["read_*", "list_directory"]]))]
    pub(crate) tools: Option<Vec<String>>,
    /// URIs of resources.
    #[schemars(extend("examples" = [["file:///srv/data/*"]]))]
    pub(crate) resources: Option<Vec<String>>,
    /// Names of prompts.
    pub(crate) prompts: Option<Vec<String>>,
    /// Methods beyond the specification.
    pub(crate) methods: Option<Vec<String>>,
    /// What the server may ask of the client.
    pub(crate) asks: Option<Vec<Ask>>,
}

/// What a server may ask of a client.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// To run the client's model.
    Sampling,
    /// To put a question to the person.
    Elicitation,
    /// Which folders the client works in.
    Roots,
}

/// How long one server may take. A duration is a whole number with `ms`, `s`, `m` or `h`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTimeouts {
    /// From the start of the program, or the first connection, to the end of the handshake: 100ms to 10m.
    #[schemars(extend("default" = "30s"))]
    pub(crate) start: Option<Pause>,
    /// How long a call may be silent, without an answer and without progress: 100ms to 24h.
    #[schemars(extend("default" = "2m"))]
    pub(crate) call: Option<Pause>,
    /// How long a connection, or a program, that nobody uses is kept: 1s to 720h.
    #[schemars(extend("default" = "15m"))]
    pub(crate) idle: Option<Pause>,
}

/// When a server that keeps failing is left alone for a while: after `limit` failures `within` a time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// How many failures: 1 to 1000.
    #[schemars(extend("default" = 5))]
    pub(crate) limit: Option<Whole>,
    /// Within which time: 1s to 720h.
    #[schemars(extend("default" = "1m"))]
    pub(crate) within: Option<Pause>,
}

/// How much is taken at once. A size is a number of bytes, or a whole number with `KiB`, `MiB` or `GiB`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// One message of a client: 1KiB to 64MiB.
    #[schemars(extend("default" = "4MiB"))]
    pub(crate) message: Option<Size>,
    /// All headers of one HTTP request: 8KiB to 1MiB.
    #[schemars(extend("default" = "64KiB"))]
    pub(crate) header: Option<Size>,
    /// Objects and lists inside each other, in one message: 8 to 120.
    #[schemars(extend("default" = 64))]
    pub(crate) depth: Option<Whole>,
    /// Messages in one batch, where the version of the protocol has batches: 1 to 1000.
    #[schemars(extend("default" = 50))]
    pub(crate) batch: Option<Whole>,
    /// One answer of a server: 1KiB to 256MiB.
    #[schemars(extend("default" = "16MiB"))]
    pub(crate) answer: Option<Size>,
    /// Requests of one caller that run at the same time: 1 to 65536.
    #[schemars(extend("default" = 256))]
    pub(crate) in_flight: Option<Whole>,
    /// Sessions of one caller: 1 to 100000.
    #[schemars(extend("default" = 100))]
    pub(crate) sessions: Option<Whole>,
    /// Pages of one list that are fetched from a server: 1 to 10000.
    #[schemars(extend("default" = 100))]
    pub(crate) list_pages: Option<Whole>,
}

/// How long is waited. A duration is a whole number with `ms`, `s`, `m` or `h`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// For the whole body of a request: 100ms to 10m.
    #[schemars(extend("default" = "10s"))]
    pub(crate) request_body: Option<Pause>,
    /// How long a session that nobody uses is kept: 1s to 720h, and no longer than `session`.
    #[schemars(extend("default" = "30m"))]
    pub(crate) idle_session: Option<Pause>,
    /// How long any session is kept: 1s to 720h.
    #[schemars(extend("default" = "24h"))]
    pub(crate) session: Option<Pause>,
    /// At the end, for what still runs: 100ms to 10m.
    #[schemars(extend("default" = "10s"))]
    pub(crate) drain: Option<Pause>,
    /// Between two signs of life on an open event stream: 1s to 5m.
    #[schemars(extend("default" = "15s"))]
    pub(crate) keep_alive: Option<Pause>,
}

/// The record of every message.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// The directory of the log, as a full path. Left out, it is `audit` in the state directory
    /// (`$XDG_STATE_HOME/mantlet`, else `~/.local/state/mantlet`).
    pub(crate) path: Option<String>,
    /// When a record counts as written, and the message it is about may go on: `write` when the system has
    /// taken it (survives a crash of the gateway), `fsync` when the disk has (survives a loss of power).
    #[schemars(extend("default" = "write"))]
    pub(crate) durability: Option<Durability>,
    /// Whether records hold what was said. Left out they hold digests only.
    #[schemars(extend("default" = false))]
    pub(crate) contents: Option<bool>,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Durability {
    /// When the system has taken it.
    Write,
    /// When the disk has it.
    Fsync,
}
