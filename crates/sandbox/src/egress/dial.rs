//! The way out: a granted host becomes a connected socket, by an address that was judged and no other.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::{Judgement, judge};
use super::book::{Target, Who};
use super::connection::End;

/// Addresses of one name that are tried.
const TRIED: usize = 8;
/// Names that one cage may have resolved at a time: each holds a thread until the system's resolver gives up.
const LOOKUPS: usize = 8;

/// Asks for the addresses of a name; blocks. The system's resolver, but in tests.
pub(super) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// See the module's head.
pub(super) struct Dialler {
    lookup: Lookup,
    lookups: Arc<Semaphore>,
    /// How long one address may take to answer, and a name to resolve.
    patience: Duration,
}

impl Dialler {
    pub(super) fn new(lookup: Lookup, patience: Duration) -> Self {
        Self {
            lookup,
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            patience,
        }
    }

    /// A connection to the target, or why there is none.
    pub(super) async fn dial(&self, target: &Target) -> Result<TcpStream, End> {
        let addresses = match (target.dial, &target.who) {
            (Some(address), _) => vec![address],
            (None, Who::Address(address)) => {
                let address = SocketAddr::from((*address, target.port));
                if target.learnt {
                    choose(&target.who, vec![address], false)?
                } else {
                    vec![address]
                }
            }
            (None, Who::Name(name)) => choose(
                &target.who,
                self.resolve(name, target.port).await?,
                target.internal,
            )?,
        };
        let until = Instant::now() + self.patience.saturating_mul(3);
        let mut failed = None;
        for address in addresses.into_iter().take(TRIED) {
            let attempt = timeout(self.patience, TcpStream::connect(address));
            match timeout_at(until, attempt).await {
                Ok(Ok(Ok(stream))) => {
                    check(target, &stream, address)?;
                    // Where it fails, small writes are slower, and that is all.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Ok(Err(error))) => failed = Some(format!("{address}: {error}")),
                Ok(Err(_)) => failed = Some(format!("{address} does not answer")),
                Err(_) => break,
            }
        }
        Err(End::Failed(
            failed.unwrap_or_else(|| "no address answers".to_owned()),
        ))
    }

    async fn resolve(&self, name: &Arc<str>, port: u16) -> Result<Vec<SocketAddr>, End> {
        let unresolved = |why: String| End::Failed(format!("`{name}` cannot be resolved: {why}"));
        let until = Instant::now() + self.patience;
        let Ok(Ok(permit)) = timeout_at(until, Arc::clone(&self.lookups).acquire_owned()).await else {
            return Err(unresolved("other names are still being resolved".to_owned()));
        };
        let (lookup, asked) = (Arc::clone(&self.lookup), Arc::clone(name));
        let (answer, answered) = tokio::sync::oneshot::channel();
        // A thread of its own: the runtime waits for its blocking tasks when it ends, and a name server that is gone
        // would hold up the end of the program.
        let thread = std::thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || {
                // Held as long as the thread is, also when nobody waits any more.
                let _permit = permit;
                let _nobody_waits = answer.send(lookup(&asked, port));
            });
        if let Err(error) = thread {
            return Err(unresolved(error.to_string()));
        }
        match timeout_at(until, answered).await {
            Ok(Ok(Ok(addresses))) if addresses.is_empty() => Err(unresolved("it has no address".to_owned())),
            Ok(Ok(Ok(addresses))) => Ok(addresses),
            Ok(Ok(Err(error))) => Err(unresolved(error.to_string())),
            Ok(Err(_)) => Err(unresolved("the lookup broke off".to_owned())),
            Err(_) => Err(unresolved("no answer in time".to_owned())),
        }
    }
}

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name, port| Ok(std::net::ToSocketAddrs::to_socket_addrs(&(name, port))?.collect()))
}

