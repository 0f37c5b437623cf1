//! HTTP in the clear: whom each request is for.

use super::*;

#[tokio::test]
async fn requests_for_the_granted_host_pass_on_one_connection() {
    let server = Server::http().await;
    for port in [80, 8080] {
        let cage = Cage::leading_to(server.address, port);
        let said = "\r\nget /one HTTP/1.1\r\nHost: a.example\r\n\r\n\
            POST http://A.example/two HTTP/1.1\r\nHost: A.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            POST /three HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabcd";
        let heard = text(cage.say(said.as_bytes()).await);
        for part in [
            "get /one Some(\"a.example\") 0",
            "POST /two Some(\"A.example\") 3",
            "POST /three Some(\"a.example\") 4",
        ] {
            assert!(heard.contains(part), "{heard}");
        }
        let outcomes = cage.outcomes(2).await;
        assert_eq!(outcomes[0], Outcome::Granted);
        assert!(matches!(outcomes[1], Outcome::Closed { .. }));
    }
    assert_eq!(server.dialled(), 2);
}

#[tokio::test]
async fn requests_for_another_host_are_reset_and_nobody_is_dialled() {
    let server = Server::http().await;
    for said in [
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "get / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nhost : evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\n Host: evil.example\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET http://a.example@evil.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example@evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /\r\n",
        "GET http://evil.example/\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\rHost: evil.example\r\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ] {
        for port in [80, 8080] {
            let cage = Cage::leading_to(server.address, port);
            let heard = cage.say(said.as_bytes()).await.unwrap_or_default();
            assert!(
                heard.is_empty() || heard.starts_with(b"HTTP/1.1 400 "),
                "{said:?}: {heard:?}"
            );
            let _ = cage.refusal().await;
        }
    }
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn a_later_request_for_another_host_ends_the_connection() {
    let server = Server::http().await;
    let cage = Cage::leading_to(server.address, 80);
    let mut stream = cage.dial().await;
    stream
        .write_all(b"GET /one HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .await
        .unwrap();
    let mut heard = vec![0; 1024];
    let length = stream.read(&mut heard).await.unwrap();
    assert!(String::from_utf8_lossy(&heard[..length]).contains("/one"));
    stream
        .write_all(b"GET /two HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        .await
        .unwrap();
    assert!(stream.read_u8().await.is_err(), "a reset");
    let outcomes = cage.outcomes(3).await;
    assert_eq!(outcomes[0], Outcome::Granted);
    let why = "its request is for `evil.example`, not for `a.example`".to_owned();
    assert_eq!(outcomes[1], Outcome::Refused(why));
    assert!(matches!(outcomes[2], Outcome::Closed { .. }));
}

#[tokio::test]
async fn a_request_hidden_in_a_body_stays_one() {
    let server = Server::http().await;
    let cage = Cage::leading_to(server.address, 80);
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    // Both lengths: the server is shown one of them only, and what follows is no request of anybody.
    let said = format!(
        "POST /open HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}",
        hidden.len()
    );
    let heard = String::from_utf8(cage.say(said.as_bytes()).await.unwrap_or_default()).unwrap();
    assert!(!heard.contains("/hidden"), "{heard}");
    assert!(
        heard.is_empty() || heard.contains("POST /open Some(\"a.example\") 0"),
        "{heard}"
    );
    let shown = format!(
        "POST /open HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let heard = text(cage.say(shown.as_bytes()).await);
    assert!(
        heard.contains(&format!("POST /open Some(\"a.example\") {}", hidden.len())),
        "{heard}"
    );
}

#[tokio::test]
async fn a_web_socket_is_relayed_once_the_host_agrees() {
    let server = Server::new(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if head.contains("h2c") || !head.contains("upgrade: websocket") {
            return stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain")
                .await;
        }
        let agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(agreed).await?;
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await?;
        to.shutdown().await
    })
    .await;
    let cage = Cage::leading_to(server.address, 80);
    let mut stream = cage.dial().await;
    let asks = "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(asks.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream.write_all(b"\x81\x02hi").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"\x81\x02hi");
    assert!(matches!(cage.outcomes(2).await[1], Outcome::Closed { .. }));
    // Java asks for this on its own; it gets an answer in HTTP/1.
    let asks = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\n\r\n";
    assert!(text(cage.say(asks.as_bytes()).await).ends_with("plain"));
}

#[tokio::test]
async fn a_program_that_waits_before_its_first_request_is_still_looked_at() {
    let server = Server::http().await;
    let cage = Cage::leading_to(server.address, 8080);
    for (host, passes) in [("a.example", true), ("evil.example", false)] {
        let mut stream = cage.dial().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let said = format!("GET /late HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let read = stream.read_to_end(&mut heard).await;
        assert_eq!(
            read.is_ok() && String::from_utf8_lossy(&heard).contains("/late"),
            passes
        );
    }
}

#[tokio::test]
async fn an_old_program_gets_an_old_answer() {
    let server = Server::http().await;
    let cage = Cage::leading_to(server.address, 80);
    let heard = text(cage.say(b"GET /old HTTP/1.0\r\nHost: a.example\r\n\r\n").await);
    assert!(
        heard.starts_with("HTTP/1.0 200 OK\r\n") && heard.ends_with("GET /old Some(\"a.example\") 0"),
        "{heard}"
    );
}

#[tokio::test]
async fn a_host_that_closes_after_its_answer() {
    let server = Server::new(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await
    })
    .await;
    let cage = Cage::leading_to(server.address, 80);
    let heard = text(cage.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await);
    assert!(heard.contains("until the end"), "{heard}");
}
