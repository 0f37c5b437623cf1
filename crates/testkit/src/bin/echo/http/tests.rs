//! The echo server over real connections on loopback.

use std::io::Read as _;

use super::*;

/// A server on a thread of its own, which ends with the test's process.
fn start() -> std::net::SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || accept(&listener));
    address
}

/// Sends bytes and returns everything up to the end of the connection.
fn raw(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn post(address: std::net::SocketAddr, headers: &[&str], body: &str) -> String {
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    raw(address, format!("{head}\r\n{body}").as_bytes())
}

fn modern(method: &str, name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"{name}","arguments":{{"message":"hi"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

#[test]
fn a_session_lives_from_initialize_to_delete() {
    let address = start();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let answer = post(address, &[], hello);
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "))
        .unwrap();
    assert_eq!(session.len(), 32);
    let with = format!("Mcp-Session-Id: {session}");
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    assert!(post(address, &[&with, "MCP-Protocol-Version: 2025-11-25"], ping).starts_with("HTTP/1.1 200"));
    let other = r#"{"jsonrpc":"2.0","id":3,"method":"server/discover"}"#;
    let unknown = post(address, &[&with], other);
    assert!(
        unknown.starts_with("HTTP/1.1 200") && unknown.contains("-32601"),
        "{unknown}"
    );
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert!(post(address, &[&with], ready).starts_with("HTTP/1.1 202"));
    assert!(post(address, &[], ping).starts_with("HTTP/1.1 400"));
    assert!(post(address, &["Mcp-Session-Id: other"], ping).starts_with("HTTP/1.1 404"));
    assert!(post(address, &[&with, "MCP-Protocol-Version: 1999-01-01"], ping).starts_with("HTTP/1.1 400"));
    let delete = format!("DELETE /mcp HTTP/1.1\r\nConnection: close\r\n{with}\r\n\r\n");
    assert!(raw(address, delete.as_bytes()).starts_with("HTTP/1.1 204"));
    assert!(post(address, &[&with], ping).starts_with("HTTP/1.1 404"));
}

#[test]
fn headers_must_say_what_the_body_says() {
    let address = start();
    let version = "MCP-Protocol-Version: 2026-07-28";
    let body = modern("tools/call", "echo");
    let good = post(
        address,
        &[version, "Mcp-Method: tools/call", "Mcp-Name: echo"],
        &body,
    );
    assert!(
        good.starts_with("HTTP/1.1 200") && good.contains(r#""text":"hi""#),
        "{good}"
    );
    let coded = post(
        address,
        &[version, "Mcp-Method: tools/call", "Mcp-Name: =?base64?ZWNobw==?="],
        &body,
    );
    assert!(coded.starts_with("HTTP/1.1 200"), "{coded}");
    for headers in [
        &["Mcp-Method: tools/call", "Mcp-Name: echo"][..],
        &[version, "Mcp-Name: echo"],
        &[version, "Mcp-Method: tools/list", "Mcp-Name: echo"],
        &[version, "Mcp-Method: tools/call"],
        &[version, "Mcp-Method: tools/call", "Mcp-Name: Echo"],
        &[version, "Mcp-Method: tools/call", "Mcp-Name: =?base64?ZWNobw?="],
    ] {
        let answer = post(address, headers, &body);
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("-32020"),
            "{headers:?}: {answer}"
        );
    }
    let unknown = post(address, &[version, "Mcp-Method: ping"], &modern("ping", "x"));
    assert!(
        unknown.starts_with("HTTP/1.1 404") && unknown.contains("-32601"),
        "{unknown}"
    );
    let bare = post(
        address,
        &[version],
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    );
    assert!(
        bare.starts_with("HTTP/1.1 400") && bare.contains("-32602"),
        "{bare}"
    );
}

#[test]
fn hostile_heads_get_a_status_and_the_end_of_the_connection() {
    let address = start();
    let cases: &[(String, u16)] = &[
        ("GET /mcp HTTP/1.1\r\nConnection: close\r\n\r\n".into(), 405),
        ("GET /other HTTP/1.1\r\nConnection: close\r\n\r\n".into(), 404),
        (
            "GET /mcp HTTP/1.1\r\nConnection: close\r\nOrigin: http://x\r\n\r\n".into(),
            403,
        ),
        ("GET /mcp\r\n\r\n".into(), 400),
        ("POST /mcp HTTP/1.1\r\n\r\n".into(), 411),
        (
            "POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            411,
        ),
        (
            "POST /mcp HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".into(),
            400,
        ),
        ("POST /mcp HTTP/1.1\r\nContent-Length: +1\r\n\r\n".into(), 400),
        (
            "POST /mcp HTTP/1.1\r\nContent-Length: 9999999999999999999999\r\n\r\n".into(),
            400,
        ),
        (
            "POST /mcp HTTP/1.1\r\nContent-Length: 4194305\r\n\r\n".into(),
            413,
        ),
        ("POST /mcp HTTP/1.1\r\nContent-Length : 1\r\n\r\n".into(), 400),
        (
            format!("POST /mcp HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100)),
            431,
        ),
        (
            format!("POST /mcp HTTP/1.1\r\nx: {}", "y".repeat(16 * 1024 - 3)),
            431,
        ),
    ];
    for (bytes, status) in cases {
        let answer = raw(address, bytes.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{:.60} gave {answer}",
            bytes
        );
    }
}

#[test]
fn a_connection_is_kept_and_messages_may_follow_each_other() {
    let address = start();
    let body = modern("tools/list", "x");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\nContent-Length: {}\r\n",
        body.len()
    );
    let two = format!("{head}\r\n{body}{head}Connection: close\r\n\r\n{body}");
    let answers = raw(address, two.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(
        answers.matches(r#""cacheScope":"public""#).count(),
        2,
        "{answers}"
    );
}
