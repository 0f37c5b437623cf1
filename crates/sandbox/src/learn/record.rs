//! Keeps what was heard, each thing once and not without end, and looks now and then at how much the program uses.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::SocketType;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Trace, call};
use crate::root::HOME;
use crate::sys::{self, Notified};
use crate::watch;

/// What is kept of one program: traces, and bytes of their paths.
const TRACES: usize = 20_000;
const BYTES: usize = 4 << 20;
/// Traces in one message: their paths may be of the longest, in letters that take six each when they are told.
const TOGETHER: usize = 4;
/// Between two looks at how much is used.
const PAUSE: Duration = Duration::from_millis(100);
/// Places that every program uses and no grant is about.
const NOISE: &[&str] = &["/dev", "/proc", "/sys", "/tmp/.X11-unix"];

/// See the module's head.
pub(crate) struct Recorder {
    seen: BTreeSet<Trace>,
    bytes: usize,
    fresh: Vec<Trace>,
    shown: Vec<PathBuf>,
    peak: (u64, u64, u64),
    next: Instant,
}

impl Recorder {
    pub(crate) fn new(shown: &[PathBuf]) -> Self {
        Self {
            seen: BTreeSet::new(),
            bytes: 0,
            fresh: Vec::new(),
            shown: shown.to_vec(),
            peak: (0, 0, 0),
            next: Instant::now(),
        }
    }

    /// Takes down what a call is about. Its caller waits meanwhile.
    pub(crate) fn hear(&mut self, call: &Notified) {
        match libc::c_long::from(call.call) {
            libc::SYS_connect => self.connection(call),
            libc::SYS_listen => {
                if let Ok(Some(port)) = listening(call) {
                    self.keep(Trace::Listen(port));
                }
            }
            _ => {
                for named in call::paths(call) {
                    match named {
                        Ok((path, act)) if self.tells(&path) => self.keep(Trace::Path { path, act }),
                        Ok(_) => {}
                        Err(_) => self.keep(Trace::Unread),
                    }
                }
            }
        }
    }

    /// Whether a path may be worth a grant. Behind `..` it may be anything.
    fn tells(&self, path: &Path) -> bool {
        let upward = path.components().any(|part| part == Component::ParentDir);
        let noise = NOISE.iter().any(|place| path.starts_with(place)) || crate::root::has(path);
        let shown = self.shown.iter().any(|place| path.starts_with(place));
        let home = path.starts_with(HOME);
        path.to_str().is_some() && (upward || shown || home || !noise)
    }

    fn connection(&mut self, call: &Notified) {
        let Ok(to) = destination(call) else {
            self.keep(Trace::Unread);
            return;
        };
        match to {
            Some(Trace::Connect { port: 0, .. }) | None => {}
            // Programs ask by UDP whom they would reach; no grant is about that.
            Some(trace @ Trace::Connect { .. }) => {
                if socket(call).is_ok_and(|socket| is_stream(&socket)) {
                    self.keep(trace);
                }
            }
            Some(trace) => self.keep(trace),
        }
    }

    fn keep(&mut self, trace: Trace) {
        if self.seen.contains(&trace) {
            return;
        }
        let size = match &trace {
            Trace::Path { path, .. } | Trace::Socket(path) => path.as_os_str().len(),
            _ => 0,
        };
        let full = self.seen.len() >= TRACES || self.bytes.saturating_add(size) > BYTES;
        let trace = if full { Trace::Full } else { trace };
        if self.seen.insert(trace.clone()) {
            self.bytes = self.bytes.saturating_add(size);
            self.fresh.push(trace);
        }
    }

    /// How long until the next look.
    pub(crate) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// What is new, some of it at a time. `root` is process 1 of the cage.
    pub(crate) fn fresh(&mut self, root: Pid) -> Vec<Trace> {
        let now = Instant::now();
        if now >= self.next {
            self.next = now.checked_add(PAUSE).unwrap_or(now);
            self.look(root);
        }
        let some = self.fresh.len().min(TOGETHER);
        self.fresh.drain(..some).collect()
    }

    fn look(&mut self, root: Pid) {
        let tree = watch::tree(root.as_raw_nonzero().get());
        let sum = |of: fn(i32) -> u64| tree.iter().map(|pid| of(*pid)).fold(0, u64::saturating_add);
        // Its private folders are one file system.
        let scratch = tree.iter().find_map(|pid| {
            let space = rustix::fs::statvfs(PathBuf::from(format!("/proc/{pid}/root")).join("tmp")).ok()?;
            let used = space.f_blocks.saturating_sub(space.f_bfree);
            Some(used.saturating_mul(space.f_frsize))
        });
        let (memory, processes, disk) = self.peak;
        let now = (
            sum(watch::memory_of).max(memory),
            sum(watch::threads_of).max(processes),
            scratch.unwrap_or_default().max(disk),
        );
        // Small growth is not worth a message.
        let grown = |now: u64, before: u64| now > before.saturating_add(before / 16);
        if grown(now.0, memory) || grown(now.1, processes) || grown(now.2, disk) {
            self.peak = now;
            self.fresh.push(Trace::Peak {
                memory: now.0,
                processes: now.1,
                disk: now.2,
            });
        }
    }
}

