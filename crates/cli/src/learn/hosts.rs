//! Of the connections and ports that were seen: hosts to grant, and those that are not for a proposal to grant.

use std::net::{IpAddr, Ipv4Addr};

use mantlet_config::cage::Destination;

use super::proposal::{Facts, Grant, Proposal, Refused};
use super::seen::{Reached, Seen};

/// Names that are told although nothing was connected to.
const TOLD: usize = 16;
const NOT_PUBLIC: &str = "is no public address";
const MEANT: &str = "if you mean it: `internal_network`";

/// Adds hosts, ports and notes about them.
pub(super) fn propose(seen: &Seen, facts: &Facts, proposal: &mut Proposal) {
    for ((host, port), reached) in &seen.hosts {
        let to = format!("{host}:{port}");
        let hidden = host.parse().is_ok_and(|address| !is_public(address));
        if hidden && !facts.internal.contains(&to) {
            refuse(&to, NOT_PUBLIC, MEANT, proposal);
        } else {
            host_of_egress(&to, reached, facts, proposal);
        }
    }
    for (address, port) in &seen.connections {
        connection(*address, *port, seen, proposal);
    }
    if let Some(first) = seen.listens.first() {
        proposal.loopback = Some(match first {
            0 => "it opens ports".to_owned(),
            port => format!("it opens ports, the first {port}"),
        });
    }
    sort(&mut proposal.network);
    sort(&mut proposal.internal);
    idle_names(seen, proposal);
}

fn sort(grants: &mut Vec<Grant>) {
    grants.sort_by(|a, b| a.what.cmp(&b.what));
    grants.dedup_by(|a, b| a.what == b.what);
}

fn host_of_egress(to: &str, reached: &Reached, facts: &Facts, proposal: &mut Proposal) {
    let grant = |why: String| Grant {
        what: to.to_owned(),
        why,
    };
    if Destination::parse(to).is_err() {
        refuse(to, "is no name that can be granted", "", proposal);
    } else if facts.internal.iter().any(|granted| granted == to) {
        proposal.internal.push(grant("granted while learning".to_owned()));
    } else if reached.times > 0 {
        let times = match reached.times {
            1 => "one connection".to_owned(),
            times => format!("{times} connections"),
        };
        proposal.network.push(grant(times));
    } else if let Some(why) = &reached.failed {
        proposal
            .network
            .push(grant(format!("no connection was made: {why}")));
    } else if let Some(why) = &reached.refused {
        refuse(to, &format!("was refused while learning: {why}"), MEANT, proposal);
    }
}

/// A connection that the egress may not have seen.
fn connection(address: IpAddr, port: u16, seen: &Seen, proposal: &mut Proposal) {
    let IpAddr::V4(address) = address else {
        let to = format!("[{address}]:{port}");
        if !address.is_loopback() || !seen.listens.contains(&port) {
            refuse(&to, "is IPv6, which a cage does not have", "", proposal);
        }
        return;
    };
    let name = seen.names.get(&address).cloned();
    let host = name.clone().unwrap_or_else(|| address.to_string());
    let to = format!("{host}:{port}");
    if seen.hosts.contains_key(&(host, port)) || (address.is_loopback() && seen.listens.contains(&port)) {
        return;
    }
    if address.is_loopback() && port == 53 {
        return;
    }
    if address.is_loopback() || (name.is_none() && !is_public(address)) {
        let why = if address.is_loopback() {
            "leads to this machine itself"
        } else {
            NOT_PUBLIC
        };
        refuse(&to, why, MEANT, proposal);
    } else if Destination::parse(&to).is_err() {
        refuse(&to, "is no name that can be granted", "", proposal);
    } else if !super::PORTS.contains(&port) {
        proposal.network.push(Grant {
            why: format!("connections to port {port} fail while learning: learn again with `--net {to}`"),
            what: to,
        });
    }
}

/// As far as it can be told at a glance: the egress judges for good.
fn is_public(address: Ipv4Addr) -> bool {
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || matches!(
            address.octets(),
            [100, 64..=127, ..] | [198, 18 | 19, ..] | [0 | 240.., ..]
        ))
}

