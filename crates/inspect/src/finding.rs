//! What was found in a text, and where.

use std::ops::Range;

/// How bad a finding is by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Seen in honest texts too.
    Low,
    /// Rare in honest texts.
    Medium,
    /// An attack, as good as surely.
    High,
    /// An attack that does harm by itself.
    Critical,
}

impl Severity {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One finding. It holds no text, so that nothing secret or hostile gets from it into a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The id of the rule; never changes once published (`docs/rules.md`).
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where: bytes of the original text, at character boundaries.
    pub span: Range<usize>,
}
