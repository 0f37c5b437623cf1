//! `mantlet-puppet SCRIPT SEEN`: an MCP server over stdio that does what a script says, however hostile, and writes
//! down every line that it gets. The script is JSON: `version`, `capabilities`, `tools`, `resources`, `greeting`
//! (lines sent once the client is ready), `on` (lines sent instead of the answer to a method), `calls` (the same by the
//! name of the tool), `page` (items on a page of a list) and `stubborn` (it stays when its input ends). In lines, `{id}`
//! is the id of the request, `{token}` its progress token, `{flood:N}` are N bytes, `{sleep:MS}` waits, `{stderr:N}`
//! writes N bytes to standard error, `{deaf}` reads nothing from then on and `{exit}` ends the server.
//!
//! Without `on`, five tools work: `echo`, `environment`, `process`, `spawn` (leaves a process behind) and `slow`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a server under test may fall over, and starts programs"
)]

use std::io::{BufRead as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

struct Puppet {
    script: Value,
    seen: Mutex<std::fs::File>,
    out: Mutex<std::io::Stdout>,
    deaf: AtomicBool,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let script = std::fs::read_to_string(arguments.next().unwrap()).unwrap();
    let seen = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(arguments.next().unwrap())
        .unwrap();
    let puppet = Arc::new(Puppet {
        script: serde_json::from_str(&script).unwrap(),
        seen: Mutex::new(seen),
        out: Mutex::new(std::io::stdout()),
        deaf: AtomicBool::new(false),
    });
    eprintln!("the puppet is up");
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        writeln!(puppet.seen.lock().unwrap(), "{line}").unwrap();
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let puppet = Arc::clone(&puppet);
        // Each on its own, so that answers may overtake each other.
        let listener = Arc::clone(&puppet);
        let answering = std::thread::spawn(move || puppet.answer(&message));
        while listener.deaf.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(answering);
    }
    if puppet.script["stubborn"] == true {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

impl Puppet {
    fn answer(&self, message: &Value) {
        let method = message["method"].as_str().unwrap_or_default();
        let tool = message["params"]["name"].as_str().unwrap_or_default();
        let scripted = self.script["calls"][tool].as_array();
        let scripted = scripted.filter(|_| method == "tools/call");
        if let Some(lines) = scripted.or_else(|| self.script["on"][method].as_array()) {
            for line in lines {
                self.act(line.as_str().unwrap(), message);
            }
            return;
        }
        if method == "notifications/initialized" {
            for line in self.script["greeting"].as_array().into_iter().flatten() {
                self.act(line.as_str().unwrap(), message);
            }
        }
        if message.get("id").is_none() || method.is_empty() {
            return;
        }
        let id = &message["id"];
        let answer = match self.result(method, &message["params"]) {
            Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            None => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "Method not found"}})
            }
        };
        self.say(&answer.to_string());
    }

    fn result(&self, method: &str, params: &Value) -> Option<Value> {
        let given = |name: &str, other: Value| self.script.get(name).cloned().unwrap_or(other);
        Some(match method {
            "initialize" => json!({
                "protocolVersion": given("version", json!("2025-11-25")),
                "capabilities": given("capabilities", json!({"tools": {}, "resources": {}, "prompts": {}})),
                "serverInfo": {"name": "puppet", "version": "1"},
            }),
            "tools/list" => self.page("tools", &given("tools", tools()), params),
            "resources/list" => self.page("resources", &given("resources", json!([])), params),
            "resources/templates/list" => {
                self.page("resourceTemplates", &given("templates", json!([])), params)
            }
            "prompts/list" => self.page("prompts", &given("prompts", json!([])), params),
            "resources/read" => json!({"contents": [{"uri": params["uri"], "text": "contents"}]}),
            "tools/call" => text(&call(params)),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
            _ => return None,
        })
    }

    /// One page of a list; the cursor is the number of the first item.
    fn page(&self, member: &str, all: &Value, params: &Value) -> Value {
        let all = all.as_array().unwrap();
        let cursor = params["cursor"].as_str();
        let start: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let size = self.script["page"]
            .as_u64()
            .map(|size| usize::try_from(size).unwrap());
        let end = size.map_or(all.len(), |size| all.len().min(start + size));
        let mut result = json!({ member: all.get(start..end) });
        if end < all.len() {
            result["nextCursor"] = json!(end.to_string());
        }
        result
    }

    fn act(&self, line: &str, message: &Value) {
        if line == "{exit}" {
            std::process::exit(3);
        }
        if line == "{deaf}" {
            self.deaf.store(true, Ordering::Relaxed);
            return;
        }
        if let Some(count) = part(line, "{stderr:") {
            eprint!("{}", "e".repeat(usize::try_from(count).unwrap()));
            return;
        }
        if let Some(millis) = part(line, "{sleep:") {
            std::thread::sleep(Duration::from_millis(millis));
            return;
        }
        let token = &message["params"]["_meta"]["progressToken"];
        let line = line.replace("{id}", &message["id"].to_string());
        let line = line.replace("{token}", &token.to_string());
        let Some(count) = part(&line, "{flood:") else {
            self.say(&line);
            return;
        };
        let (before, rest) = line.split_once("{flood:").unwrap();
        let after = rest.split_once('}').unwrap().1;
        let mut out = self.out.lock().unwrap();
        let block = vec![b'x'; 65_536];
        let mut left = usize::try_from(count).unwrap();
        let mut write = |bytes: &[u8]| out.write_all(bytes);
        // The gateway may close the pipe in the middle of it.
        let _gone = write(before.as_bytes());
        while left > 0 {
            let now = left.min(block.len());
            if write(block.get(..now).unwrap_or_default()).is_err() {
                return;
            }
            left -= now;
        }
        let _gone = write(after.as_bytes()).and_then(|()| write(b"\n"));
        let _gone = out.flush();
    }

    fn say(&self, line: &str) {
        let mut out = self.out.lock().unwrap();
        let _gone = out
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| out.flush());
    }
}

fn part(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    rest.split_once('}')?.0.parse().ok()
}

fn tools() -> Value {
    let message =
        json!({"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]});
    json!([
        {"name": "echo", "inputSchema": message},
        {"name": "environment", "inputSchema": {"type": "object"}},
        {"name": "process", "inputSchema": {"type": "object"}},
        {"name": "spawn", "inputSchema": {"type": "object"}},
        {"name": "slow", "inputSchema": {"type": "object", "properties": {"millis": {"type": "integer"}}}},
    ])
}

fn call(params: &Value) -> String {
    match params["name"].as_str().unwrap_or_default() {
        "echo" => params["arguments"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        "environment" => {
            let names: Vec<String> = std::env::vars_os()
                .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
                .collect();
            names.join("\n")
        }
        "process" => std::process::id().to_string(),
        "spawn" => {
            // In a session of its own, deaf to hang-ups, and its parent gone: what a careless server leaves behind.
            let script = "setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 & echo $!";
            let output = Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        "slow" => {
            let millis = params["arguments"]["millis"].as_u64().unwrap_or(100);
            std::thread::sleep(Duration::from_millis(millis));
            format!("slept {millis}")
        }
        other => format!("called {other}"),
    }
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
