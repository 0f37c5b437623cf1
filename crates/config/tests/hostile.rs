//! Files that are meant to hurt: they are refused quickly, without a panic, and nothing that a reference fetched
//! is ever shown.

#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mantlet_config::{Diagnosis, Settings, load, parse};
use proptest::prelude::*;

const SECRET: &str = "s3ntinel-value";

fn lookup(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(SECRET.to_owned()),
        "LINES" => Some(format!("{SECRET}\nX-Evil: 1")),
        "NUL" => Some(format!("{SECRET}\0")),
        _ => None,
    }
}

fn read(text: &str) -> Result<Settings, Diagnosis> {
    let begun = Instant::now();
    let outcome = parse(text, "hostile.yaml", &lookup);
    let told = outcome
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "slow: {} bytes",
        text.len()
    );
    assert!(told.len() < 200_000, "{} bytes of message", told.len());
    outcome
}

fn refusal(text: &str) -> String {
    read(text)
        .map(|settings| format!("{settings:?}"))
        .expect_err("it was taken")
        .to_string()
}

#[test]
fn repetition_does_not_multiply() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(refusal(&text).contains("more than 50000 values"));

    let long = "x".repeat(100_000);
    let text = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 1000].join(", "));
    assert!(refusal(&text).contains("repeats too much text"));
}

#[test]
fn repetition_by_anchor_works_within_bounds() {
    let text = "servers:\n  a: { command: [run], allow: &allow { tools: [read_*] } }\n  b: { command: [run], allow: *allow }\n";
    let settings = read(text).unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
    assert_eq!(settings.servers[0].rules.allow, settings.servers[1].rules.allow);
    // A problem with what is repeated is told once.
    let wrong = text.replace("tools", "tolls");
    assert_eq!(read(&wrong).unwrap_err().problems().len(), 1);
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[{a: ", "}]")] {
        for depth in [17, 100, 100_000] {
            let text = format!("servers: {}x{}", open.repeat(depth), close.repeat(depth));
            refusal(&text);
            refusal(&format!("{}x", open.repeat(depth)));
        }
    }
    let mut text = String::new();
    for level in 0..700 {
        writeln!(text, "{}a:", " ".repeat(level)).unwrap();
    }
    assert!(refusal(&text).contains("nested more than 16 deep"));
}

#[test]
fn size_is_bounded() {
    assert!(refusal(&"#".repeat(1024 * 1024 + 1)).contains("larger than 1024 KiB"));
    let values = format!("servers: {{}}\nx: [{}]", "1,".repeat(60_000));
    assert!(refusal(&values).contains("more than 50000 values"));
}

#[test]
fn large_files_are_read_in_time() {
    let mib = 1024 * 1024;
    for piece in [
        "a: ",
        "a\n",
        "- a\n",
        "'",
        "\"\\",
        "|\n",
        "&a ",
        "*a ",
        "!a ",
        "? a\n: b\n",
        "#\n",
        "\t",
        ": ",
        "{",
        "a: {}\n",
        "%",
        "\u{feff}",
        "é",
    ] {
        drop(read(&piece.repeat(mib / piece.len() / 4)));
    }
    let line = format!("servers: {{ a: {{ command: [run, {}] }} }}", "x".repeat(mib / 2));
    read(&line).unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
    let wrong = format!(
        "servers: {{ a: {{ command: [run], url: {} }} }}",
        "x".repeat(mib / 2)
    );
    assert!(refusal(&wrong).len() < 10_000, "a long line is cut");
}

#[test]
fn thousands_of_problems_are_summed_up() {
    let mut text = "servers:\n".to_owned();
    for server in 0..5000 {
        writeln!(text, "  S{server}: {{ comand: [run], restart: {{ limit: x }} }}").unwrap();
    }
    let diagnosis = read(&text).unwrap_err();
    assert_eq!(diagnosis.problems().len(), 20);
    assert!(diagnosis.to_string().contains("more of the kind"));
    let mut text = String::new();
    for _ in 0..20_000 {
        text.push_str("a: 1\n");
    }
    assert_eq!(read(&text).unwrap_err().problems().len(), 20);
}

#[test]
fn what_the_file_says_cannot_steer_the_terminal() {
    let told = refusal(
        "\"\\e[2J\\u202eevil\\r\": 1\nservers: { a: { command: [run], protocol: \"\\e]0;x\\a\" } }\n",
    );
    let control = |letter: char| letter.is_control() && letter != '\n';
    assert!(!told.contains(control), "{told:?}");
    let told = refusal("servers: { a: { command: [run], protocol: '\u{202e}x\u{7f}' } }\n");
    assert!(!told.contains('\u{202e}') && !told.contains(control), "{told:?}");
}

