//! What is remembered of one message on its way, for the one record that it leaves behind.

use std::time::Instant;

use mantlet_access::Caller;
use mantlet_audit::{Answer, Payload, Record, Verdict, digest_bytes};
use mantlet_wire::{Kind, Message, Raw};

use crate::client::Client;
use crate::refusal::Refusal;
use crate::upstream::Link;

/// Reasons of one record, and characters of each.
const MAX_REASONS: usize = 32;
const MAX_REASON: usize = 500;

/// See the module's head. One per message; ends as a [`Record`].
#[derive(Debug)]
pub(crate) struct Trail {
    record: Record,
    begun: Instant,
    stage: &'static str,
    stage_begun: Instant,
    contents: bool,
    left_out: usize,
}

impl Trail {
    pub(crate) fn begin(exchange: u64, kind: &'static str, contents: bool) -> Self {
        let now = Instant::now();
        let record = Record {
            exchange,
            kind: kind.to_owned(),
            ..Record::default()
        };
        Self {
            record,
            begun: now,
            stage: "decode",
            stage_begun: now,
            contents,
            left_out: 0,
        }
    }

    /// Enters a stage of the path; the one before it is over.
    pub(crate) fn enter(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.close_stage(now);
        self.stage = stage;
        self.stage_begun = now;
    }

    fn close_stage(&mut self, now: Instant) {
        let micros = u64::try_from(now.duration_since(self.stage_begun).as_micros()).unwrap_or(u64::MAX);
        *self.record.micros.entry(self.stage).or_insert(0) += micros;
    }

    pub(crate) fn transport(&mut self, transport: &'static str) {
        self.record.transport = Some(transport.to_owned());
    }

    pub(crate) fn endpoint(&mut self, endpoint: &crate::client::Endpoint) {
        self.record.endpoint = Some(endpoint.to_string());
    }

    pub(crate) fn message(&mut self, message: &Message) {
        let kind = match (message.kind(), self.record.kind.as_str()) {
            (Kind::Request, "server") => "server_request",
            (Kind::Notification, "server") => "server_notification",
            (Kind::Request, _) => "request",
            (Kind::Notification, _) => "notification",
            (Kind::Response | Kind::Error, _) => "response",
        };
        kind.clone_into(&mut self.record.kind);
        self.record.method = message.method().map(|method| method.chars().take(200).collect());
        self.record.request = Some(Payload {
            bytes: len(message.len()),
            digest: digest_bytes(message.bytes()),
        });
        if self.contents {
            self.record.contents = Some(String::from_utf8_lossy(message.bytes()).into_owned());
        }
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.record.caller = Some(caller.key());
    }

    pub(crate) fn client(&mut self, client: &Client) {
        self.record.client = client.hello.name();
        self.record.session.clone_from(&client.session);
        self.record.client_version = Some(client.hello.version.as_str().to_owned());
        self.endpoint(&client.endpoint);
    }

    pub(crate) fn server(&mut self, name: &str) {
        self.record.server = Some(name.to_owned());
    }

    pub(crate) fn link(&mut self, link: &Link) {
        self.record.server_version = Some(link.version.as_str().to_owned());
    }

    /// The tool, prompt or resource that the message is about, cut to a length that a log can bear.
    pub(crate) fn item(&mut self, name: &str) {
        self.record.item = Some(name.chars().take(1_000).collect());
    }

    pub(crate) fn policies(&mut self, policies: Vec<String>) {
        self.record.verdict.policies = policies;
    }

    pub(crate) fn reason(&mut self, reason: impl Into<String>) {
        if self.record.verdict.reasons.len() >= MAX_REASONS {
            self.left_out = self.left_out.saturating_add(1);
        } else {
            self.record.verdict.reasons.push(cut(reason.into()));
        }
    }

    pub(crate) fn answer(&mut self, answer: &Message) {
        let error = answer
            .error()
            .and_then(|error| error.get("code"))
            .and_then(Raw::int);
        self.record.answer = Some(Answer {
            bytes: len(answer.len()),
            digest: digest_bytes(answer.bytes()),
            error,
        });
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let verdict = &mut self.record.verdict;
        // Why it was refused is said, whatever was found before.
        let said = 1_usize.saturating_add(refusal.operator.len());
        let room = MAX_REASONS.saturating_sub(said.min(MAX_REASONS));
        self.left_out = self
            .left_out
            .saturating_add(verdict.reasons.len().saturating_sub(room));
        verdict.reasons.truncate(room);
        *verdict = Verdict {
            decision: "refuse".to_owned(),
            stage: Some(self.stage.to_owned()),
            code: Some(refusal.reason.code().to_owned()),
            reasons: std::mem::take(&mut verdict.reasons),
            policies: std::mem::take(&mut verdict.policies),
        };
        self.reason(refusal.public.clone());
        for why in &refusal.operator {
            self.reason(why.clone());
        }
    }

    /// The record. Without a refusal the verdict was to allow.
    pub(crate) fn end(mut self) -> Record {
        let now = Instant::now();
        self.close_stage(now);
        let micros = u64::try_from(now.duration_since(self.begun).as_micros()).unwrap_or(u64::MAX);
        self.record.micros.insert("total", micros);
        if self.left_out > 0 {
            let left_out = format!("{} more reasons were left out", self.left_out);
            self.record.verdict.reasons.push(left_out);
        }
        if self.record.verdict.decision.is_empty() {
            "allow".clone_into(&mut self.record.verdict.decision);
        }
        self.record
    }
}

fn cut(mut reason: String) -> String {
    if let Some((at, _)) = reason.char_indices().nth(MAX_REASON) {
        reason.truncate(at);
        reason.push('…');
    }
    reason
}

fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    #[test]
    fn a_record_has_only_so_many_reasons_of_such_a_length_and_says_why_it_was_refused() {
        let mut trail = Trail::begin(1, "client", false);
        for _ in 0..100 {
            trail.reason("ä".repeat(10_000));
        }
        trail.refused(&Refusal::new(Reason::PolicyDenied, "not allowed").because("by nobody"));
        let mut reasons = trail.end().verdict.reasons;
        assert_eq!(reasons.len(), MAX_REASONS + 1);
        assert!(
            reasons
                .iter()
                .all(|reason| reason.chars().count() <= MAX_REASON + 1)
        );
        assert_eq!(
            reasons.split_off(MAX_REASONS - 2),
            ["not allowed", "by nobody", "70 more reasons were left out"]
        );
    }
}
