//! Walks: a client goes through everything that a real server offers, directly, through `wrap` and through `serve`.
//! What to call is in `tests/e2e/servers.yaml`; whether the walks agree is in `compare`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::compare::differences;
use crate::peers::{self, Client, walk};
use crate::serving::Serving;
use crate::upstream::Upstream;
use crate::{binary, http, root};

/// A real server and what a walk does with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// What it is granted, or `off`; without it, nothing.
    #[serde(default)]
    sandbox: Value,
    /// It is reached over HTTP at this path: the command is started once for all walks.
    path: Option<String>,
    /// Over HTTP: what clients that walk directly speak, `http` or `sse`.
    #[serde(default)]
    transport: String,
    eras: Vec<String>,
    /// The Rust SDK walks as well.
    #[serde(default)]
    rust: bool,
    /// What is called, in this order.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// What prompts are got.
    #[serde(default)]
    pub prompts: Vec<Prompt>,
    /// What resources are read.
    #[serde(default)]
    pub reads: Vec<String>,
    #[serde(default)]
    read_all: bool,
}

/// A call of a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool.
    pub tool: String,
    arguments: Value,
    /// The answer is another one each time.
    #[serde(default)]
    pub varies: bool,
}

/// A prompt that is got.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Its name.
    pub name: String,
    arguments: Option<Value>,
    /// The answer is another one each time.
    #[serde(default)]
    pub varies: bool,
}

const WAYS: &[(Client, &str)] = &[
    (Client::Python, "legacy"),
    (Client::Python, "modern"),
    (Client::TypeScript1, "legacy"),
    (Client::TypeScript2, "legacy"),
    (Client::TypeScript2, "modern"),
    (Client::TypeScript2, "auto"),
    (Client::Rust, "legacy"),
    (Client::Rust, "modern"),
    (Client::Rust, "auto"),
];

