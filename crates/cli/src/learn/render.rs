//! The proposal in writing: as a block of the configuration, as JSON, as flags. What the program chose (names of files
//! and hosts) is quoted, so that it stays what it is.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::proposal::{Facts, Grant, Proposal};

/// The block, each grant with its reason, and in comments what is not granted.
pub(super) fn yaml(proposal: &Proposal, program: &str) -> String {
    let mut out = format!(
        "# Proposed by `mantlet cage --learn` after a run of `{}`. It is as trustworthy as that program: read it first.\n",
        readable(program)
    );
    let mut body = String::new();
    for (key, grants) in [
        ("read", &proposal.read),
        ("write", &proposal.write),
        ("network", &proposal.network),
        ("internal_network", &proposal.internal),
    ] {
        if !grants.is_empty() {
            let _ = writeln!(body, "  {key}:");
        }
        for grant in grants {
            let _ = writeln!(body, "    # {}", readable(&grant.why));
            let _ = writeln!(body, "    - {}", scalar(&grant.what));
        }
    }
    if !proposal.secrets.is_empty() {
        body.push_str("  secrets:\n");
    }
    for name in &proposal.secrets {
        let _ = writeln!(body, "    {}: \"${{env:{name}}}\"", scalar(name));
    }
    if let Some(why) = &proposal.loopback {
        let _ = writeln!(body, "  # {}", readable(why));
        body.push_str("  loopback: true\n");
    }
    for (key, grant) in amounts(proposal) {
        let _ = writeln!(body, "  # {}", readable(&grant.why));
        let _ = writeln!(body, "  {key}: {}", grant.what);
    }
    if body.is_empty() {
        out.push_str("# It needs nothing but what every cage has.\nsandbox: {}\n");
    } else {
        out.push_str("sandbox:\n");
        out.push_str(&body);
    }
    if !proposal.refused.is_empty() {
        out.push_str("# Tried, and not proposed:\n");
    }
    for refused in &proposal.refused {
        let help = match refused.help.as_str() {
            "" => String::new(),
            help => format!(" ({help})"),
        };
        let (what, why) = (readable(&refused.what), readable(&refused.why));
        let _ = writeln!(out, "#   {what}: {why}{}", readable(&help));
    }
    for note in &proposal.notes {
        let _ = writeln!(out, "# Note: {}", readable(note));
    }
    out
}

fn amounts(proposal: &Proposal) -> impl Iterator<Item = (&'static str, &Grant)> {
    [
        ("memory", &proposal.memory),
        ("processes", &proposal.processes),
        ("disk", &proposal.disk),
    ]
    .into_iter()
    .filter_map(|(key, grant)| Some((key, grant.as_ref()?)))
}

/// The same for programs: `sandbox` is the block.
pub(super) fn json(proposal: &Proposal, program: &str) -> String {
    let mut block = Map::new();
    let mut why = Vec::new();
    for (key, grants) in [
        ("read", &proposal.read),
        ("write", &proposal.write),
        ("network", &proposal.network),
        ("internal_network", &proposal.internal),
    ] {
        if !grants.is_empty() {
            let list: Vec<String> = grants.iter().map(|grant| escaped(&grant.what)).collect();
            block.insert(key.to_owned(), json!(list));
        }
        why.extend(
            grants
                .iter()
                .map(|grant| json!({"grant": key, "what": grant.what, "why": grant.why})),
        );
    }
    if !proposal.secrets.is_empty() {
        let secrets: Map<String, Value> = proposal
            .secrets
            .iter()
            .map(|name| (name.clone(), json!(format!("${{env:{name}}}"))))
            .collect();
        block.insert("secrets".to_owned(), secrets.into());
    }
    if let Some(reason) = &proposal.loopback {
        block.insert("loopback".to_owned(), true.into());
        why.push(json!({"grant": "loopback", "what": true, "why": reason}));
    }
    for (key, grant) in amounts(proposal) {
        let value = grant
            .what
            .parse::<u64>()
            .map_or_else(|_| json!(grant.what), Into::into);
        block.insert(key.to_owned(), value);
        why.push(json!({"grant": key, "what": grant.what, "why": grant.why}));
    }
    let refused: Vec<Value> = proposal
        .refused
        .iter()
        .map(|one| json!({"what": one.what, "why": one.why, "help": one.help}))
        .collect();
    let all = json!({
        "program": program, "sandbox": block, "why": why, "refused": refused, "notes": proposal.notes,
    });
    // What is left of letters that are not seen is in texts, where they may be written so.
    let mut out = String::new();
    for letter in format!("{all:#}\n").chars() {
        if letter == '\n' || is_seen(letter) {
            out.push(letter);
        } else {
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        }
    }
    out
}

/// The same as flags of `mantlet wrap`. The command's arguments are not repeated: they may be secrets.
pub(super) fn flags(proposal: &Proposal, facts: &Facts) -> String {
    let mut words = vec!["mantlet".to_owned(), "wrap".to_owned()];
    for (flag, grants) in [
        ("--read", &proposal.read),
        ("--write", &proposal.write),
        ("--net", &proposal.network),
        ("--internal-net", &proposal.internal),
    ] {
        for grant in grants {
            words.extend([flag.to_owned(), quoted(&grant.what)]);
        }
    }
    for (flag, name) in &facts.handed {
        words.extend([(*flag).to_owned(), quoted(name)]);
    }
    if proposal.loopback.is_some() {
        words.push("--loopback".to_owned());
    }
    for (key, grant) in amounts(proposal) {
        words.extend([format!("--{key}"), grant.what.clone()]);
    }
    words.extend(["--".to_owned(), quoted(&facts.program)]);
    words.extend(facts.has_arguments.then(|| "…".to_owned()));
    words.join(" ")
}

