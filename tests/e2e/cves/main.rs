//! Known holes of filesystem, git and other servers, played against the vulnerable versions that `tests/peers/vulnerable`
//! pins: plain they get through, under `mantlet cage` they do not, and the server still does its work. What is played is
//! in `tests/e2e/cves.yaml`. Root plays all of it twice, once as an ordinary user.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

mod place;
mod replay;
#[path = "../cage/users.rs"]
mod users;

use replay::{all, replay};

#[test]
fn cve_2025_53110_filesystem_prefix() {
    replay("CVE-2025-53110");
}

#[test]
fn cve_2025_53109_filesystem_links() {
    replay("CVE-2025-53109");
}

#[test]
fn cve_2025_68143_git_init_anywhere() {
    replay("CVE-2025-68143");
}

#[test]
fn cve_2025_68144_git_options() {
    replay("CVE-2025-68144");
}

#[test]
fn cve_2025_68145_git_other_repository() {
    replay("CVE-2025-68145");
}

#[test]
fn cve_2026_27735_git_add_outside() {
    replay("CVE-2026-27735");
}

#[test]
fn cve_2025_53967_figma_shell() {
    replay("CVE-2025-53967");
}

#[test]
fn cve_2025_11489_desktop_commander_links() {
    replay("CVE-2025-11489");
}

#[test]
fn cve_2025_11490_desktop_commander_full_path() {
    replay("CVE-2025-11490");
}

#[test]
fn each_one_is_replayed_and_documented() {
    let docs = std::fs::read_to_string(mantlet_tests::root().join("docs/peer-cves.md")).unwrap();
    for cve in all() {
        assert!(
            include_str!("main.rs").contains(&format!("replay(\"{cve}\")")),
            "{cve}"
        );
        assert!(docs.contains(&cve), "{cve} is not in docs/peer-cves.md");
    }
}
