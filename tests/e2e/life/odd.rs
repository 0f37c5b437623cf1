//! A server over HTTP that does not do its part.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_tests::http;
use serde_json::json;

/// A server over HTTP that is as uncooperative as it is told, and counts how often its general stream is opened.
pub(crate) struct Odd {
    pub(crate) origin: String,
    pub(crate) streams: Arc<AtomicUsize>,
    /// Connections on which the end of the greeting was heard, and kept open without an answer.
    pub(crate) initialized: Arc<Mutex<Vec<TcpStream>>>,
}

impl Odd {
    pub(crate) fn start(answers_notes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (streams, initialized) = (Arc::default(), Arc::default());
        let odd = Self {
            origin,
            streams: Arc::clone(&streams),
            initialized: Arc::clone(&initialized),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (streams, initialized) = (Arc::clone(&streams), Arc::clone(&initialized));
                std::thread::spawn(move || serve(stream, answers_notes, &streams, &initialized));
            }
        });
        odd
    }
}

/// One exchange on a connection.
fn serve(stream: TcpStream, answers_notes: bool, streams: &AtomicUsize, silent: &Mutex<Vec<TcpStream>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((_, value)) = line.to_lowercase().split_once("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut stream = stream;
    let mut say = |status: &str, kind: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        drop(stream.write_all(format!("{head}{body}").as_bytes()));
    };
    if head.starts_with("GET") {
        streams.fetch_add(1, Ordering::SeqCst);
        say("200 OK", "text/event-stream", "retry: 0\n\n");
        return;
    }
    let message = http::parse(&String::from_utf8_lossy(&body)).unwrap_or_default();
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "odd", "version": "1"},
        }),
        "server/discover" if message["params"]["_meta"].to_string().contains("ponder") => {
            // Longer than a server over stdio may think about which era it is of.
            std::thread::sleep(Duration::from_secs(6));
            say("404 Not Found", "text/plain", "");
            return;
        }
        "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => json!({"content": [{"type": "text", "text": "called"}]}),
        "notifications/initialized" if !answers_notes => {
            silent.lock().unwrap().push(stream);
            return;
        }
        _ => {
            say("202 Accepted", "text/plain", "");
            return;
        }
    };
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    say("200 OK", "application/json", &answer.to_string());
}
