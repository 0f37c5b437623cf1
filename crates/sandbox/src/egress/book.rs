//! Names and the addresses that stand for them within the cage: the resolver writes here, and whoever accepts a
//! connection reads from its address which name the program meant. Pure but for a lock.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use super::Rule;
use crate::{Grant, Host};

/// 198.18.0.0/15 is for benchmarks (RFC 2544) and leads nowhere, should it ever leave the cage.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const ADDRESSES: u32 = 1 << 17;
/// Names under a pattern that one cage may use. They are the program's choice, so they are counted.
const MAX_CHOSEN: usize = 4_096;
const LOCALHOST: &str = "localhost";

/// See the module's head.
pub(super) struct Book {
    rule: Rule,
    names: Mutex<Names>,
}

struct Names {
    to: HashMap<Arc<str>, Ipv4Addr>,
    from: HashMap<Ipv4Addr, Arc<str>>,
    /// Granted as addresses: these stand for themselves, also within our range.
    taken: Vec<Ipv4Addr>,
    first: Ipv4Addr,
    used: u32,
    chosen: usize,
}

/// What the resolver says of a name.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name is granted, and this address stands for it.
    Address(Ipv4Addr),
    /// It is granted, but there is no room for more names.
    Full,
    /// It is not granted.
    Unknown,
}

/// Whom the program wants to reach, as the accepted connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The host name that it looked up.
    Name(Arc<str>),
    /// An address that it knew without looking up anything.
    Address(Ipv4Addr),
}

/// A granted destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The host.
    pub(super) who: Who,
    /// The TCP port.
    pub(super) port: u16,
    /// The address that is dialled instead of what the host resolves to.
    pub(super) dial: Option<SocketAddr>,
    /// Whether the name may lead to an address that is not public.
    pub(super) internal: bool,
    /// Whether nobody granted it: its address is judged, even one that was used as such.
    pub(super) learnt: bool,
}

/// A destination that is not granted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    /// The host, as well as it can be told.
    pub(super) host: String,
    /// Ends the sentence "refused: …".
    pub(super) why: String,
}

impl Book {
    pub(super) fn new(rule: Rule) -> Self {
        Self::starting_at(rule, FIRST)
    }

    /// With another range: a test without a namespace has only 127.0.0.0/8.
    pub(super) fn starting_at(rule: Rule, first: Ipv4Addr) -> Self {
        let mut names = Names {
            to: HashMap::new(),
            from: HashMap::new(),
            taken: Vec::new(),
            first,
            used: 0,
            chosen: 0,
        };
        let (Rule::Granted(grants) | Rule::Learn(grants)) = &rule;
        for grant in grants {
            match &grant.host {
                // As RFC 6761 §6.3 has it, and as `/etc/hosts` says whether we do or not.
                Host::Name(name) if name == LOCALHOST => names.put(name, Ipv4Addr::LOCALHOST),
                Host::Address(address) => names.taken.push(*address),
                Host::Name(_) | Host::Below(_) => {}
            }
        }
        for grant in grants {
            if let Host::Name(name) = &grant.host {
                names.give(name);
            }
        }
        Self {
            rule,
            names: Mutex::new(names),
        }
    }

    /// Whether any grant is for this name, whatever the port.
    pub(super) fn knows(&self, name: &str) -> bool {
        match &self.rule {
            Rule::Granted(grants) => grants.iter().any(|grant| is_for(&grant.host, name)),
            Rule::Learn(_) => true,
        }
    }

    /// The address that stands for a name: the same one each time. `name` is a host name in lower case.
    pub(super) fn answer(&self, name: &str) -> Answer {
        if !self.knows(name) {
            return Answer::Unknown;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = names.to.get(name) {
            return Answer::Address(*address);
        }
        if names.chosen >= MAX_CHOSEN {
            return Answer::Full;
        }
        names.chosen = names.chosen.saturating_add(1);
        names.give(name).map_or(Answer::Full, Answer::Address)
    }

    /// Whom a connection to this address and port is for.
    pub(super) fn target(&self, address: Ipv4Addr, port: u16) -> Result<Target, Stranger> {
        let name = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.from.get(&address).map(Arc::clone)
        };
        let (Rule::Granted(grants) | Rule::Learn(grants)) = &self.rule;
        if let Some(name) = &name
            && let Some(grant) = best(grants, name, port)
        {
            return Ok(granted(grant, Who::Name(Arc::clone(name))));
        }
        let direct = grants
            .iter()
            .find(|grant| grant.port == port && grant.host == Host::Address(address));
        if direct.is_none() && matches!(self.rule, Rule::Learn(_)) {
            return Ok(Target {
                who: name.map_or(Who::Address(address), Who::Name),
                port,
                dial: None,
                internal: false,
                learnt: true,
            });
        }
        match (direct, name) {
            (Some(grant), _) => Ok(granted(grant, Who::Address(address))),
            (None, Some(name)) => Err(Stranger {
                why: format!("port {port} is not granted for `{name}`"),
                host: name.as_ref().to_owned(),
            }),
            (None, None) => Err(Stranger {
                host: address.to_string(),
                why: format!("no granted name leads to `{address}`, and the address itself is not granted"),
            }),
        }
    }
}