#[test]
fn what_yaml_allows_and_a_configuration_does_not_need_is_refused() {
    let server = "servers: { a: { command: [run] } }\n";
    for text in [
        format!("%YAML 1.2\n---\n{server}"),
        format!("---\n{server}---\n{server}"),
        "servers: !!map { a: { command: [run] } }\n".to_owned(),
        "servers: { a: { command: [!!str run] } }\n".to_owned(),
        "servers: { a: { command: [run] }, [b]: { command: [run] } }\n".to_owned(),
        "servers: { ? { a: b } : { command: [run] } }\n".to_owned(),
        "servers: { a: { command: [*nobody] } }\n".to_owned(),
        "? \n: 1\n".to_owned(),
        "~: 1\n".to_owned(),
        format!("servers\u{0}: 1\n{server}"),
        format!("\"serv\\u0065rs\": {{ b: {{ command: [run] }} }}\n{server}"),
        "- servers\n".to_owned(),
        "servers\n".to_owned(),
        "null\n".to_owned(),
    ] {
        refusal(&text);
    }
    for text in [
        format!("---\n{server}...\n"),
        format!("\u{feff}{server}"),
        server.replace('\n', "\r\n"),
    ] {
        read(&text).unwrap_or_else(|diagnosis| panic!("{text:?}\n{diagnosis}"));
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let directory = std::env::temp_dir().join(format!("mantlet-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("mantlet.yaml");
    let told = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load(&path, &lookup).expect_err("it was taken").to_string()
    };
    assert!(told(b"servers: \xff\xfe").contains("byte 9 is no character"));
    assert!(
        told(
            "servers: {}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>()
                .as_slice()
        )
        .contains("error")
    );
    assert!(told(&vec![b'#'; 3 * 1024 * 1024]).contains("larger than"));
    assert!(
        load(&directory, &lookup)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    assert!(
        load(&directory.join("none"), &lookup)
            .unwrap_err()
            .to_string()
            .contains("none")
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn an_endless_file_is_not_read_to_its_end() {
    let zero = std::path::Path::new("/dev/zero");
    if zero.exists() {
        assert!(
            load(zero, &lookup)
                .unwrap_err()
                .to_string()
                .contains("larger than")
        );
    }
}

/// Every place of a file that takes a text, with a reference in it.
const EVERYWHERE: &str = r#"
listen: { address: "${env:SECRET}", allowed_hosts: ["x ${env:SECRET}"], allowed_origins: ["${env:SECRET}"] }
identity: { anonymous: "${env:SECRET}", token_file: "${env:SECRET}" }
servers:
  a:
    command: ["${env:SECRET} x"]
    environment: { A: "${env:NUL}", "B C": "${env:SECRET}" }
    directory: ${env:SECRET}
    sandbox: { read: ["${env:SECRET}", "/${env:SECRET}/.."], write: ["~/${env:SECRET}"], network: ["${env:SECRET}"], internal_network: ["${env:SECRET}:x", "https://${env:SECRET}.example/"], memory: "${env:SECRET}", minimum: "${env:SECRET}", secrets: { "a/${env:SECRET}": "${env:SECRET}", b: ["${env:SECRET}"] }, loopback: "${env:SECRET}", on_breach: "${env:SECRET}", breaches: "${env:SECRET}" }
    allow: { tools: ["${env:LINES}"], asks: ["${env:SECRET}"] }
    protocol: ${env:SECRET}
    timeouts: { start: "${env:SECRET}" }
    restart: { limit: "${env:SECRET}" }
  b:
    url: http://${env:SECRET}/
    headers: { A: "${env:LINES}", Host: "${env:SECRET}", B: "${env:NUL}", C: "${env:SECRET} " }
  c:
    url: https://user:${env:SECRET}@host/
    transport: ${env:SECRET}
    plain_http: ${env:SECRET}
  d: "${env:SECRET}"
  e: { url: "${env:SECRET}" }
  f: { command: [run], sandbox: "${env:SECRET}" }
  g: { command: [run], directory: "/${env:SECRET}" }
limits: { message: "${env:SECRET}", depth: "${env:SECRET}", batch: ["${env:SECRET}"] }
timeouts: { drain: "${env:SECRET}", session: "1${env:SECRET}" }
audit: { path: "${env:SECRET}", durability: "${env:SECRET}", contents: "${env:SECRET}" }
"#;

#[test]
fn no_message_shows_what_a_reference_fetched() {
    // One problem at a time too: none may hide behind the others.
    let diagnosis = read(EVERYWHERE).unwrap_err();
    assert_eq!(diagnosis.problems().len(), 20);
    for text in [EVERYWHERE.to_owned(), halves(0), halves(1), halves(2), halves(3)] {
        let diagnosis = read(&text).unwrap_err();
        for told in [
            diagnosis.render(false),
            diagnosis.render(true),
            format!("{diagnosis:?}"),
        ] {
            assert!(!told.contains(SECRET), "{told}");
        }
    }
}

#[test]
fn an_item_that_is_left_out_does_not_shift_the_others() {
    for list in [
        r#"listen: { allowed_hosts: ["${env:MISSING}", "https://${env:SECRET}.example/"] }
servers: { a: { command: [run] } }"#,
        r#"servers: { a: { command: [run], sandbox: { network: ["${env:MISSING}", "https://${env:SECRET}.example/"] } } }"#,
        r#"servers: { a: { command: ["${env:MISSING}", "${env:SECRET} x"] } }"#,
    ] {
        let diagnosis = read(list).unwrap_err();
        let (told, columns) = (
            diagnosis.to_string(),
            diagnosis.problems().iter().map(|one| one.place()),
        );
        assert!(!told.contains(SECRET), "{told}");
        assert_eq!(
            columns.collect::<std::collections::HashSet<_>>().len(),
            2,
            "{told}"
        );
    }
}

/// A part of the lines, so that problems beyond the cap come to light.
fn halves(part: usize) -> String {
    let (mut text, sections) = (String::new(), EVERYWHERE.trim().split('\n').enumerate());
    for (number, line) in sections {
        if line.starts_with("servers") || number % 4 == part || (part == 0 && line.starts_with("  ")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[test]
fn settings_do_not_show_credentials() {
    let text = r#"
servers:
  a: { command: [run, "--token=${env:SECRET}"], environment: { A: "${env:SECRET}" }, sandbox: { secrets: { A: "${env:SECRET}" } } }
  b: { url: "https://a.example/${env:SECRET}?k=${env:SECRET}", headers: { Authorization: "Bearer ${env:SECRET}" } }
"#;
    let settings = read(text).unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
    assert!(!format!("{settings:?} {settings:#?}").contains(SECRET));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,400}") {
        drop(read(&text));
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "servers", "a", "command", "url", "allow", ": ", ":", "\n", "  ", "    ", "- ", "[", "]", "{", "}", ", ",
                "\"", "'", "|\n", ">\n", "&x ", "*x", "<<", "!t ", "${env:SECRET}", "${", "}", "~", "# c\n", "\t", "é",
                "? ", "---\n", "...\n", "\u{feff}", "\r\n", "\\", "limits", "timeouts", "headers", "environment",
            ]),
            0..60,
        )
    ) {
        let text = pieces.concat();
        if let Err(diagnosis) = read(&text) {
            prop_assert!(!diagnosis.problems().is_empty());
            prop_assert!(!diagnosis.to_string().contains(SECRET));
        }
    }

    #[test]
    fn a_damaged_file_shows_no_secret(at in 0..EVERYWHERE.len(), cut in 0..12usize, put in "[ \\n:{}\\[\\]\"'a-z]{0,3}") {
        let mut text = EVERYWHERE.to_owned();
        let end = at.saturating_add(cut).min(text.len());
        text.replace_range(at..end, &put);
        if let Err(diagnosis) = read(&text) {
            prop_assert!(!diagnosis.to_string().contains(SECRET), "{text}");
        }
    }

    #[test]
    fn texts_mean_what_is_written(argument in "[a-zA-Z0-9_./=+-]{1,20}") {
        let text = format!("servers: {{ a: {{ command: [run, \"{argument}\"] }} }}");
        let settings = read(&text).unwrap();
        let mantlet_config::Transport::Command(line) = &settings.servers[0].transport else { panic!() };
        prop_assert_eq!(&line.argv[1], &argument);
        // Without quotes it is the same, whatever YAML would make of it: `no`, `1.10`, `0x10`, `1e3`.
        let plain = !matches!(argument.as_str(), "~" | "null" | "Null" | "NULL") && !argument.starts_with('-');
        if plain {
            let settings = read(&text.replace('"', "")).unwrap();
            let mantlet_config::Transport::Command(line) = &settings.servers[0].transport else { panic!() };
            prop_assert_eq!(&line.argv[1], &argument);
        }
    }
}
