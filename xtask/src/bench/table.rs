//! How the figures are shown.

use super::load::Measured;
use super::{Case, Row, Transport};

/// One line while the run goes on.
pub fn progress(row: &Row) {
    println!(
        "  {}: +{:.0} µs at the median",
        name(row.case),
        row.through.p50 - row.direct.p50
    );
}

/// The table.
pub fn print(rows: &[Row]) {
    println!(
        "\n{:<22} {:<8} {:>16} {:>15} {:>16} {:>9} {:>8} {:>9} {:>9}",
        "", "", "requests/s", "p50 µs", "p99 µs", "added p50", "CPU µs", "idle MiB", "peak MiB"
    );
    for row in rows {
        let (direct, through) = (&row.direct, &row.through);
        println!(
            "{:<22} {:<8} {:>16.0} {:>15.0} {:>16.0}{}",
            name(row.case),
            "direct",
            direct.rps,
            direct.p50,
            direct.p99,
            failures(direct)
        );
        println!(
            "{:<22} {:<8} {:>16} {:>15} {:>16} {:>9.0} {:>8} {:>9} {:>9}{}",
            "",
            "through",
            beside(through.rps, direct.rps),
            beside(through.p50, direct.p50),
            beside(through.p99, direct.p99),
            through.p50 - direct.p50,
            optional(through.cpu),
            optional(through.idle_kib.map(|kib| kib / 1024.0)),
            optional(through.peak_kib.map(|kib| kib / 1024.0)),
            failures(through)
        );
    }
    println!(
        "\n×: ratio to direct. CPU: user and system time of the gateway's process a request. Memory: resident, of the\n\
         gateway's process; idle is before the first load. At 32 over stdio: 32 requests in flight on one pipe."
    );
}

fn name(case: Case) -> String {
    let transport = match case.transport {
        Transport::Http => "http",
        Transport::Stdio => "stdio",
    };
    format!("{transport} {} × {}", case.protocol, case.connections)
}

fn beside(figure: f64, direct: f64) -> String {
    if direct > 0.0 {
        format!("{figure:.0} ×{:.2}", figure / direct)
    } else {
        format!("{figure:.0}")
    }
}

fn optional(figure: Option<f64>) -> String {
    figure.map_or_else(|| "?".to_owned(), |figure| format!("{figure:.1}"))
}

fn failures(side: &Measured) -> String {
    match side.errors {
        0 => String::new(),
        count => format!("  {count} FAILED"),
    }
}
