//! The egress as a whole, on real sockets. 127.0.0.0/8 stands in for the cage's namespace, where every address is
//! local as well: names get their addresses from 127.99.0.0 on, and a listener on 0.0.0.0 takes the connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::book::{Answer, Book};
use super::connection::{Egress, Patience};
use super::dial::{self, Dialler, Lookup};
use super::dns::tests::question;
use super::meter::Account;
use super::opening::tests::hello;
use super::report::Report;
use super::report::tests::Notebook;
use super::{Budget, Doors, Rule, run};
use crate::{Event, Grant, Host, Outcome};

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 0);

/// A cage's network, its port, and what it told.
struct Cage {
    egress: Arc<Egress>,
    door: SocketAddr,
    resolver: SocketAddr,
    notebook: Arc<Notebook>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Cage {
    /// A cage whose program dials `port`. The test's port is another one, since nobody may bind 443 here.
    fn new(rule: Rule, port: u16, budget: Budget, lookup: Lookup) -> Self {
        let notebook = Arc::new(Notebook::default());
        let patience = Patience {
            hello: Duration::from_millis(400),
            glance: Duration::from_millis(100),
            silence: Duration::from_millis(600),
            connect: Duration::from_millis(500),
            idle: budget.idle,
        };
        let egress = Arc::new(Egress {
            book: Book::starting_at(rule, FIRST),
            report: Report::new(Arc::<Notebook>::clone(&notebook)),
            account: Arc::new(Account::new(budget)),
            dialler: Dialler::new(lookup, patience.connect),
            patience,
        });
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let resolver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (door, asked) = (listener.local_addr().unwrap(), resolver.local_addr().unwrap());
        let doors = Doors {
            resolver: Some(resolver),
            listeners: vec![(port, listener)],
        };
        let task = tokio::spawn(run(doors, Arc::clone(&egress)));
        Self {
            egress,
            door,
            resolver: asked,
            notebook,
            task,
        }
    }

    /// `a.example` is granted on `port` and leads to `host`.
    fn leading_to(host: SocketAddr, port: u16) -> Self {
        Self::with(host, port, Budget::default())
    }

    fn with(host: SocketAddr, port: u16, budget: Budget) -> Self {
        Self::new(granted(Some(host), port), port, budget, dial::system())
    }

    /// Dials as the program does that looked up `a.example`.
    async fn dial(&self) -> TcpStream {
        let Answer::Address(address) = self.egress.book.answer("a.example") else {
            panic!("no address");
        };
        TcpStream::connect((address, self.door.port())).await.unwrap()
    }

    /// What the program gets for what it says, to the end; an error is a reset.
    async fn say(&self, said: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = self.dial().await;
        stream.write_all(said).await?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        Ok(heard)
    }

    /// The outcomes told so far, once there are so many.
    async fn outcomes(&self, count: usize) -> Vec<Outcome> {
        for _ in 0..200 {
            let outcomes = self.seen();
            if outcomes.len() >= count {
                return outcomes;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("only {:?}", self.notebook.events());
    }

    fn seen(&self) -> Vec<Outcome> {
        let outcome = |event| match event {
            Event::Connect { outcome, .. } => Some(outcome),
            _ => None,
        };
        self.notebook.events().into_iter().filter_map(outcome).collect()
    }

    async fn refusal(&self) -> String {
        match self.outcomes(1).await.remove(0) {
            Outcome::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn granted(dial: Option<SocketAddr>, port: u16) -> Rule {
    let grant = |host| Grant {
        host,
        port,
        dial,
        internal: false,
    };
    Rule::Granted(vec![
        grant(Host::Name("a.example".to_owned())),
        grant(Host::Below("b.example".to_owned())),
    ])
}

/// A host that counts its connections.
struct Server {
    address: SocketAddr,
    dialled: Arc<AtomicUsize>,
}

impl Server {
    async fn new<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dialled);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, dialled }
    }

    /// Says back what it hears, and ends when the other side has ended.
    async fn echo() -> Self {
        Self::new(|mut stream| async move {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await?;
            to.shutdown().await
        })
        .await
    }

    /// Answers each request with its first line and its host, and keeps the connection.
    async fn http() -> Self {
        Self::new(|stream| async move {
            let service =
                hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let (parts, body) = request.into_parts();
                    let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
                    let said = format!(
                        "{} {} {:?} {}",
                        parts.method,
                        parts.uri,
                        parts.headers.get("host"),
                        body.len()
                    );
                    Ok::<_, hyper::Error>(http::Response::new(said))
                });
            let io = hyper_util::rt::TokioIo::new(stream);
            let served = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            served.await.map_err(std::io::Error::other)
        })
        .await
    }

    fn dialled(&self) -> usize {
        self.dialled.load(Ordering::SeqCst)
    }
}

fn text(heard: std::io::Result<Vec<u8>>) -> String {
    String::from_utf8(heard.unwrap()).unwrap()
}

#[tokio::test]
async fn names_are_resolved_and_strangers_are_not() {
    let cage = Cage::new(granted(None, 443), 443, Budget::default(), dial::system());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = async |labels: &[&[u8]], kind| {
        socket
            .send_to(&question(labels, kind), cage.resolver)
            .await
            .unwrap();
        let mut answer = vec![0; 512];
        let length = socket.recv(&mut answer).await.unwrap();
        answer.truncate(length);
        (answer[3] & 0x0f, answer[7], answer[length - 4..].to_vec())
    };
    assert_eq!(ask(&[b"A", b"Example"], 1).await, (0, 1, vec![127, 99, 0, 1]));
    assert_eq!(
        ask(&[b"x", b"b", b"example"], 1).await,
        (0, 1, vec![127, 99, 0, 2])
    );
    assert_eq!(ask(&[b"a", b"example"], 1).await, (0, 1, vec![127, 99, 0, 1]));
    for kind in [28, 65] {
        let (code, answers, _) = ask(&[b"a", b"example"], kind).await;
        assert_eq!((code, answers), (0, 0));
    }
    let strangers: [&[&[u8]]; 8] = [
        &[b"b", b"example"],
        &[b"evil-b", b"example"],
        &[b"evil", b"example"],
        &[b"evil", b"example"],
        &[b"a.example"],
        &[b"a\0", b"b", b"example"],
        &[b"localhost"],
        &[b"127", b"0", b"0", b"1"],
    ];
    for stranger in strangers {
        let (code, answers, _) = ask(stranger, 1).await;
        assert_eq!((code, answers), (3, 0), "{stranger:?}");
    }
    // Trash gets no answer, and does no harm.
    socket.send_to(b"\0\x01\x80", cage.resolver).await.unwrap();
    assert_eq!(ask(&[b"a", b"example"], 1).await.0, 0);
    let names: Vec<String> = (cage.notebook.events().into_iter())
        .map(|event| match event {
            Event::Lookup { name } => name,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "b.example",
        "evil-b.example",
        "evil.example",
        "a·example",
        "a·.b.example",
        "localhost",
        "127.0.0.1",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn tls_with_the_right_name_is_relayed() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 443);
    let said = hello(&[b"a.example"]);
    let mut stream = cage.dial().await;
    for byte in &said {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, said);
    let bytes = u64::try_from(said.len()).unwrap();
    let closed = Outcome::Closed {
        sent: bytes,
        received: bytes,
    };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
}

#[tokio::test]
async fn tls_with_another_name_is_reset_and_nobody_is_dialled() {
    let server = Server::echo().await;
    for said in [
        hello(&[b"evil.example"]),
        hello(&[b"a.example."]),
        hello(&[]),
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
    ] {
        let cage = Cage::leading_to(server.address, 443);
        assert!(cage.say(&said).await.is_err(), "a reset");
        let _ = cage.refusal().await;
        assert_eq!(cage.seen().len(), 1);
    }
    let cage = Cage::leading_to(server.address, 80);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn addresses_and_ports_that_are_not_granted() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 443);
    for address in ["127.0.0.1", "127.99.0.200", "127.1.2.3"] {
        let mut stream = TcpStream::connect((address, cage.door.port())).await.unwrap();
        assert!(stream.read_u8().await.is_err());
    }
    let outcomes = cage.outcomes(3).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(_))),
        "{outcomes:?}"
    );
    let other = Cage::new(
        granted(Some(server.address), 443),
        8443,
        Budget::default(),
        dial::system(),
    );
    assert!(other.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(other.refusal().await, "port 8443 is not granted for `a.example`");
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn an_address_that_is_granted() {
    let server = Server::echo().await;
    let grant = Grant {
        host: Host::Address(Ipv4Addr::LOCALHOST),
        port: server.address.port(),
        dial: None,
        internal: false,
    };
    let port = server.address.port();
    let cage = Cage::new(
        Rule::Granted(vec![grant]),
        port,
        Budget::default(),
        dial::system(),
    );
    let mut stream = TcpStream::connect(("127.0.0.1", cage.door.port())).await.unwrap();
    stream.write_all(&hello(&[])).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, hello(&[]));
}

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
async fn the_host_may_speak_first() {
    let server = Server::new(|mut stream| async move {
        stream.write_all(b"220 mail\r\n").await?;
        let mut heard = vec![0; 64];
        let length = stream.read(&mut heard).await?;
        stream.write_all(&heard[..length]).await
    })
    .await;
    let cage = Cage::leading_to(server.address, 25);
    let mut stream = cage.dial().await;
    let mut heard = [0; 10];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 mail\r\n");
    stream.write_all(b"EHLO me\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"EHLO me\r\n");
    // What the program says is looked at all the same.
    for said in [
        hello(&[b"evil.example"]),
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
    ] {
        let mut stream = cage.dial().await;
        stream.read_u8().await.unwrap();
        stream.write_all(&said).await.unwrap();
        let mut heard = Vec::new();
        assert!(stream.read_to_end(&mut heard).await.is_err());
        assert_eq!(heard, b"20 mail\r\n");
    }
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
async fn one_side_may_end_before_the_other() {
    let server = Server::new(|mut stream| async move {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        stream
            .write_all(format!("{} bytes", heard.len()).as_bytes())
            .await
    })
    .await;
    let cage = Cage::leading_to(server.address, 6379);
    let mut stream = cage.dial().await;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
    stream.write_all(&vec![b'x'; 300_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"300014 bytes");
}

#[tokio::test]
async fn names_that_lead_inside_are_not_dialled() {
    let server = Server::echo().await;
    let address = server.address;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // A name that is public when first asked, and this machine after that (DNS rebinding).
    let rebinding: Lookup = Arc::new(move |_, _| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if first {
            "192.0.2.1:443".parse().unwrap()
        } else {
            address
        }])
    });
    let cage = Cage::new(granted(None, 443), 443, Budget::default(), rebinding);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    let outcomes = cage.outcomes(2).await;
    let why = |address: &str| {
        Outcome::Refused(format!(
            "`a.example` leads to {address}, which is no public address"
        ))
    };
    assert_eq!(outcomes, [why("192.0.2.1"), why("127.0.0.1")]);
    assert_eq!((server.dialled(), asked.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn connections_that_say_nothing_are_dropped_and_counted() {
    let server = Server::echo().await;
    let budget = Budget {
        connections: 4,
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 443, budget);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = cage.dial().await;
        stream.write_all(&hello(&[b"a.example"])[..20]).await.unwrap();
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(cage.refusal().await, "4 connections are open already");
    let outcomes = cage.outcomes(5).await;
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(why) if why.contains("in time")))
    );
    // Their places are free again.
    let mut stream = cage.dial().await;
    stream.write_all(&hello(&[b"a.example"])).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 22);
    for mut stream in open {
        assert!(stream.read_u8().await.is_err());
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_granted_connections_are_told() {
    let server = Server::echo().await;
    let budget = Budget {
        per_minute: 150,
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 6379, budget);
    for _ in 0..140 {
        let mut stream = TcpStream::connect(("127.50.0.1", cage.door.port()))
            .await
            .unwrap();
        assert!(stream.read_u8().await.is_err());
    }
    let mut stream = cage.dial().await;
    stream.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'P');
    let outcomes = cage.seen();
    assert_eq!(outcomes.len(), 101);
    assert_eq!(outcomes[100], Outcome::Granted);
    for _ in 0..9 {
        let _ = TcpStream::connect(("127.50.0.1", cage.door.port()))
            .await
            .unwrap()
            .read_u8()
            .await;
    }
    assert!(cage.say(b"PING\r\n").await.is_err(), "the 151st");
    assert_eq!(
        cage.egress.account.admit().unwrap_err(),
        "150 connections were opened in this minute already"
    );
}

