//! The network of the cage: a loopback interface, and nothing else. Where hosts are granted, every IPv4 address is
//! delivered to this loopback (AnyIP), and the sockets that wait there are handed to Mantlet, which decides and dials.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::spec::Spec;
use crate::sys;

/// The sockets of the cage's network: a resolver, and a listener for each port.
pub(crate) struct Sockets {
    pub(crate) ports: Vec<u16>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Sets up the network namespace that this process is in.
pub(crate) fn build(spec: &Spec) -> io::Result<Sockets> {
    // What is not there needs no rules of its own. Before `lo` is up, so that it gets no address of that kind.
    let _there_may_be_none = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    sys::interface_up(b"lo")?;
    let resolver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
    let mut descriptors = vec![OwnedFd::from(resolver)];
    let ports = spec.ports();
    if !ports.is_empty() {
        everywhere_is_here()?;
    }
    for port in &ports {
        descriptors.push(TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port))?.into());
    }
    Ok(Sockets {
        ports: ports.into_iter().collect(),
        descriptors,
    })
}

/// `ip route add local 0.0.0.0/0 dev lo` (rtnetlink(7)).
fn everywhere_is_here() -> io::Result<()> {
    let mut request = Vec::with_capacity(36);
    request.extend(36_u32.to_ne_bytes());
    request.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    request.extend(u16::try_from(flags).map_err(io::Error::other)?.to_ne_bytes());
    request.extend(1_u32.to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    // struct rtmsg: family, lengths of destination and source, type of service, table, protocol, scope, type, flags.
    let inet = u8::try_from(libc::AF_INET).map_err(io::Error::other)?;
    request.extend([inet, 0, 0, 0, libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT]);
    request.extend([libc::RT_SCOPE_HOST, libc::RTN_LOCAL]);
    request.extend(0_u32.to_ne_bytes());
    // RTA_OIF: the loopback is interface 1 of every namespace.
    request.extend(8_u16.to_ne_bytes());
    request.extend(libc::RTA_OIF.to_ne_bytes());
    request.extend(1_u32.to_ne_bytes());
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (_, length) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // struct nlmsgerr behind the header: the error number, negated.
    let code = answer.get(16..20).filter(|_| length >= 20);
    let code = code
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::Error::other("no answer about a route")),
    }
}
