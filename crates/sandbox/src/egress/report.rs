//! What is told to the witness, and how much of it: a caged program can look up and dial as fast as it likes, and
//! the log must neither grow with that nor lose a granted connection in it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Witness;
use crate::{Event, Outcome};

/// Events of one sort within a minute; the rest are counted.
const PER_MINUTE: u64 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Names that are remembered, so that one is told once a minute.
const REMEMBERED: usize = 1_024;
/// Characters of anything that the program chose.
const SHOWN: usize = 253;

/// See the module's head.
pub(super) struct Report {
    witness: Arc<dyn Witness>,
    /// Lookups and refusals are counted apart, so that a flood of one hides none of the other.
    lookups: Mutex<Lookups>,
    refusals: Mutex<Window>,
}

struct Lookups {
    window: Window,
    seen: HashMap<String, Instant>,
}

/// The events of one minute.
struct Window {
    since: Instant,
    told: u64,
    dropped: u64,
    last: Option<Event>,
}

impl Report {
    pub(super) fn new(witness: Arc<dyn Witness>) -> Self {
        let now = Instant::now();
        Self {
            witness,
            lookups: Mutex::new(Lookups {
                window: Window::new(now),
                seen: HashMap::new(),
            }),
            refusals: Mutex::new(Window::new(now)),
        }
    }

    /// An address that stands for a granted name.
    pub(super) fn lent(&self, name: &str, address: Ipv4Addr) {
        self.witness.lent(name, address);
    }

    /// A name that is not granted.
    pub(super) fn looked_up(&self, name: &str) {
        let name = if name.is_empty() {
            ".".to_owned()
        } else {
            plain(name)
        };
        let now = Instant::now();
        let events = {
            let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            if lookups.is_repeated(&name, now) {
                return;
            }
            lookups.window.take(Event::Lookup { name }, now)
        };
        self.tell(events);
    }

    /// A connection that was refused.
    pub(super) fn refused(&self, host: &str, port: u16, why: &str) {
        let event = Event::Connect {
            host: plain(host),
            port,
            outcome: Outcome::Refused(why.to_owned()),
        };
        let events = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.take(event, Instant::now())
        };
        self.tell(events);
    }

    /// What came of a granted connection. Always told: the budget of connections bounds these.
    pub(super) fn granted(&self, host: &str, port: u16, outcome: Outcome) {
        self.witness.saw(Event::Connect {
            host: plain(host),
            port,
            outcome,
        });
    }

    /// Tells what was counted only, where its minute is over: to be called now and then.
    pub(super) fn turn(&self, now: Instant) {
        let counted = [
            self.lookups
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .window
                .turn(now),
            self.refusals
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .turn(now),
        ];
        self.tell(counted);
    }

    fn tell(&self, events: [Option<Event>; 2]) {
        for event in events.into_iter().flatten() {
            self.witness.saw(event);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(over) = Instant::now().checked_add(MINUTE) {
            self.turn(over);
        }
    }
}

impl Lookups {
    fn is_repeated(&mut self, name: &str, now: Instant) -> bool {
        if let Some(seen) = self.seen.get(name)
            && now.duration_since(*seen) < MINUTE
        {
            return true;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, seen| now.duration_since(*seen) < MINUTE);
        }
        // When the program asks for new names faster than that, some are told twice: the window still bounds them.
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        self.seen.insert(name.to_owned(), now);
        false
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            told: 0,
            dropped: 0,
            last: None,
        }
    }

    /// What is to be told now: a summary of the minute before, where one is due, and the event itself.
    fn take(&mut self, event: Event, now: Instant) -> [Option<Event>; 2] {
        let summary = self.turn(now);
        if self.told < PER_MINUTE {
            self.told = self.told.saturating_add(1);
            return [summary, Some(event)];
        }
        self.dropped = self.dropped.saturating_add(1);
        self.last = Some(event);
        [summary, None]
    }

    fn turn(&mut self, now: Instant) -> Option<Event> {
        if now.duration_since(self.since) < MINUTE {
            return None;
        }
        self.since = now;
        self.told = 0;
        let dropped = std::mem::take(&mut self.dropped);
        Some(summary(self.last.take()?, dropped))
    }
}

/// The last of the events that were counted only, which says how many there were.
fn summary(mut last: Event, dropped: u64) -> Event {
    let others = dropped.saturating_sub(1);
    match &mut last {
        _ if others == 0 => {}
        Event::Lookup { name } => name.push_str(&format!(" (and {others} more)")),
        Event::Connect {
            outcome: Outcome::Refused(why),
            ..
        } => why.push_str(&format!(" (and {others} more refused)")),
        Event::Connect { .. } | Event::Call { .. } | Event::Planted { .. } | Event::Limit { .. } => {}
    }
    last
}

/// Text of the program made safe for a log, and short.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Keeps what it saw.
    #[derive(Default)]
    pub(crate) struct Notebook(Mutex<Vec<Event>>);

    impl Witness for Notebook {
        fn saw(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    impl Notebook {
        pub(crate) fn events(&self) -> Vec<Event> {
            self.0.lock().unwrap().clone()
        }
    }

    fn refusal(number: u64) -> Event {
        Event::Connect {
            host: format!("h{number}"),
            port: 443,
            outcome: Outcome::Refused("no".to_owned()),
        }
    }

    #[test]
    fn a_flood_is_counted() {
        let start = Instant::now();
        let mut window = Window::new(start);
        let told = (0..1_000).filter(|number| window.take(refusal(*number), start)[1].is_some());
        assert_eq!(told.count(), 100);
        let later = start + MINUTE;
        let [summary, event] = window.take(refusal(1_000), later);
        assert_eq!(
            summary,
            Some(Event::Connect {
                host: "h999".to_owned(),
                port: 443,
                outcome: Outcome::Refused("no (and 899 more refused)".to_owned()),
            })
        );
        assert_eq!(event, Some(refusal(1_000)));
        assert_eq!(window.turn(later + MINUTE), None, "nothing was dropped");
    }

    #[test]
    fn names_are_told_once_a_minute_and_memory_is_bounded() {
        let start = Instant::now();
        let mut lookups = Lookups {
            window: Window::new(start),
            seen: HashMap::new(),
        };
        assert!(!lookups.is_repeated("evil.example", start));
        assert!(lookups.is_repeated("evil.example", start + MINUTE / 2));
        assert!(!lookups.is_repeated("evil.example", start + MINUTE));
        for number in 0..10_000 {
            let _ = lookups.is_repeated(&format!("n{number}.example"), start);
            assert!(lookups.seen.len() <= REMEMBERED);
        }
    }

    #[test]
    fn floods_hide_nothing_of_another_sort() {
        let notebook = Arc::new(Notebook::default());
        let report = Report::new(Arc::<Notebook>::clone(&notebook));
        for number in 0..500 {
            report.looked_up(&format!("n{number}"));
            report.refused("198.18.0.9", 443, "no");
            report.refused("\u{1b}[31m", 443, "no");
        }
        report.granted("a.example", 443, Outcome::Granted);
        drop(report);
        let events = notebook.events();
        let lookups = events
            .iter()
            .filter(|event| matches!(event, Event::Lookup { .. }))
            .count();
        assert_eq!((lookups, events.len()), (101, 203));
        assert!(events.contains(&Event::Lookup {
            name: "n499 (and 399 more)".to_owned()
        }));
        assert!(!format!("{events:?}").contains("\\u{1b}"));
    }
}
