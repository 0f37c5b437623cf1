//! Real clients walk through real servers, once directly and once through Mantlet: they must see the same. Each server
//! over `wrap` (stdio) and `serve` (HTTP), with each official SDK, in each era that the client knows.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use mantlet_tests::peers::{self, Client, walk};
use mantlet_tests::serving::Serving;
use mantlet_tests::{binary, http, root};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    eras: Vec<String>,
    #[serde(default)]
    calls: Vec<Call>,
    #[serde(default)]
    prompts: Vec<Prompt>,
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    read_all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    arguments: Value,
    #[serde(default)]
    varies: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    name: String,
    arguments: Option<Value>,
    #[serde(default)]
    varies: bool,
}

#[test]
fn time() {
    all_ways("time");
}

#[test]
fn git() {
    all_ways("git");
}

#[test]
fn fetch() {
    all_ways("fetch");
}

#[test]
fn everything() {
    all_ways("everything");
}

#[test]
fn filesystem() {
    all_ways("filesystem");
}

#[test]
fn memory() {
    all_ways("memory");
}

#[test]
fn sequential_thinking() {
    all_ways("sequential-thinking");
}

/// Every client in every era it knows, through both transports; a server without the era is bridged.
fn all_ways(name: &str) {
    let server = server(name);
    let mut wrong = Vec::new();
    for (client, era) in [
        (Client::Python, "legacy"),
        (Client::Python, "modern"),
        (Client::TypeScript1, "legacy"),
        (Client::TypeScript2, "legacy"),
        (Client::TypeScript2, "modern"),
        (Client::TypeScript2, "auto"),
    ] {
        let knows = |era: &str| server.eras.iter().any(|known| known == era);
        // Mantlet speaks the new era for servers that do not; a client that may choose takes it.
        let crossing = !knows("modern") && era != "legacy";
        let direct_era = if crossing { "legacy" } else { era };
        let direct = Walk::new(&server).direct(client, direct_era);
        covers(&server, &direct);
        for (via, seen) in [
            ("wrap", Walk::new(&server).wrapped(name, client, era)),
            ("serve", Walk::new(&server).served(name, client, era)),
        ] {
            for difference in differences(&server, &direct, &seen, crossing) {
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
    directory: tempfile::TempDir,
    page: String,
}

impl<'a> Walk<'a> {
    fn new(server: &'a Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        repository(&directory.path().join("work"));
        Self {
            server,
            directory,
            page: page(),
        }
    }

    fn direct(self, client: Client, era: &str) -> Value {
        let mut task = self.task(era);
        task["command"] = json!(self.command());
        task["environment"] = json!(self.environment());
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
        let server = json!({
            "command": self.command(),
            "environment": self.environment(),
            "allow": {
                "tools": ["*"], "resources": ["*"], "prompts": ["*"], "methods": ["*"],
                "asks": ["sampling", "elicitation", "roots"],
            },
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

fn differences(server: &Server, direct: &Value, seen: &Value, crossing: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !crossing && direct["version"] != seen["version"] {
        found.push(format!(
            "version {} instead of {}",
            seen["version"], direct["version"]
        ));
    }
    for member in ["tools", "prompts", "resources", "templates"] {
        compare(
            &format!("list of {member}"),
            &direct[member],
            &seen[member],
            false,
            crossing,
            &mut found,
        );
    }
    let each = |member: &str, names: Vec<(String, bool)>, found: &mut Vec<String>| {
        for (at, (name, varies)) in names.into_iter().enumerate() {
            // A server may offer a tool to some clients only; Mantlet then refuses what it does not list.
            if member == "calls" && !listed(direct, &name) {
                continue;
            }
            compare(
                &name,
                &direct[member][at],
                &seen[member][at],
                varies,
                crossing,
                found,
            );
        }
    };
    let calls = server.calls.iter().map(|call| (call.tool.clone(), call.varies));
    each("calls", calls.collect(), &mut found);
    let prompts = server
        .prompts
        .iter()
        .map(|prompt| (prompt.name.clone(), prompt.varies));
    each("gets", prompts.collect(), &mut found);
    each(
        "reads",
        server.reads.iter().map(|uri| (uri.clone(), false)).collect(),
        &mut found,
    );
    compare(
        "all resources",
        &direct["all"],
        &seen["all"],
        false,
        crossing,
        &mut found,
    );
    found
}

fn listed(direct: &Value, tool: &str) -> bool {
    let tools = direct["tools"].as_array().into_iter().flatten();
    tools.into_iter().any(|known| known["name"] == tool)
}

fn compare(what: &str, direct: &Value, seen: &Value, varies: bool, crossing: bool, found: &mut Vec<String>) {
    let (direct, seen) = (
        comparable(direct, varies, crossing),
        comparable(seen, varies, crossing),
    );
    if let Some((at, direct, seen)) = first(&direct, &seen, "") {
        let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
        found.push(format!(
            "{what} at `{at}`:\n  direct  {}\n  through {}",
            cut(direct),
            cut(seen)
        ));
    }
}

/// The first place where two values differ.
fn first<'a>(one: &'a Value, other: &'a Value, at: &str) -> Option<(String, &'a Value, &'a Value)> {
    let deeper = |key: &str, one: &'a Value, other: &'a Value| first(one, other, &format!("{at}/{key}"));
    match (one, other) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (one, other))| deeper(&index.to_string(), one, other))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| deeper(key, value, b.get(key)?))
        }
        _ => (one != other).then(|| (at.to_owned(), one, other)),
    }
}

/// Without what belongs to the hop or the era; of an answer that varies, only its shape.
fn comparable(value: &Value, varies: bool, crossing: bool) -> Value {
    let mut value = value.clone();
    strip(&mut value);
    if crossing {
        // Tasks are an extension of another shape in the new era.
        for item in value.as_array_mut().into_iter().flatten() {
            item.as_object_mut().map(|item| item.remove("execution"));
        }
    }
    if let Some(code) = value.get("error").cloned() {
        // An unknown resource is -32002 in the old versions and -32602 in the new one.
        let moved = crossing && (code == -32002 || code == -32602);
        return if moved {
            json!("not found")
        } else {
            json!({"error": code, "message": value.get("message")})
        };
    }
    if varies {
        let kinds: Vec<&Value> = value["content"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| &item["type"])
            .collect();
        return json!({"isError": value["isError"], "content": kinds});
    }
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => {
            for name in ["resultType", "ttlMs", "cacheScope"] {
                members.remove(name);
            }
            let information = |key: &String| key.starts_with("io.modelcontextprotocol/");
            if let Some(Value::Object(meta)) = members.get_mut("_meta") {
                meta.retain(|key, _| !information(key));
                if meta.is_empty() {
                    members.remove("_meta");
                }
            }
            if members.get("isError") == Some(&Value::Bool(false)) {
                members.remove("isError");
            }
            members.values_mut().for_each(strip);
        }
        _ => {}
    }
}