impl Names {
    /// The next free address for a name, or the one that it has.
    fn give(&mut self, name: &str) -> Option<Ipv4Addr> {
        if let Some(address) = self.to.get(name) {
            return Some(*address);
        }
        loop {
            self.used = self.used.checked_add(1).filter(|used| *used < ADDRESSES)?;
            let address = Ipv4Addr::from(u32::from(self.first).checked_add(self.used)?);
            if !self.taken.contains(&address) {
                self.put(name, address);
                return Some(address);
            }
        }
    }

    fn put(&mut self, name: &str, address: Ipv4Addr) {
        let name: Arc<str> = Arc::from(name);
        self.to.insert(Arc::clone(&name), address);
        self.from.insert(address, name);
    }
}

fn granted(grant: &Grant, who: Who) -> Target {
    Target {
        who,
        port: grant.port,
        dial: grant.dial,
        internal: grant.internal,
        learnt: false,
    }
}

/// The grant that says the most about this name and port: the name itself, or the longest pattern.
fn best<'a>(grants: &'a [Grant], name: &str, port: u16) -> Option<&'a Grant> {
    grants
        .iter()
        .filter(|grant| grant.port == port && is_for(&grant.host, name))
        .max_by_key(|grant| match &grant.host {
            Host::Name(_) => usize::MAX,
            Host::Below(parent) => parent.len(),
            Host::Address(_) => 0,
        })
}

fn is_for(host: &Host, name: &str) -> bool {
    match host {
        Host::Name(granted) => granted == name,
        // `evil-example.com` ends with `example.com` as well: the dot is what counts.
        Host::Below(parent) => name
            .strip_suffix(parent.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|rest| !rest.is_empty()),
        Host::Address(_) => false,
    }
}

