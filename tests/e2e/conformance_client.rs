//! The official conformance suite in client mode, with Mantlet as the client that its servers see: what passes with the
//! driver alone must pass with the gateway between, also where driver and server are of different eras. Not here: the
//! `auth/*` scenarios, which need OAuth towards servers.

#![expect(clippy::print_stdout, reason = "a test shows what it counted")]

use std::path::Path;

use mantlet_tests::suite::{self, Counted};
use mantlet_tests::{binary, peers};

/// The suite's patience with its client; the driver has less.
const PATIENCE_MS: &str = "60000";

/// One revision, and how many checks of each scenario pass with the driver alone.
struct Revision {
    version: &'static str,
    era: &'static str,
    other: &'static str,
    scenarios: &'static [(&'static str, usize)],
}

const OLD: Revision = Revision {
    version: "2025-11-25",
    era: "legacy",
    other: "modern",
    scenarios: &[
        ("initialize", 1),
        ("tools_call", 2),
        ("elicitation-sep1034-client-defaults", 5),
        ("sse-retry", 3),
        ("json-schema-2020-12-preservation", 9),
    ],
};

const NEW: Revision = Revision {
    version: "2026-07-28",
    era: "modern",
    other: "legacy",
    scenarios: &[
        ("tools_call", 2),
        ("request-metadata", 8),
        ("sep-2322-client-request-state", 5),
        ("http-standard-headers", 9),
        ("http-custom-headers", 18),
        ("http-invalid-tool-headers", 12),
        ("json-schema-ref-no-deref", 1),
        ("json-schema-2020-12-preservation", 9),
    ],
};

/// What lies between the driver and the suite's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing.
    Direct,
    /// The gateway; the driver speaks the server's era.
    Through,
    /// The gateway; the driver speaks the other era.
    Crossed,
}

#[test]
fn the_initialize_era() {
    play(&OLD);
}

#[test]
fn the_stateless_era() {
    play(&NEW);
}

fn play(revision: &Revision) {
    let mut table = format!("{:<36} direct through crossed\n", revision.version);
    let mut wrong = Vec::new();
    for (scenario, expected) in revision.scenarios {
        let direct = run(revision, scenario, Way::Direct);
        if direct.passes() != *expected || !direct.content {
            wrong.push(format!(
                "{scenario}: not {expected} checks alone: {}",
                direct.said
            ));
        }
        let through = run(revision, scenario, Way::Through);
        let crossed = run(revision, scenario, Way::Crossed);
        wrong.extend(lost(scenario, Way::Through, &direct, &through));
        wrong.extend(lost(scenario, Way::Crossed, &direct, &crossed));
        let counts = [&direct, &through, &crossed].map(|counted| format!("{:>7}", counted.passes()));
        table += &format!("  {scenario:<34}{}\n", counts.join(" "));
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{table}{}", wrong.join("\n"));
}

/// What was lost on the way.
fn lost(scenario: &str, way: Way, direct: &Counted, seen: &Counted) -> Option<String> {
    let lost = seen.lost_against(direct);
    (!lost.is_empty() || !seen.content).then(|| format!("{scenario} {way:?}: lost: {lost:?}: {}", seen.said))
}

fn run(revision: &Revision, scenario: &str, way: Way) -> Counted {
    let client = match way {
        Way::Direct => {
            let driver = peers::directory().join("conformance-client.mjs");
            format!("{} {}", quoted(&peers::node()), quoted(&driver))
        }
        Way::Through | Way::Crossed => quoted(&binary("mantlet-through")),
    };
    let (driver, server) = match way {
        Way::Direct | Way::Through => (revision.era, "auto"),
        Way::Crossed => (revision.other, revision.era),
    };
    suite::run(
        &[
            "client",
            "--command",
            &client,
            "--scenario",
            scenario,
            "--spec-version",
            revision.version,
            "--timeout",
            PATIENCE_MS,
        ],
        &[("MANTLET_DRIVER_ERA", driver), ("MANTLET_SERVER_ERA", server)],
    )
}

/// The suite hands its command to a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