/// Every client in every era it knows, through both transports; a server without the era is bridged.
pub fn all_ways(name: &str) {
    let server = server(name);
    let upstream = Walk::new(&server, None).upstream();
    let (mut wrong, mut directly) = (Vec::new(), BTreeMap::new());
    for (client, era) in WAYS
        .iter()
        .filter(|(client, _)| *client != Client::Rust || server.rust)
    {
        let knows = |era: &str| server.eras.iter().any(|known| known == era);
        // Mantlet speaks the new era for servers that do not; a client that may choose takes it.
        let crossing = !knows("modern") && *era != "legacy";
        let direct_era = if crossing { "legacy" } else { era };
        let start = || Walk::new(&server, upstream.as_ref());
        let direct = directly
            .entry((format!("{client:?}"), direct_era))
            .or_insert_with(|| {
                let direct = start().direct(*client, direct_era);
                covers(&server, &direct);
                direct
            });
        for (via, seen) in [
            ("wrap", start().wrapped(name, *client, era)),
            ("serve", start().served(name, *client, era)),
        ] {
            for difference in differences(&server, direct, &seen, crossing) {
                wrong.push(format!("{name}, {client:?} {era} through {via}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn server(name: &str) -> Server {
    let text = std::fs::read_to_string(root().join("tests/e2e/servers.yaml")).unwrap();
    let mut servers: BTreeMap<String, Server> = serde_saphyr::from_str(&text).unwrap();
    servers.remove(name).unwrap()
}

/// The walk leaves no tool and no prompt out.
fn covers(server: &Server, direct: &Value) {
    for (member, known) in [
        (
            "tools",
            server.calls.iter().map(|call| &call.tool).collect::<Vec<_>>(),
        ),
        (
            "prompts",
            server.prompts.iter().map(|prompt| &prompt.name).collect(),
        ),
    ] {
        for item in direct[member].as_array().into_iter().flatten() {
            let name = item["name"].as_str().unwrap();
            assert!(
                known.iter().any(|known| *known == name),
                "`{name}` of {member} is not walked"
            );
        }
    }
}

/// One walk: a fresh folder, and a page to fetch.
struct Walk<'a> {
    server: &'a Server,
    upstream: Option<&'a Upstream>,
    directory: tempfile::TempDir,
    page: String,
}

impl<'a> Walk<'a> {
    fn new(server: &'a Server, upstream: Option<&'a Upstream>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        repository(&directory.path().join("work"));
        Self {
            server,
            upstream,
            directory,
            page: page(),
        }
    }

    /// Starts a server that is reached over HTTP.
    fn upstream(&self) -> Option<Upstream> {
        let over_http = self.server.path.is_some();
        over_http.then(|| Upstream::start(&self.command(), &peers::directory()))
    }

    fn url(&self) -> Option<String> {
        let path = self.server.path.as_deref().unwrap_or_default();
        Some(format!("{}{path}", self.upstream?.origin))
    }

    fn direct(self, client: Client, era: &str) -> Value {
        let mut task = self.task(era);
        if let Some(url) = self.url() {
            task["url"] = json!(url);
            task["transport"] = json!(self.server.transport);
        } else {
            task["command"] = json!(self.command());
            task["environment"] = json!(self.environment());
        }
        self.go(client, &task)
    }

    fn wrapped(self, name: &str, client: Client, era: &str) -> Value {
        let path = self.directory.path().join("mantlet.yaml");
        std::fs::write(&path, self.configuration(name)).unwrap();
        let mut task = self.task(era);
        task["command"] = json!([binary("mantlet"), "wrap", "--config", path, "--name", name]);
        task["environment"] = json!({"XDG_STATE_HOME": self.directory.path()});
        self.go(client, &task)
    }

    fn served(self, name: &str, client: Client, era: &str) -> Value {
        let serving = Serving::start(&self.configuration(name));
        let mut task = self.task(era);
        task["url"] = json!(serving.url(Some(name)));
        task["token"] = json!(serving.token);
        let seen = self.go(client, &task);
        assert!(!serving.log().contains(&serving.token), "the token is in the log");
        seen
    }

    /// Walks; what names this walk's folder or page is made the same for all.
    fn go(self, client: Client, task: &Value) -> Value {
        let seen = walk(client, task).to_string();
        let seen = seen.replace(&self.work(), "{dir}").replace(&self.page, "{page}");
        http::parse(&seen).unwrap()
    }

    fn task(&self, era: &str) -> Value {
        let filled = |value: &Value| http::parse(&self.fill(&value.to_string())).unwrap();
        let calls: Vec<Value> = (self.server.calls.iter())
            .map(|call| json!({"tool": call.tool, "arguments": filled(&call.arguments)}))
            .collect();
        let prompts: Vec<Value> = (self.server.prompts.iter())
            .map(|prompt| match &prompt.arguments {
                Some(arguments) => json!({"name": prompt.name, "arguments": filled(arguments)}),
                None => json!({"name": prompt.name}),
            })
            .collect();
        json!({
            "era": era,
            "root": format!("file://{}", self.work()),
            "calls": calls,
            "prompts": prompts,
            "reads": self.server.reads,
            "read_all": self.server.read_all,
        })
    }

    fn configuration(&self, name: &str) -> String {
        let mut server = match self.url() {
            Some(url) => json!({"url": url}),
            None => json!({"command": self.command(), "environment": self.environment()}),
        };
        if !self.server.sandbox.is_null() {
            server["sandbox"] = http::parse(&self.fill(&self.server.sandbox.to_string())).unwrap();
        }
        server["allow"] = json!({
            "tools": ["*"], "resources": ["*"], "prompts": ["*"], "methods": ["*"],
            "asks": ["sampling", "elicitation", "roots"],
        });
        format!("servers: {{ {name}: {server} }}\n")
    }

    fn command(&self) -> Vec<String> {
        self.server.command.iter().map(|word| self.fill(word)).collect()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let filled = |(name, value): (&String, &String)| (name.clone(), self.fill(value));
        self.server.environment.iter().map(filled).collect()
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{peers}", &peers::directory().to_string_lossy())
            .replace("{node}", &peers::node().to_string_lossy())
            .replace("{dir}", &self.work())
            .replace("{page}", &self.page)
            .replace("{page_host}", self.page_host())
    }

    fn page_host(&self) -> &str {
        let rest = self.page.trim_start_matches("http://");
        rest.split('/').next().unwrap_or_default()
    }

    fn work(&self) -> String {
        self.directory.path().join("work").to_string_lossy().into_owned()
    }
}

/// A git repository with one file and one commit, the same each time.
fn repository(path: &Path) {
    std::fs::create_dir(path).unwrap();
    std::fs::write(path.join("first.txt"), "one\n").unwrap();
    for arguments in [
        &["init", "-q", "-b", "trunk"][..],
        &["config", "user.name", "walk"],
        &["config", "user.email", "walk@example.com"],
        &["add", "first.txt"],
        &["commit", "-q", "-m", "first", "--date", "2026-01-01T00:00:00Z"],
    ] {
        let done = Command::new("git")
            .args(arguments)
            .current_dir(path)
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "git {arguments:?}");
    }
}

/// A page on loopback, for as long as the test runs.
fn page() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _read = stream.read(&mut [0; 4096]);
            let body = "<html><body><h1>A page</h1><p>Of this test.</p></body></html>";
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _written = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    format!("http://{address}/page")
}