impl Who {
    /// Whether a name in a TLS hello or in a `Host` header, without its port, means this host.
    pub(super) fn is(&self, said: &str) -> bool {
        match self {
            Self::Name(name) => {
                said.eq_ignore_ascii_case(name) || (name.as_ref() == LOCALHOST && said == "127.0.0.1")
            }
            Self::Address(address) => {
                said == address.to_string()
                    || (*address == Ipv4Addr::LOCALHOST && said.eq_ignore_ascii_case(LOCALHOST))
            }
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(address) => address.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(host: Host, port: u16) -> Grant {
        Grant {
            host,
            port,
            dial: None,
            internal: false,
        }
    }

    fn name(name: &str) -> Host {
        Host::Name(name.to_owned())
    }

    fn below(name: &str) -> Host {
        Host::Below(name.to_owned())
    }

    fn address(answer: Answer) -> Ipv4Addr {
        match answer {
            Answer::Address(address) => address,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_name_has_an_address_of_its_own() {
        let book = Book::new(Rule::Granted(vec![
            grant(name("a.example"), 443),
            grant(name("b.example"), 443),
            grant(name("a.example"), 80),
            grant(Host::Address(Ipv4Addr::new(198, 18, 0, 2)), 443),
        ]));
        let (a, b) = (
            address(book.answer("a.example")),
            address(book.answer("b.example")),
        );
        assert_eq!(a, Ipv4Addr::new(198, 18, 0, 1));
        assert_eq!(b, Ipv4Addr::new(198, 18, 0, 3), "198.18.0.2 stands for itself");
        assert_eq!(address(book.answer("a.example")), a);
        assert_eq!(book.answer("c.example"), Answer::Unknown);
        assert_eq!(book.answer("x.a.example"), Answer::Unknown);
        for port in [80, 443] {
            assert_eq!(book.target(a, port).unwrap().who, Who::Name("a.example".into()));
        }
        assert_eq!(
            book.target(b, 80).unwrap_err().why,
            "port 80 is not granted for `b.example`"
        );
        let direct = book.target(Ipv4Addr::new(198, 18, 0, 2), 443).unwrap();
        assert_eq!(direct.who, Who::Address(Ipv4Addr::new(198, 18, 0, 2)));
    }

    #[test]
    fn addresses_that_stand_for_nothing() {
        let book = Book::new(Rule::Granted(vec![grant(name("a.example"), 443)]));
        for stranger in [
            "1.1.1.1",
            "127.0.0.1",
            "198.18.0.0",
            "198.18.0.2",
            "169.254.169.254",
        ] {
            let refused = book.target(stranger.parse().unwrap(), 443).unwrap_err();
            assert_eq!(refused.host, stranger);
        }
    }

    #[test]
    fn patterns() {
        let book = Book::new(Rule::Granted(vec![
            grant(below("example.com"), 443),
            grant(below("deep.example.com"), 443),
        ]));
        for granted in ["www.example.com", "a.b.example.com", "x.deep.example.com"] {
            let address = address(book.answer(granted));
            assert_eq!(book.target(address, 443).unwrap().who, Who::Name(granted.into()));
        }
        for unknown in [
            "example.com",
            "evil-example.com",
            "example.com.evil.com",
            ".example.com",
            "www.example.comx",
            "com",
            "",
        ] {
            assert_eq!(book.answer(unknown), Answer::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_grant_that_says_most_is_taken() {
        let mut inner = grant(name("db.example.com"), 443);
        inner.internal = true;
        let mut deep = grant(below("deep.example.com"), 443);
        deep.internal = true;
        let book = Book::new(Rule::Granted(vec![grant(below("example.com"), 443), inner, deep]));
        let internal = |name| book.target(address(book.answer(name)), 443).unwrap().internal;
        assert!(internal("db.example.com") && internal("x.deep.example.com"));
        assert!(!internal("www.example.com") && !internal("deep.example.com"));
    }

    #[test]
    fn names_under_a_pattern_are_counted() {
        let book = Book::new(Rule::Granted(vec![
            grant(below("example.com"), 443),
            grant(name("a.example"), 443),
        ]));
        for number in 0..MAX_CHOSEN {
            let _ = address(book.answer(&format!("n{number}.example.com")));
        }
        assert_eq!(book.answer("one-more.example.com"), Answer::Full);
        let _ = address(book.answer("n7.example.com"));
        let _ = address(book.answer("a.example"));
    }

    #[test]
    fn localhost_is_127_0_0_1_where_it_is_granted() {
        let book = Book::new(Rule::Granted(vec![
            grant(name("localhost"), 8080),
            grant(Host::Address(Ipv4Addr::LOCALHOST), 9090),
        ]));
        assert_eq!(address(book.answer("localhost")), Ipv4Addr::LOCALHOST);
        assert_eq!(
            book.target(Ipv4Addr::LOCALHOST, 8080).unwrap().who,
            Who::Name("localhost".into())
        );
        assert_eq!(
            book.target(Ipv4Addr::LOCALHOST, 9090).unwrap().who,
            Who::Address(Ipv4Addr::LOCALHOST)
        );
        let without = Book::new(Rule::Granted(vec![grant(name("a.example"), 443)]));
        assert_eq!(without.answer("localhost"), Answer::Unknown);
    }

    #[test]
    fn when_learning_every_name_gets_an_address() {
        let book = Book::new(Rule::Learn(vec![Grant {
            internal: true,
            ..grant(name("db.corp.example"), 5432)
        }]));
        let granted = address(book.answer("db.corp.example"));
        let target = book.target(granted, 5432).unwrap();
        assert!(target.internal && !target.learnt);
        assert!(book.target(granted, 443).unwrap().learnt);
        let any = address(book.answer("any.example"));
        let target = book.target(any, 443).unwrap();
        assert_eq!(target.who, Who::Name("any.example".into()));
        assert!(target.learnt && !target.internal);
        let direct = book.target(Ipv4Addr::new(8, 8, 8, 8), 53).unwrap();
        assert_eq!(direct.who, Who::Address(Ipv4Addr::new(8, 8, 8, 8)));
    }

    #[test]
    fn what_is_said_must_fit() {
        let name = Who::Name("api.example.com".into());
        assert!(name.is("api.example.com") && name.is("API.Example.com"));
        for other in [
            "api.example.com.",
            "example.com",
            "x.api.example.com",
            "api.example.com:443",
            "",
        ] {
            assert!(!name.is(other), "{other}");
        }
        let address = Who::Address(Ipv4Addr::new(10, 0, 0, 1));
        assert!(address.is("10.0.0.1") && !address.is("localhost") && !address.is("10.0.0.01"));
        assert!(Who::Address(Ipv4Addr::LOCALHOST).is("localhost"));
        assert!(Who::Name("localhost".into()).is("127.0.0.1"));
    }
}
