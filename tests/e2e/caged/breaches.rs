//! What a caged server tries or uses too much of, as seen from outside: the record, the answer, what is left of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mantlet_tests::client::Session;
use mantlet_tests::processes;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

use crate::{command, reason, recorded, run, serving, status, text, web};

/// The reasons of a record, and the server that it is about.
fn told(record: &Value) -> String {
    assert!(record.to_string().contains(r#""server":"only""#), "{record}");
    record.to_string()
}

#[test]
fn an_address_that_is_not_granted_is_on_record_with_the_call() {
    let serving = serving(&json!({"on_breach": "warn", "network": ["granted.example.com:443"]}));
    let session = Session::begin(&serving, Some("only"));
    // A port that somebody is granted: the connection arrives at the gateway, which knows no such host.
    let code = "import socket, time\n\
                s = socket.socket(); s.settimeout(5)\n\
                try: s.connect(('203.0.113.7', 443)); s.send(b'x'); said = repr(s.recv(1))\n\
                except OSError as error: said = 'refused ' + str(error)\n\
                time.sleep(1)";
    let said = run(&session, 1, code);
    assert_ne!(text(&said), "b'x'");
    let record = told(&recorded(&serving, "203.0.113.7"));
    assert!(
        record.contains("while `tools/call` of `run` was running"),
        "{record}"
    );
    // It goes on.
    assert_eq!(text(&run(&session, 2, "said = 'here'")), "here");
}

#[test]
fn a_refused_system_call_is_on_record_by_name() {
    let serving = serving(&json!({"on_breach": "warn"}));
    let session = Session::begin(&serving, Some("only"));
    let code = "import ctypes, time\n\
                said = ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0)\n\
                time.sleep(1)";
    assert_eq!(text(&run(&session, 1, code)), "-1");
    let record = told(&recorded(&serving, "ptrace"));
    assert!(
        record.contains("the system call `ptrace` was refused"),
        "{record}"
    );
    assert!(
        record.contains("while `tools/call` of `run` was running"),
        "{record}"
    );
    let shown = status(&serving, "the breach", |status| {
        status.to_string().contains("breaches were refused")
    });
    assert_eq!(shown["state"], "up");
}

/// A server that goes over a limit is ended, which is on record, and the next call finds a new one.
fn ended_for(name: &str, sandbox: &Value, code: &str) {
    let serving = serving(sandbox);
    let session = Session::begin(&serving, Some("only"));
    let answer = run(&session, 1, code);
    assert!(answer.get("error").is_some(), "it is still there: {answer}");
    let record = told(&recorded(&serving, &format!("ended for its use of {name}")));
    assert!(record.contains(&format!(r#""item":"{name}""#)), "{record}");
    assert!(!record.contains(": 0 used"), "{record}");
    assert_eq!(text(&run(&session, 2, "said = 'anew'")), "anew");
}

#[test]
fn memory_beyond_its_limit_ends_the_server() {
    let alone = "import os, time\n\
                 kept = b'x' * (90 << 20)\n\
                 if os.fork() == 0:\n    \
                     kept = None\n    \
                     kept = b'y' * (60 << 20)\n    \
                     time.sleep(60)\n    \
                     os._exit(0)\n\
                 time.sleep(60)";
    // The server itself is small: a kernel that ends one process of the group takes a child.
    let children = "import os, time\n\
                    for _ in range(4):\n    \
                        if os.fork() == 0:\n        \
                            kept = b'y' * (60 << 20)\n        \
                            time.sleep(60)\n        \
                            os._exit(0)\n\
                    time.sleep(60)";
    for code in [alone, children] {
        ended_for("memory", &json!({"memory": "128MiB", "on_breach": "warn"}), code);
    }
}

#[test]
fn a_folder_filled_beyond_its_limit_ends_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let code = format!(
        "import time\n\
         for i in range(40):\n    \
             open({:?} + f'/{{i}}', 'wb').write(b'x' * (1 << 20)); time.sleep(0.05)\n\
         time.sleep(60)",
        path.display().to_string()
    );
    let sandbox = json!({"disk": "8MiB", "write": [path], "on_breach": "warn"});
    ended_for("disk", &sandbox, &code);
}

#[test]
fn scratch_is_of_limited_size_and_gone_after_a_restart() {
    let serving = serving(&json!({"disk": "8MiB", "on_breach": "restart"}));
    let session = Session::begin(&serving, Some("only"));
    let fills = "open('/tmp/full', 'wb').write(b'x' * (64 << 20))";
    let full = run(&session, 1, fills);
    assert!(
        ["No space", "too large"]
            .iter()
            .any(|why| text(&full).contains(why)),
        "{full}"
    );
    let writes = "import os\n\
                  for place in ['/tmp', os.path.expanduser('~'), '/dev/shm']:\n    \
                      try: os.remove('/tmp/full')\n    \
                      except OSError: pass\n    \
                      open(place + '/kept', 'w').write('x')\n\
                  said = 'written'";
    assert_eq!(text(&run(&session, 2, writes)), "written");
    let breach = "import socket, time\n\
                  try: socket.getaddrinfo('nobody.example.com', 443)\n\
                  except OSError: pass\n\
                  time.sleep(30)";
    assert_eq!(reason(&run(&session, 3, breach)), "server_breach");
    let looks = "import os\n\
                 said = [os.path.exists(p + '/kept') for p in ['/tmp', os.path.expanduser('~'), '/dev/shm']]";
    let seen = mantlet_tests::until("it is back", || {
        let seen = run(&session, 4, looks);
        seen.get("result").is_some().then_some(seen)
    });
    assert_eq!(text(&seen), "[False, False, False]");
}

#[test]
fn a_secret_is_in_no_command_line_environment_status_or_log() {
    let secret = "s3cret-that-nobody-else-has";
    let servers =
        json!({"only": {"command": command(), "sandbox": {"secrets": {"key": "${env:KEY_OF_TEST}"}}}});
    let serving = Serving::start_with(&format!("servers: {servers}\n"), &[("KEY_OF_TEST", secret)]);
    let session = Session::begin(&serving, Some("only"));
    let reads = "import hashlib, os\n\
                 said = hashlib.sha256(open('/run/secrets/key', 'rb').read()).hexdigest()[:8], os.listdir('/run/secrets')";
    let read = run(&session, 1, reads);
    assert!(text(&read).contains("['key']"), "{read}");
    let compares = format!(
        "said = open('/run/secrets/key').read() == {:?}[::-1]",
        reversed(secret)
    );
    assert_eq!(text(&run(&session, 2, &compares)), "True");
    let shown = status(&serving, "it as up", |status| status["state"] == "up");
    assert!(!shown.to_string().contains(secret), "{shown}");
    assert!(!serving.log().contains(secret) && !serving.said().contains(secret));
    // Whoever starts the gateway gave it the variable; its own processes are the only ones that have it.
    let mut holders = processes_with(secret);
    holders.retain(|pid| *pid != serving.pid() && !is_half(*pid, &serving));
    assert!(holders.is_empty(), "{holders:?}");
}

/// Whether this process is the other half of a gateway, as started by the first.
fn is_half(pid: u32, serving: &Serving) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let helper = String::from_utf8_lossy(&line).contains("mantlet-cage");
    !helper && status.contains(&format!("PPid:\t{}\n", serving.pid()))
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The processes that show a text to whoever may look at them.
fn processes_with(text: &str) -> BTreeSet<u32> {
    let shows = |pid: &u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        })
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(shows).collect()
}

#[test]
fn the_gateways_token_log_and_configuration_are_not_there() {
    let serving = serving(&json!({}));
    let session = Session::begin(&serving, Some("only"));
    let state = serving.state().join("mantlet");
    assert!(state.join("token").exists() && state.join("audit").exists());
    let code = format!(
        "import os\n\
         said = [os.path.exists(p) for p in {:?}] + [os.path.exists('/proc/{}')]",
        [
            state.join("token"),
            state.join("audit"),
            state,
            serving.configuration()
        ],
        serving.pid()
    );
    let seen = run(&session, 1, &code);
    assert_eq!(text(&seen), "[False, False, False, False, False]");
}

#[test]
fn a_granted_host_is_reached_and_a_forged_one_is_not() {
    let port = web(|host| format!("asked for {host}"));
    let serving = serving(&json!({"internal_network": [format!("localhost:{port}")], "on_breach": "warn"}));
    let session = Session::begin(&serving, Some("only"));
    let asks = |host: &str| {
        format!(
            "import socket, time\n\
             s = socket.create_connection(('localhost', {port}), 5); s.settimeout(5)\n\
             s.sendall(b'GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n')\n\
             said = ''\n\
             try:\n    \
                 while part := s.recv(4096): said += part.decode()\n\
             except OSError as error: said += str(error)\n\
             time.sleep(0.5)"
        )
    };
    let answered = run(&session, 1, &asks(&format!("localhost:{port}")));
    assert!(
        text(&answered).contains(&format!("asked for localhost:{port}")),
        "{answered}"
    );
    let forged = run(&session, 2, &asks("internal.example.com"));
    assert!(!text(&forged).contains("asked for"), "{forged}");
    let granted = told(&recorded(&serving, &format!("connection to localhost:{port}\"")));
    assert!(granted.contains(r#""decision":"allow""#), "{granted}");
    let refused = told(&recorded(&serving, "internal.example.com"));
    assert!(refused.contains(r#""decision":"refuse""#), "{refused}");
    assert!(
        refused.contains("while `tools/call` of `run` was running"),
        "{refused}"
    );
}

#[test]
fn a_killed_gateway_leaves_nothing_of_a_server_with_a_daemon() {
    let puppets = Puppets::one("only", &json!({"stubborn": true}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert!(!text(&session.call(1, "spawn", &json!({}))).is_empty());
    assert!(
        puppets.processes().len() > 1,
        "no daemon: {:?}",
        puppets.processes()
    );
    serving.signal("KILL");
    let begun = Instant::now();
    let left = processes::left(&puppets.mark(), Duration::from_secs(2));
    assert!(left.is_empty(), "after {:?}: {left:?}", begun.elapsed());
}
