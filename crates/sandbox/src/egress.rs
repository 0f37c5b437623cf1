//! The network of a cage: by host name, without root, for programs that know nothing of proxies. Here: its doors, its
//! grants, and the loops that serve it. Who makes the sockets within the cage is not here.
//!
//! The namespace of the cage has no way out. It holds a resolver socket and a listener per granted port, made there
//! and served by us, and a route by which every IPv4 address is its own. The resolver gives each granted name an
//! address of its own (198.18.0.0/15), so the address of an accepted connection tells the name that was meant; what
//! is then said (the name in a TLS hello, the `Host` of each HTTP request) must fit it. Only then we dial, to an
//! address that we resolved and judged ourselves.
//!
//! What this cannot see: requests within TLS. A host that serves others behind one name (domain fronting, ECH) opens
//! them all, and so does a granted proxy.

mod address;
mod book;
mod caged;
mod connection;
mod dial;
mod dns;
mod http;
mod meter;
mod opening;
mod relay;
mod report;
mod resolver;
#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::book::Book;
use self::connection::{Egress, Patience};
use self::dial::Dialler;
use self::meter::Account;
use self::report::Report;
use crate::{Event, Grant};

/// How long a listener rests when it had to turn a connection away: a program that dials in a loop must cost us
/// less than it.
const REST: Duration = Duration::from_millis(20);
/// How often what was counted only is told.
const TURN: Duration = Duration::from_secs(10);

/// The sockets made within the cage.
#[derive(Debug)]
pub struct Doors {
    /// Where the program's resolver asks: UDP, port 53.
    pub resolver: Option<std::net::UdpSocket>,
    /// Where its connections arrive: the granted port and a listener on all addresses of it.
    pub listeners: Vec<(u16, std::net::TcpListener)>,
}

/// Sees every attempt, granted or not; a flood of refused ones is summed up. Must not block.
pub trait Witness: Send + Sync + 'static {
    /// One more attempt.
    fn saw(&self, event: Event);

    /// Within the cage this address now stands for this name.
    fn lent(&self, _name: &str, _address: Ipv4Addr) {}

    /// Serves the network of a cage of which the witness is told, until the task is aborted: here, unless another process
    /// has the network.
    fn open(
        &self,
        doors: Doors,
        grants: Vec<Grant>,
        budget: Budget,
        witness: Arc<dyn Witness>,
    ) -> JoinHandle<io::Result<()>> {
        tokio::spawn(serve(doors, Rule::Granted(grants), budget, witness))
    }
}

/// Whom the program may reach.
#[derive(Clone, Debug)]
pub enum Rule {
    /// These, and nobody else.
    Granted(Vec<Grant>),
    /// These, and everybody with a public address, so that the grants can be written from what was seen.
    Learn(Vec<Grant>),
}

/// How much of the network one cage may use.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Budget {
    /// Connections at a time, those that have not said anything yet among them.
    pub connections: usize,
    /// New connections in a minute, refused ones among them.
    pub per_minute: u32,
    /// Bytes, both ways together. Without a number, as many as it likes.
    pub bytes: Option<u64>,
    /// Bytes in a second, both ways together.
    pub rate: Option<u64>,
    /// How long a connection may stay without a byte.
    pub idle: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            connections: 64,
            per_minute: 600,
            bytes: None,
            rate: None,
            idle: Duration::from_secs(600),
        }
    }
}

/// Serves the cage's network until dropped; every connection ends then. Needs a runtime with I/O and time.
///
/// # Errors
///
/// When a socket cannot be taken over by the runtime.
pub async fn serve(doors: Doors, rule: Rule, budget: Budget, witness: Arc<dyn Witness>) -> io::Result<()> {
    let patience = Patience {
        hello: Duration::from_secs(10),
        glance: Duration::from_millis(200),
        silence: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        idle: budget.idle,
    };
    let egress = Egress {
        book: Book::new(rule),
        report: Report::new(witness),
        account: Arc::new(Account::new(budget)),
        dialler: Dialler::new(dial::system(), patience.connect),
        patience,
    };
    run(doors, Arc::new(egress)).await
}

async fn run(doors: Doors, egress: Arc<Egress>) -> io::Result<()> {
    let mut loops = JoinSet::new();
    if let Some(socket) = doors.resolver {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let egress = Arc::clone(&egress);
        loops.spawn(async move { resolver::run(socket, &egress).await });
    }
    for (port, listener) in doors.listeners {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loops.spawn(accept(listener, port, Arc::clone(&egress)));
    }
    let mut turns = tokio::time::interval(TURN);
    loop {
        turns.tick().await;
        egress.report.turn(Instant::now());
    }
}

/// Accepts for one port. The tasks end with the loop, since their set does.
async fn accept(listener: tokio::net::TcpListener, port: u16, egress: Arc<Egress>) {
    let mut calls = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = calls.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // A connection that was gone at once, or no descriptor left: neither is helped by haste.
            tokio::time::sleep(REST).await;
            continue;
        };
        match egress.account.admit() {
            Ok(slot) => {
                let egress = Arc::clone(&egress);
                calls.spawn(async move {
                    connection::serve(egress, stream, port).await;
                    drop(slot);
                });
            }
            Err(why) => {
                turn_away(&egress, stream, port, &why);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn turn_away(egress: &Egress, stream: tokio::net::TcpStream, port: u16, why: &str) {
    let address = stream.local_addr().map(|address| address.ip().to_canonical());
    // Dropped without having been confirmed: a reset.
    drop(caged::Caged::new(stream));
    let Ok(std::net::IpAddr::V4(address)) = address else {
        return;
    };
    match egress.book.target(address, port) {
        Ok(target) => egress.report.refused(&target.who.to_string(), port, why),
        Err(stranger) => egress.report.refused(&stranger.host, port, why),
    }
}
