//! What the host sees of a run: connections, datagrams, questions to a resolver, visitors of unix sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::granted::Granted;

/// What was seen that must not be.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    /// Notes something, once.
    pub(crate) fn add(&self, what: String) {
        let mut notes = self.0.lock().unwrap();
        if !notes.contains(&what) {
            notes.push(what);
        }
    }

    /// What was noted so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// The ports and names of one run's services.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) granted: u16,
    pub(crate) forbidden: u16,
    pub(crate) udp: u16,
    pub(crate) resolver: u16,
    pub(crate) listen: u16,
    pub(crate) abstract_stream: String,
    pub(crate) abstract_datagrams: String,
}

/// The services of one run. They end with it.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) notes: Arc<Notes>,
    pub(crate) ports: Ports,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Services {
    notes: Arc<Notes>,
    canary: String,
    granted: TcpListener,
    watch_granted: bool,
    forbidden: Vec<TcpListener>,
    datagrams: Vec<(&'static str, UdpSocket)>,
    resolver: TcpListener,
    unix: Vec<(String, UnixListener)>,
    unix_datagrams: Vec<(String, UnixDatagram)>,
}

impl Witness {
    /// Starts the services, unix sockets at these paths among them.
    pub(crate) fn start(mark: &str, canary: &str, paths: &[PathBuf], watch_granted: bool) -> Self {
        let notes = Arc::new(Notes::default());
        let granted = TcpListener::bind("127.0.0.1:0").unwrap();
        let forbidden = both_families();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        let (questions, resolver) = resolver();
        let resolver_port = port(&resolver);
        let mut datagrams = vec![("a datagram", udp), ("a question to a resolver", questions)];
        datagrams.extend(UdpSocket::bind(("::1", udp_port)).map(|socket| ("a datagram", socket)));
        let ports = Ports {
            granted: port(&granted),
            forbidden: port(&forbidden[0]),
            udp: udp_port,
            resolver: resolver_port,
            listen: port(&TcpListener::bind("127.0.0.1:0").unwrap()),
            abstract_stream: format!("{mark}.stream"),
            abstract_datagrams: format!("{mark}.datagrams"),
        };
        let address = SocketAddr::from_abstract_name(&ports.abstract_stream).unwrap();
        let stream = UnixListener::bind_addr(&address).unwrap();
        let address = SocketAddr::from_abstract_name(&ports.abstract_datagrams).unwrap();
        let datagram = UnixDatagram::bind_addr(&address).unwrap();
        let mut unix = vec![("an abstract socket".to_owned(), stream)];
        unix.extend(
            paths
                .iter()
                .map(|path| (shown(path), UnixListener::bind(path).unwrap())),
        );
        let services = Services {
            notes: Arc::clone(&notes),
            canary: canary.to_owned(),
            granted,
            watch_granted,
            forbidden,
            datagrams,
            resolver,
            unix,
            unix_datagrams: vec![("an abstract socket".to_owned(), datagram)],
        };
        services.do_not_wait();
        let over = Arc::new(AtomicBool::new(false));
        let watch = Arc::clone(&over);
        let forbidden = ports.forbidden;
        let thread = std::thread::spawn(move || {
            while !watch.load(Ordering::Relaxed) {
                services.look(forbidden);
                std::thread::sleep(Duration::from_millis(10));
            }
            services.look(forbidden);
        });
        Self {
            notes,
            ports,
            over,
            thread: Some(thread),
        }
    }

    /// Looks a last time, and ends.
    pub(crate) fn end(&mut self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.notes.all()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
    }
}

impl Services {
    fn do_not_wait(&self) {
        for listener in self.forbidden.iter().chain([&self.granted, &self.resolver]) {
            listener.set_nonblocking(true).unwrap();
        }
        for (_, socket) in &self.datagrams {
            socket.set_nonblocking(true).unwrap();
        }
        for (_, socket) in &self.unix {
            socket.set_nonblocking(true).unwrap();
        }
        for (_, socket) in &self.unix_datagrams {
            socket.set_nonblocking(true).unwrap();
        }
    }

    /// Takes what has come.
    fn look(&self, forbidden: u16) {
        while let Ok((stream, _)) = self.granted.accept() {
            if self.watch_granted {
                self.notes.add("the granted service got a visitor".to_owned());
            }
            let notes = Arc::clone(&self.notes);
            let _always_possible = stream.set_nonblocking(false);
            std::thread::spawn(move || Granted { notes, forbidden }.serve(stream));
        }
        for listener in &self.forbidden {
            while let Ok((stream, _)) = listener.accept() {
                self.notes.add("the forbidden service got a visitor".to_owned());
                let canary = self.canary.clone();
                std::thread::spawn(move || answer(stream, &canary));
            }
        }
        while let Ok((mut stream, _)) = self.resolver.accept() {
            self.notes.add("a question to a resolver arrived".to_owned());
            let _gone = stream.write_all(&[0; 20]);
        }
        let mut buffer = [0; 2048];
        for (what, socket) in &self.datagrams {
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                self.notes.add(format!("{what} arrived"));
                let _gone = socket.send_to(self.canary.as_bytes(), from);
            }
        }
        for (what, listener) in &self.unix {
            while let Ok((mut stream, _)) = listener.accept() {
                self.notes.add(format!("{what} got a visitor"));
                let _gone = stream.write_all(self.canary.as_bytes());
            }
        }
        for (what, socket) in &self.unix_datagrams {
            while socket.recv(&mut buffer).is_ok() {
                self.notes.add(format!("{what} got a datagram"));
            }
        }
    }
}

/// The forbidden service gives its secret to whoever asks.
fn answer(mut stream: TcpStream, canary: &str) {
    let _always_possible = stream.set_nonblocking(false);
    let _always_possible = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _whatever = stream.read(&mut [0; 500]);
    let text = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{canary}",
        canary.len()
    );
    let _gone = stream.write_all(text.as_bytes());
}

/// Listens on one port over IPv4, and over IPv6 where there is such.
fn both_families() -> Vec<TcpListener> {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = TcpListener::bind(("::1", port(&first)));
    std::iter::once(first).chain(second).collect()
}

/// Listens on one port for datagrams and for connections.
fn resolver() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The port may be somebody else's for datagrams.
        if let Ok(datagrams) = UdpSocket::bind(("127.0.0.1", port(&listener))) {
            return (datagrams, listener);
        }
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
