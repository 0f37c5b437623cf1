//! Which processes of a test are there: a mark in the environment is inherited by every descendant, wherever it hides.

use std::time::{Duration, Instant};

/// The variable that carries the mark.
pub const MARK: &str = "MANTLET_TEST_MARK";

/// The processes that carry this mark, zombies left out.
#[must_use]
pub fn marked(mark: &str) -> Vec<u32> {
    let needle = format!("{MARK}={mark}");
    let mut found: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            // A zombie has no environment left.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == needle.as_bytes())
        })
        .collect();
    found.sort_unstable();
    found
}

/// The numbers that the processes with this mark have in their own PID namespace (proc(5), `NSpid`).
#[must_use]
pub fn marked_within(mark: &str) -> Vec<u32> {
    let number = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_whitespace().last()?.parse().ok()
    };
    marked(mark).iter().filter_map(number).collect()
}

/// The processes with this mark that are left when they had time to go; killed, so that nothing stays behind.
#[must_use]
pub fn left(mark: &str, patience: Duration) -> Vec<String> {
    let end = Instant::now() + patience;
    while !marked(mark).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = marked(mark);
    let names = left.iter().map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid}: {}", String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let names = names.collect();
    for pid in left {
        crate::serving::signal(pid, "KILL");
    }
    names
}

/// The memory that a process holds now, in bytes.
#[must_use]
pub fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
