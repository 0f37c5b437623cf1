//! What `serve`, `wrap` and `demo` have in common: a runtime, talk on standard error, a gateway out of settings, a
//! note of what runs, and an end when asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mantlet_access::LocalToken;
use mantlet_audit::Log;
use mantlet_config::Settings;
use mantlet_gateway::{Gateway, Halves, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use crate::state;

/// Between two looks at whether the note still tells the truth.
const NOTE: Duration = Duration::from_secs(2);

/// The runtime: a few threads are enough, and each costs memory.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let threads = std::thread::available_parallelism()
        .map_or(2, std::num::NonZero::get)
        .clamp(1, 8);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not_run(format!("no runtime: {error}")))
}

/// Talk on standard error; how much is set by `MANTLET_LOG` (as `warn`, or `mantlet_gateway=debug`).
pub(crate) fn talk(default: &str) {
    let filter = std::env::var("MANTLET_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let _set_before = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .try_init();
}

/// A gateway with its log. Within the runtime.
pub(crate) fn gateway(
    settings: Settings,
    token: Option<LocalToken>,
    halves: Halves,
) -> Result<Arc<Gateway>, Failure> {
    // A file that reached its allowed size is for the log what a full disk is, and no reason to be killed.
    let _stays_set = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    let audit = mantlet_audit::Settings {
        directory: settings.audit.path.clone(),
        durability: settings.audit.durability,
        segment_bytes: 64 * 1024 * 1024,
        instance: format!("{}-{}", std::process::id(), settings.servers.len()),
    };
    let log = Log::open(audit).map_err(|error| Failure::could_not_run(error.to_string()))?;
    if let Some(torn) = log.recovered() {
        crate::term::say(&format!(
            "note: the last record of the audit log was torn (a loss of power?); it was put aside as `{}`",
            torn.display()
        ));
    }
    Gateway::new(settings, log, token, Arc::new(SystemClock), halves)
        .map_err(|error| Failure::could_not_run(error.to_string()))
}

/// Resolves when the process is asked to end (SIGTERM, SIGINT); heard from now on.
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()> + Send, Failure> {
    let (mut terminate, mut interrupt) = (heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Gets something when the process is asked to read its configuration again (SIGHUP).
pub(crate) fn asked_to_reload() -> Result<Signal, Failure> {
    heard(SignalKind::hangup())
}

fn heard(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::could_not_run(format!("signals cannot be heard: {error}")))
}

/// The note of this process; taken away when dropped.
#[derive(Debug)]
pub(crate) struct Note {
    task: tokio::task::JoinHandle<()>,
}

/// Keeps a note of what runs, for `mantlet status`.
pub(crate) fn keep_note(gateway: &Arc<Gateway>, command: &'static str, address: Option<String>) -> Note {
    let gateway = Arc::downgrade(gateway);
    let task = tokio::spawn(async move {
        let mut before = serde_json::Value::Null;
        while let Some(gateway) = gateway.upgrade() {
            let now = serde_json::json!({
                "pid": std::process::id(),
                "command": command,
                "version": env!("CARGO_PKG_VERSION"),
                "address": address,
                "status": gateway.status(),
            });
            drop(gateway);
            if now != before {
                if let Err(error) = state::write_note(&now) {
                    tracing::warn!(%error, "the note for `mantlet status` cannot be written");
                }
                before = now;
            }
            tokio::time::sleep(NOTE).await;
        }
    });
    Note { task }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.task.abort();
        let _none = std::fs::remove_file(state::notes().join(format!("{}.json", std::process::id())));
    }
}
