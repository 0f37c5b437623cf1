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

mod bounds;
mod names;
mod relays;
mod requests;

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