/// The addresses that may be dialled. When there is none, the first of the others is the reason.
fn choose(who: &Who, addresses: Vec<SocketAddr>, internal: bool) -> Result<Vec<SocketAddr>, End> {
    let mut refused = None;
    let mut good = Vec::new();
    for address in addresses {
        match judge(address.ip(), internal) {
            Judgement::Allow => good.push(address),
            Judgement::Refuse(why) => {
                refused.get_or_insert_with(|| leads(who, address.ip(), why));
            }
        }
    }
    match refused {
        Some(why) if good.is_empty() => Err(End::Refused(why)),
        _ => Ok(good),
    }
}

fn leads(who: &Who, address: IpAddr, why: &str) -> String {
    match who {
        Who::Name(name) => format!("`{name}` leads to {address}, which is {why}"),
        Who::Address(address) => format!("`{address}` is {why}"),
    }
}

/// The socket must be connected to what was judged: something on this machine may have led it elsewhere.
fn check(target: &Target, stream: &TcpStream, wanted: SocketAddr) -> Result<(), End> {
    let peer = stream
        .peer_addr()
        .map_err(|error| End::Failed(format!("{wanted}: {error}")))?;
    if peer.ip().to_canonical() != wanted.ip().to_canonical() || peer.port() != wanted.port() {
        return Err(End::Refused(format!(
            "`{}` was led to {peer} on the way",
            target.who
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 443))
            .collect()
    }

    fn target() -> Target {
        Target {
            who: Who::Name("a.example".into()),
            port: 443,
            dial: None,
            internal: false,
            learnt: false,
        }
    }

    fn dialler(texts: &'static [&'static str]) -> Dialler {
        Dialler::new(
            Arc::new(move |_, _| Ok(addresses(texts))),
            Duration::from_millis(300),
        )
    }

    #[test]
    fn only_public_addresses_are_chosen() {
        let who = target().who;
        let mixed = addresses(&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1"]);
        assert_eq!(
            choose(&who, mixed, false).unwrap(),
            addresses(&["1.1.1.1", "2606:4700::1"])
        );
        let Err(End::Refused(why)) = choose(&who, addresses(&["10.0.0.1", "127.0.0.1"]), false) else {
            panic!("10.0.0.1 was chosen");
        };
        assert_eq!(why, "`a.example` leads to 10.0.0.1, which is no public address");
        let inside = addresses(&["10.0.0.1", "169.254.169.254", "fd00:ec2::254"]);
        assert_eq!(choose(&who, inside, true).unwrap(), addresses(&["10.0.0.1"]));
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_refused() {
        for (inside, why) in [
            (
                &["127.0.0.1"][..],
                "`a.example` leads to 127.0.0.1, which is no public address",
            ),
            (
                &["::ffff:192.168.1.1"],
                "`a.example` leads to ::ffff:192.168.1.1, which is no public address",
            ),
            (
                &["169.254.169.254"],
                "`a.example` leads to 169.254.169.254, which is the metadata service of a cloud",
            ),
        ] {
            let Err(End::Refused(said)) = dialler(inside).dial(&target()).await else {
                panic!("{inside:?} was dialled");
            };
            assert_eq!(said, why);
        }
    }

    #[tokio::test]
    async fn the_dialled_address_is_taken_as_written_and_failures_are_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut target = target();
        target.dial = Some(address);
        assert_eq!(
            dialler(&[]).dial(&target).await.unwrap().peer_addr().unwrap(),
            address
        );
        drop(listener);
        assert!(matches!(dialler(&[]).dial(&target).await, Err(End::Failed(_))));
        target.dial = None;
        let Err(End::Failed(why)) = dialler(&[]).dial(&target).await else {
            panic!("dialled nothing");
        };
        assert_eq!(why, "`a.example` cannot be resolved: it has no address");
    }

    #[tokio::test]
    async fn lookups_that_hang_are_bounded() {
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&running);
        let hanging: Lookup = Arc::new(move |_, _| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(400));
            Ok(Vec::new())
        });
        let dialler = Arc::new(Dialler::new(hanging, Duration::from_millis(100)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let dialler = Arc::clone(&dialler);
            tasks.spawn(async move { dialler.dial(&target()).await.is_err() });
        }
        assert!(tasks.join_all().await.into_iter().all(|failed| failed));
        assert_eq!(running.load(std::sync::atomic::Ordering::SeqCst), LOOKUPS);
    }
}