/// Where a connection goes (`struct sockaddr`, by its family).
fn destination(call: &Notified) -> io::Result<Option<Trace>> {
    let [_, address, length, ..] = call.arguments;
    let mut text = [0_u8; 110];
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(text.len());
    let text = text.get_mut(..length).unwrap_or_default();
    sys::read_memory(call.pid, address, text)?;
    Ok(parse(text).and_then(|to| match to {
        Trace::Socket(path) if path.is_relative() => {
            let here = std::fs::read_link(format!("/proc/{}/cwd", call.pid)).ok()?;
            Some(Trace::Socket(here.join(path)))
        }
        other => Some(other),
    }))
}

fn parse(text: &[u8]) -> Option<Trace> {
    let family = i32::from(u16::from_ne_bytes(*text.first_chunk()?));
    let port = || Some(u16::from_be_bytes(*text.get(2..)?.first_chunk()?));
    let inet = |address: IpAddr| {
        let (address, port) = (address.to_canonical(), port()?);
        Some(Trace::Connect { address, port })
    };
    match family {
        libc::AF_INET => inet(Ipv4Addr::from(*text.get(4..)?.first_chunk::<4>()?).into()),
        libc::AF_INET6 => inet(Ipv6Addr::from(*text.get(8..)?.first_chunk::<16>()?).into()),
        libc::AF_UNIX => {
            let path = text.get(2..)?.split(|byte| *byte == 0).next()?;
            // Without a path it is one of the cage's own (an abstract name).
            let path = std::str::from_utf8(path).ok().filter(|path| !path.is_empty())?;
            Some(Trace::Socket(PathBuf::from(path)))
        }
        _ => None,
    }
}

/// A copy of the socket that a call is made on.
fn socket(call: &Notified) -> io::Result<OwnedFd> {
    let [number, ..] = call.arguments;
    let status = std::fs::read_to_string(format!("/proc/{}/status", call.pid))?;
    let process = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(process, PidfdFlags::empty())?;
    let number = i32::try_from(number & 0xffff_ffff).map_err(io::Error::other)?;
    Ok(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?)
}

fn is_stream(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM)
}

/// The TCP port on which a socket is about to listen; 0 is any.
fn listening(call: &Notified) -> io::Result<Option<u16>> {
    let name = rustix::net::getsockname(socket(call)?)?;
    Ok(std::net::SocketAddr::try_from(name)
        .ok()
        .map(|address| address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Act;

    fn path(text: &str) -> Trace {
        Trace::Path {
            path: text.into(),
            act: Act::Read,
        }
    }

    #[test]
    fn each_thing_is_told_once_and_there_is_an_end() {
        let mut recorder = Recorder::new(&[]);
        for _ in 0..3 {
            recorder.keep(path("/srv/a"));
        }
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        recorder.next = Instant::now() + Duration::from_secs(60);
        assert_eq!(recorder.fresh(own), [path("/srv/a")]);
        for number in 0..2 * TRACES {
            recorder.keep(path(&format!("/srv/{number}")));
        }
        let mut told = Vec::new();
        loop {
            let some = recorder.fresh(own);
            assert!(some.len() <= TOGETHER);
            if some.is_empty() {
                break;
            }
            told.extend(some);
        }
        assert_eq!(told.len(), TRACES);
        assert_eq!(told.last(), Some(&Trace::Full));
    }

    #[test]
    fn what_every_cage_has_is_no_news() {
        let recorder = Recorder::new(&["/tmp/some".into()]);
        for path in [
            "/usr/lib/x",
            "/proc/self/maps",
            "/etc/passwd",
            "/tmp/x",
            "/dev/null",
        ] {
            assert!(!recorder.tells(Path::new(path)), "{path}");
        }
        for path in [
            "/srv/x",
            "/usr/../home/ada",
            "/tmp/some/x",
            "/home/mcp/.config/x",
            "/etc/machine-id",
        ] {
            assert!(recorder.tells(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn addresses_are_read() {
        let inet = |family: i32, rest: &[u8]| {
            let family = u16::try_from(family).unwrap().to_ne_bytes();
            parse(&[family.as_slice(), rest].concat())
        };
        let to = |address: &str, port| {
            let address = address.parse().unwrap();
            Some(Trace::Connect { address, port })
        };
        assert_eq!(
            inet(libc::AF_INET, &[1, 187, 198, 18, 0, 1, 0, 0]),
            to("198.18.0.1", 443)
        );
        let mut mapped = vec![0, 80, 0, 0, 0, 0];
        mapped.extend([0; 10]);
        mapped.extend([255, 255, 10, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(inet(libc::AF_INET6, &mapped), to("10.0.0.1", 80));
        assert_eq!(
            inet(libc::AF_UNIX, b"/run/x.sock\0rest"),
            Some(Trace::Socket("/run/x.sock".into()))
        );
        assert_eq!(inet(libc::AF_UNIX, b"\0abstract"), None);
        assert_eq!(inet(libc::AF_INET, &[1]), None);
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn a_port_is_read_of_the_socket_itself() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let call = Notified {
            id: 0,
            pid: std::process::id(),
            call: 0,
            arguments: [u64::try_from(number).unwrap(), 0, 0, 0, 0, 0],
        };
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening(&call).unwrap(), Some(port));
        assert!(is_stream(&socket(&call).unwrap()));
    }
}