fn refuse(what: &str, why: &str, help: &str, proposal: &mut Proposal) {
    proposal.refused.push(Refused {
        what: what.to_owned(),
        why: why.to_owned(),
        help: help.to_owned(),
    });
}

/// Names that were looked up and not used.
fn idle_names(seen: &Seen, proposal: &mut Proposal) {
    let used = |address: &Ipv4Addr, name: &String| {
        seen.connections.iter().any(|(to, _)| *to == IpAddr::V4(*address))
            || seen.hosts.keys().any(|(host, _)| host == name)
    };
    let idle = seen.names.iter().filter(|(address, name)| !used(address, name));
    for (_, name) in idle.take(TOLD) {
        proposal
            .notes
            .push(format!("`{name}` was looked up, and not connected to"));
    }
}

#[cfg(test)]
mod tests {
    use mantlet_sandbox::learn::Trace;
    use mantlet_sandbox::{Event, Outcome};

    use super::*;

    fn connect(host: &str, port: u16, outcome: Outcome) -> Event {
        Event::Connect {
            host: host.to_owned(),
            port,
            outcome,
        }
    }

    fn proposed(seen: &Seen) -> Proposal {
        let facts = Facts {
            internal: vec!["db.corp.example:5432".to_owned()],
            ..Facts::default()
        };
        let mut proposal = Proposal::default();
        propose(seen, &facts, &mut proposal);
        proposal
    }

    fn what(grants: &[Grant]) -> Vec<&str> {
        grants.iter().map(|grant| grant.what.as_str()).collect()
    }

    #[test]
    fn hosts_that_were_used_are_proposed() {
        let mut seen = Seen::default();
        for event in [
            connect("api.example.com", 443, Outcome::Granted),
            connect("api.example.com", 443, Outcome::Granted),
            connect("gone.example.com", 80, Outcome::Failed("no answer".to_owned())),
            connect("db.corp.example", 5432, Outcome::Granted),
            connect(
                "10.0.0.7",
                5432,
                Outcome::Refused("`10.0.0.7` is no public address".to_owned()),
            ),
            connect("evil host", 443, Outcome::Granted),
        ] {
            seen.saw(event);
        }
        let proposal = proposed(&seen);
        assert_eq!(
            what(&proposal.network),
            ["api.example.com:443", "gone.example.com:80"]
        );
        assert_eq!(proposal.network[0].why, "2 connections");
        assert_eq!(what(&proposal.internal), ["db.corp.example:5432"]);
        assert_eq!(proposal.refused.len(), 2);
        assert_eq!(proposal.loopback, None);
    }

    #[test]
    fn what_the_egress_does_not_see_is_known_by_its_address() {
        let mut seen = Seen::default();
        seen.lent("mail.example.com", Ipv4Addr::new(198, 18, 0, 1));
        seen.lent("idle.example.com", Ipv4Addr::new(198, 18, 0, 2));
        let to = |address: &str, port| Trace::Connect {
            address: address.parse().unwrap(),
            port,
        };
        seen.learnt(vec![
            to("198.18.0.1", 2525),
            to("127.0.0.1", 9229),
            to("127.0.0.1", 53),
            to("127.0.0.1", 11434),
            to("::1", 9229),
            to("8.8.8.8", 4443),
            to("10.0.0.1", 4443),
            Trace::Listen(9229),
        ]);
        let proposal = proposed(&seen);
        assert_eq!(what(&proposal.network), ["8.8.8.8:4443", "mail.example.com:2525"]);
        let refused: Vec<&str> = proposal.refused.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(refused, ["10.0.0.1:4443", "127.0.0.1:11434"]);
        assert_eq!(
            proposal.loopback.as_deref(),
            Some("it opens ports, the first 9229")
        );
        assert_eq!(
            proposal.notes,
            ["`idle.example.com` was looked up, and not connected to"]
        );
    }
}