/// `${` stands for itself.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A text as a YAML value: always in quotes, and of letters that are seen.
fn scalar(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in escaped(text).chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if is_seen(letter) => out.push(letter),
            letter => {
                let _ = write!(out, "\\U{:08X}", u32::from(letter));
            }
        }
    }
    out.push('"');
    out
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@%=,:".contains(letter);
    let text = readable(text);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// On one line, and without what turns the direction of writing or moves a cursor.
fn readable(text: &str) -> String {
    text.chars()
        .map(|letter| if is_seen(letter) { letter } else { '·' })
        .collect()
}

fn is_seen(letter: char) -> bool {
    !letter.is_control()
        && !matches!(
            letter,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use mantlet_config::cage::Cage;
    use mantlet_config::{Lookup, Settings, Transport};

    use super::super::proposal::Refused;
    use super::*;

    struct Nobody;

    impl Lookup for Nobody {
        fn environment(&self, name: &str) -> Option<String> {
            (name == "API_KEY").then(|| "s3cret".to_owned())
        }
    }

    fn grant(what: &str) -> Grant {
        Grant {
            what: what.to_owned(),
            why: "why\n  network: [evil.example:443]".to_owned(),
        }
    }

    const ODD: &[&str] = &[
        "/srv/data",
        "/srv/it's \"odd\": [x], #1 \\ ",
        "/srv/${env:API_KEY}",
        "/srv/line\nbreak",
        "/srv/\u{85}\u{2028}\u{202e}txt",
        "/srv/naïve ünï",
    ];

    fn everything() -> Proposal {
        Proposal {
            read: ODD.iter().map(|path| grant(path)).collect(),
            write: vec![grant("/srv/out")],
            network: vec![grant("api.example.com:443"), grant("1.2.3.4:80")],
            internal: vec![grant("db.corp.example:5432")],
            loopback: Some("it opens ports\nread: [/x]".to_owned()),
            memory: Some(grant("1536MiB")),
            processes: Some(grant("320")),
            disk: Some(grant("512MiB")),
            secrets: vec!["API_KEY".to_owned()],
            refused: vec![Refused {
                what: "/home/ada/.ssh/id\nread: [/y]".to_owned(),
                why: "lies in `~/.ssh`".to_owned(),
                help: "leave it out".to_owned(),
            }],
            notes: vec!["a note\nof two lines".to_owned()],
        }
    }

    /// What the configuration makes of a block.
    fn understood(block: &str) -> Settings {
        let block: String = block.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!("servers:\n  learnt:\n    command: [/usr/bin/server]\n{block}");
        mantlet_config::parse(&text, "learnt.yaml", &Nobody)
            .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false)))
    }

    fn check(settings: &Settings) {
        let Transport::Command(line) = &settings.servers[0].transport else {
            panic!("a command")
        };
        let Cage::On(cage) = &line.cage else {
            panic!("a cage")
        };
        let read: Vec<&str> = cage.read.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(read, ODD);
        assert_eq!(cage.write, [std::path::Path::new("/srv/out")]);
        let hosts: Vec<String> = cage.network.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["api.example.com:443", "1.2.3.4:80"]);
        assert_eq!(cage.internal_network[0].to_string(), "db.corp.example:5432");
        assert_eq!(cage.secrets["API_KEY"].expose(), "s3cret");
        assert!(cage.loopback);
        assert_eq!(
            (cage.limits.memory, cage.limits.processes, cage.limits.disk),
            (1536 << 20, 320, 512 << 20)
        );
    }

    #[test]
    fn the_block_is_one_of_the_configuration_and_says_what_it_grants() {
        let text = yaml(&everything(), "npx\nread: /");
        check(&understood(&text));
        assert!(text.contains("# Note: a note·of two lines"), "{text}");
        assert!(!text.contains("\nread: "), "{text}");
    }

    #[test]
    fn json_holds_the_same_block() {
        let text = json(&everything(), "npx");
        #[expect(clippy::disallowed_methods, reason = "our own words")]
        let all: Value = serde_json::from_str(&text).unwrap();
        check(&understood(&format!("sandbox: {}", all["sandbox"])));
        assert_eq!(all["refused"][0]["help"], "leave it out");
        assert!(
            text.chars().all(|letter| letter == '\n' || is_seen(letter)),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_needs_nothing_gets_an_empty_block() {
        let text = yaml(&Proposal::default(), "true");
        let settings = understood(&text);
        assert_eq!(settings.servers.len(), 1);
        assert!(text.ends_with("sandbox: {}\n"), "{text}");
    }

    #[test]
    fn flags_are_words_of_a_shell() {
        let facts = Facts {
            program: "npx".to_owned(),
            has_arguments: true,
            handed: vec![("--env", "TOKEN".to_owned())],
            ..Facts::default()
        };
        let proposal = Proposal {
            read: vec![grant("/srv/it's"), grant("/srv/data")],
            ..everything()
        };
        assert_eq!(
            flags(&proposal, &facts),
            "mantlet wrap --read '/srv/it'\\''s' --read /srv/data --write /srv/out --net api.example.com:443 \
             --net 1.2.3.4:80 --internal-net db.corp.example:5432 --env TOKEN --loopback --memory 1536MiB \
             --processes 320 --disk 512MiB -- npx …"
        );
    }
}