#[tokio::test]
async fn bytes_and_idle_time_are_bounded() {
    let server = Server::echo().await;
    let budget = Budget {
        bytes: Some(10_000),
        idle: Duration::from_millis(300),
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 6379, budget);
    let mut idle = cage.dial().await;
    idle.write_all(b"PING\r\n").await.unwrap();
    idle.read_exact(&mut [0; 6]).await.unwrap();
    assert!(idle.read_u8().await.is_err(), "idle for too long");
    let closed = Outcome::Closed { sent: 6, received: 6 };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
    assert!(
        cage.say(&[b"SET\r\n".as_slice(), &[b'x'; 100_000]].concat())
            .await
            .is_err()
    );
    let outcomes = cage.outcomes(5).await;
    assert_eq!(
        outcomes[3],
        Outcome::Refused("all 10000 bytes that it may move are used".to_owned())
    );
    assert!(cage.say(b"PING\r\n").await.is_err());
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let cage = Cage::leading_to(address, 443);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert!(matches!(&cage.outcomes(1).await[0], Outcome::Failed(why) if why.contains("refused")));
    // A probe that says nothing is no breach either.
    drop(cage.dial().await);
    assert_eq!(
        cage.outcomes(2).await[1],
        Outcome::Failed("the program closed it without a word".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_with_it_and_is_told() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 6379);
    let mut stream = cage.dial().await;
    stream.write_all(b"PING\r\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    cage.task.abort();
    assert!(stream.read_u8().await.is_err());
    let closed = Outcome::Closed { sent: 6, received: 6 };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
}

#[tokio::test]
async fn learning_names_everybody_and_reaches_public_hosts_only() {
    let lookup: Lookup = Arc::new(|_, _| Ok(vec!["127.0.0.1:443".parse().unwrap()]));
    let cage = Cage::new(Rule::Learn, 443, Budget::default(), lookup);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    let mut stream = TcpStream::connect(("127.0.0.1", cage.door.port())).await.unwrap();
    stream.write_all(&hello(&[])).await.unwrap();
    assert!(stream.read_u8().await.is_err());
    let events = cage.outcomes(2).await;
    assert_eq!(
        events[1],
        Outcome::Refused("`127.0.0.1` is no public address".to_owned())
    );
    assert!(matches!(&cage.notebook.events()[0], Event::Connect { host, .. } if host == "a.example"));
}

#[tokio::test]
async fn the_public_way_in() {
    let server = Server::echo().await;
    let port = server.address.port();
    let grant = Grant {
        host: Host::Address(Ipv4Addr::LOCALHOST),
        port,
        dial: None,
        internal: false,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap();
    let doors = Doors {
        resolver: None,
        listeners: vec![(port, listener)],
    };
    let notebook = Arc::new(Notebook::default());
    let task = tokio::spawn(super::serve(
        doors,
        Rule::Granted(vec![grant]),
        Budget::default(),
        notebook.clone(),
    ));
    let mut stream = TcpStream::connect(door).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(notebook.events().len(), 1);
    task.abort();
}
