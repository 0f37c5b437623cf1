//! How large and how small a written value may be. Outside these a value is a slip of the pen or would switch a
//! protection off; the gateway's own memory and patience set the upper ends.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of a configuration file.
pub(crate) const FILE_BYTES: usize = MIB;
/// Values in a file, repeated ones (`*alias`) counted each time.
pub(crate) const NODES: usize = 50_000;
/// Lists and mappings inside each other.
pub(crate) const NESTING: usize = 16;
/// Problems that are shown at once.
pub(crate) const PROBLEMS: usize = 20;
/// Bytes of a value that references were put into, and of all such values together.
pub(crate) const RESOLVED_BYTES: usize = 64 * KIB;
pub(crate) const ALL_RESOLVED_BYTES: usize = MIB;

/// Letters of a server's name: with `__` and a digest it still fits a name that models take.
pub(crate) const SERVER_NAME: usize = 32;
/// Bytes of one pattern of an `allow` or `refuse` list.
pub(crate) const PATTERN_BYTES: usize = 1024;
/// Patterns of one list.
pub(crate) const PATTERNS: usize = 1000;

/// Grants of one list of a cage: each path is a mount.
pub(crate) const GRANTS: usize = 200;
/// Letters of a secret's name.
pub(crate) const SECRET_NAME: usize = 64;

pub(crate) const MESSAGE: RangeInclusive<u64> = 1024..=64 * MEBI;
pub(crate) const HEADER: RangeInclusive<u64> = 8 * 1024..=MEBI;
pub(crate) const ANSWER: RangeInclusive<u64> = 1024..=256 * MEBI;
/// The upper end is what the strict parse can do at most; a test compares them.
pub(crate) const DEPTH: RangeInclusive<u64> = 8..=120;
pub(crate) const BATCH: RangeInclusive<u64> = 1..=1000;
pub(crate) const IN_FLIGHT: RangeInclusive<u64> = 1..=65_536;
pub(crate) const SESSIONS: RangeInclusive<u64> = 1..=100_000;
pub(crate) const LIST_PAGES: RangeInclusive<u64> = 1..=10_000;
pub(crate) const RESTARTS: RangeInclusive<u32> = 1..=1000;

pub(crate) const MEMORY: RangeInclusive<u64> = 16 * MEBI..=TEBI;
pub(crate) const DISK: RangeInclusive<u64> = MEBI..=TEBI;
pub(crate) const CPU: RangeInclusive<u32> = 1..=1024;
pub(crate) const PROCESSES: RangeInclusive<u32> = 4..=65_536;
pub(crate) const FILES: RangeInclusive<u32> = 16..=10_000_000;

/// For what waits on a peer that must be quick.
pub(crate) const WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
/// For what may take long.
pub(crate) const LONG_WAIT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * HOUR);
/// For what is kept while nobody uses it.
pub(crate) const KEPT: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * HOUR);
/// Signs of life: often enough for what stands between, and not a flood.
pub(crate) const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MEBI: u64 = 1024 * 1024;
const TEBI: u64 = MEBI * MEBI;
const HOUR: u64 = 3600;

#[cfg(test)]
mod tests {
    #[test]
    fn no_depth_can_be_written_that_the_strict_parse_would_cut_down() {
        let deepest = u64::try_from(mantlet_wire::Caps::DEEPEST).unwrap();
        assert_eq!(*super::DEPTH.end(), deepest);
    }
}
