//! The cage of a server: what a block means, and what is said of one that is wrong.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use mantlet_config::cage::{Cage, CageSettings, Destination, OnBreach, Tier};
use mantlet_config::{CommandLine, Diagnosis, Transport, load, parse};

fn lookup(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/ada".to_owned()),
        "KEY" => Some("s3cret".to_owned()),
        "WHERE" => Some("/srv/private".to_owned()),
        _ => None,
    }
}

fn read(block: &str) -> Result<CommandLine, Diagnosis> {
    let text = format!("servers:\n  files:\n    command: [run]\n{block}");
    let mut settings = parse(&text, "mantlet.yaml", &lookup)?;
    match settings.servers.remove(0).transport {
        Transport::Command(line) => Ok(line),
        Transport::Http(_) => panic!("not a command"),
    }
}

fn line(block: &str) -> CommandLine {
    read(block).unwrap_or_else(|diagnosis| panic!("{diagnosis}"))
}

fn cage(block: &str) -> CageSettings {
    match line(&format!("    sandbox: {block}\n")).cage {
        Cage::On(settings) => *settings,
        Cage::Off => panic!("no cage"),
    }
}

fn refusal(block: &str) -> String {
    match read(block) {
        Ok(line) => panic!("it was taken: {line:?}"),
        Err(diagnosis) => diagnosis.to_string(),
    }
}

/// The messages about a block, without their places.
fn messages(block: &str) -> Vec<String> {
    let diagnosis = read(&format!("    sandbox: {block}\n")).map(|line| format!("{line:?}"));
    let problems = diagnosis.unwrap_err();
    problems
        .problems()
        .iter()
        .map(|problem| problem.message().to_owned())
        .collect()
}

fn paths(texts: &[&str]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}

fn hosts(texts: &[&str]) -> Vec<Destination> {
    texts
        .iter()
        .map(|text| Destination::parse(text).unwrap())
        .collect()
}

#[test]
fn without_a_word_a_server_is_in_a_cage_with_no_grants() {
    let plain = line("");
    assert_eq!(plain, line("    sandbox: {}\n"));
    let cage = cage("{}");
    assert!(cage.read.is_empty() && cage.write.is_empty() && cage.secrets.is_empty());
    assert!(cage.network.is_empty() && cage.internal_network.is_empty() && !cage.loopback);
    assert_eq!((cage.limits.memory, cage.limits.cpu), (1 << 30, 0));
    assert_eq!((cage.limits.processes, cage.limits.disk), (256, 256 << 20));
    assert_eq!((cage.limits.files, cage.limits.descriptors), (10_000, 1024));
    assert_eq!(cage.minimum, Tier::Standard);
    assert_eq!(
        cage.on_breach,
        OnBreach::Quarantine {
            limit: 3,
            within: Duration::from_secs(60)
        }
    );
}

#[test]
fn a_server_without_a_cage_says_so() {
    for word in ["off", "\"off\""] {
        let line = line(&format!("    sandbox: {word}\n    directory: /anywhere\n"));
        assert_eq!(line.cage, Cage::Off);
        assert_eq!(line.directory.as_deref(), Some(Path::new("/anywhere")));
    }
}

#[test]
fn a_block_means_what_it_says() {
    let cage = cage(
        r#"
      read: [/srv/data/, ~/notes, "${env:WHERE}", /srv/both]
      write: [/srv//out, /srv/./both]
      network: ["API.example.com:443", "*.example.com:443", "10.0.0.5:5432"]
      internal_network: ["db.corp.example:5432", "localhost:80"]
      secrets: { api-key: "${env:KEY}", tls.key: "plain" }
      memory: 512MiB
      cpu: 2
      processes: 100
      disk: 64MiB
      files: 500
      loopback: true
      minimum: strong
      on_breach: restart"#,
    );
    assert_eq!(
        cage.read,
        paths(&["/srv/data", "/home/ada/notes", "/srv/private"])
    );
    assert_eq!(cage.write, paths(&["/srv/out", "/srv/both"]));
    assert_eq!(
        cage.network,
        hosts(&["api.example.com:443", "*.example.com:443", "10.0.0.5:5432"])
    );
    assert_eq!(
        cage.internal_network,
        hosts(&["db.corp.example:5432", "localhost:80"])
    );
    assert_eq!(cage.secrets["api-key"].expose(), "s3cret");
    assert_eq!(cage.secrets["tls.key"].expose(), "plain");
    let limits = cage.limits;
    assert_eq!((limits.memory, limits.cpu, limits.processes), (512 << 20, 2, 100));
    assert_eq!((limits.disk, limits.files), (64 << 20, 500));
    assert!(cage.loopback);
    assert_eq!((cage.minimum, cage.on_breach), (Tier::Strong, OnBreach::Restart));
    assert!(!format!("{cage:?}").contains("s3cret") && !format!("{cage:#?}").contains("plain"));
}

#[test]
fn limits_hold_at_both_ends() {
    for (key, fits, not) in [
        ("memory", ["16MiB", "1024GiB"], ["15MiB", "1025GiB"]),
        ("disk", ["1MiB", "1024GiB"], ["1023KiB", "1099511627777"]),
        ("processes", ["4", "65536"], ["3", "65537"]),
        ("files", ["16", "10000000"], ["15", "10000001"]),
        ("cpu", ["1", "1024"], ["0", "1025"]),
    ] {
        for value in fits {
            cage(&format!("{{ {key}: {value} }}"));
        }
        for value in not {
            let told = messages(&format!("{{ {key}: {value} }}"));
            assert_eq!(told, [format!("`{value}` is out of bounds")], "{key}");
        }
    }
    assert_eq!(
        cage("{ breaches: { limit: 1, within: 1s } }").on_breach,
        OnBreach::Quarantine {
            limit: 1,
            within: Duration::from_secs(1)
        }
    );
}

#[test]
fn a_directory_lies_in_a_grant() {
    let grants = "    sandbox: { read: [/srv/data], write: [/srv/out] }\n";
    for inside in ["/srv/data", "/srv/data/", "/srv/data/x/y", "/srv/out/x"] {
        line(&format!("{grants}    directory: {inside}\n"));
    }
    for outside in ["/srv", "/srv/database", "/", "/srv/data/../x", "/home/ada"] {
        refusal(&format!("{grants}    directory: {outside}\n"));
    }
}

#[test]
fn a_list_of_grants_has_an_end() {
    let many: Vec<String> = (0..201).map(|number| format!("/srv/{number}")).collect();
    let told = messages(&format!("{{ read: [{}] }}", many.join(", ")));
    assert_eq!(told, ["a list of grants has at most 200"]);
    let fits = many[1..].join(", ");
    assert_eq!(cage(&format!("{{ read: [{fits}] }}")).read.len(), 200);
}

#[test]
fn no_server_can_write_the_file_that_says_what_it_may() {
    let directory = std::env::temp_dir().join(format!("mantlet-config-cage-{}", std::process::id()));
    let (inside, beside) = (directory.join("a/b"), directory.join("c"));
    std::fs::create_dir_all(&inside).unwrap();
    let file = inside.join("mantlet.yaml");
    let told = |path: &Path, access: &str| {
        let block = format!("sandbox: {{ {access}: [{}] }}", path.display());
        std::fs::write(
            &file,
            format!("servers: {{ a: {{ command: [run], {block} }} }}\n"),
        )
        .unwrap();
        load(&file, &lookup)
            .map(|_| ())
            .map_err(|diagnosis| diagnosis.to_string())
    };
    for path in [&file, &inside, &directory] {
        let told = told(path, "write").unwrap_err();
        assert!(told.contains("holds this configuration"), "{told}");
    }
    assert_eq!(told(&directory, "read"), Ok(()));
    assert_eq!(told(&beside, "write"), Ok(()));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn what_belongs_to_the_gateway_is_nobody_elses() {
    let text = r#"
identity: { token_file: /srv/token/mantlet }
audit: { path: /srv/log/audit }
servers:
  a: { command: [run], sandbox: { read: [/srv/log, /srv/token, /home/ada/.local/state/mantlet/token, /srv/data] } }
"#;
    let diagnosis = parse(text, "mantlet.yaml", &lookup).unwrap_err();
    let told: Vec<&str> = diagnosis
        .problems()
        .iter()
        .map(|problem| problem.message())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|told| told.contains("gateway")), "{told:?}");
}

#[test]
fn paths_that_cannot_be_granted() {
    let block = r#"    sandbox:
      read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      write: [/, /etc/tool, /home/ada, "/srv/a\0"]
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: `notes` is not a full path
     --> mantlet.yaml:5:14
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |              ^^^^^
      |
      = help: write the full path, from `/` or `~/`: where the gateway is started from must not matter

    error: `~/` is a home directory, or lies above one
     --> mantlet.yaml:5:21
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                     ^^
      |
      = help: name the folder in it that the program needs

    error: `/srv/../etc` has a `..` in it
     --> mantlet.yaml:5:25
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                         ^^^^^^^^^^^
      |
      = help: write the path that it leads to

    error: `/srv/*.md` is a pattern, and there are none here
     --> mantlet.yaml:5:38
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                                      ^^^^^^^^^
      |
      = help: name the folder: it opens all that is in it

    error: `~/.ssh` holds keys of SSH
     --> mantlet.yaml:5:49
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                                                 ^^^^^^
      |
      = help: leave it out; a credential that the program needs is handed over by itself, as a secret

    error: `~/.config` lies above `~/.config/gcloud`, which holds credentials of Google Cloud
     --> mantlet.yaml:5:57
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                                                         ^^^^^^^^^
      |
      = help: name the folder in it that the program needs

    error: `/var/run/docker.sock` is the socket of a container engine, which starts anything
     --> mantlet.yaml:5:68
      |
    5 |       read: [notes, ~/, /srv/../etc, /srv/*.md, ~/.ssh, ~/.config, /var/run/docker.sock]
      |                                                                    ^^^^^^^^^^^^^^^^^^^^
      |
      = help: leave it out: a program in a cage does without

    error: `/` is the whole system
     --> mantlet.yaml:6:15
      |
    6 |       write: [/, /etc/tool, /home/ada, "/srv/a\0"]
      |               ^
      |
      = help: name the folder in it that the program needs

    error: `/etc/tool` lies in `/etc`, which holds what the system runs by
     --> mantlet.yaml:6:18
      |
    6 |       write: [/, /etc/tool, /home/ada, "/srv/a\0"]
      |                  ^^^^^^^^^
      |
      = help: give the program a folder of its own

    error: `/home/ada` is a home directory, or lies above one
     --> mantlet.yaml:6:29
      |
    6 |       write: [/, /etc/tool, /home/ada, "/srv/a\0"]
      |                             ^^^^^^^^^
      |
      = help: name the folder in it that the program needs

    error: `/srv/a\0` holds a NUL character
     --> mantlet.yaml:6:40
      |
    6 |       write: [/, /etc/tool, /home/ada, "/srv/a\0"]
      |                                        ^^^^^^^^^^
    "##);
}

#[test]
fn hosts_that_cannot_be_granted() {
    let block = r#"    sandbox:
      network:
        - https://api.example.com/v1
        - api.example.com
        - "*.com:443"
        - "*:443"
        - "[2001:db8::1]:443"
        - localhost:80
        - https://ada:hunter2@api.example.com/
        - db:5432
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: `https://api.example.com/v1` is more than a host and a port
     --> mantlet.yaml:6:11
      |
    6 |         - https://api.example.com/v1
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `api.example.com:443`?
      |
      = help: write `HOST:PORT`, such as `api.example.com:443`

    error: `api.example.com` has no port
     --> mantlet.yaml:7:11
      |
    7 |         - api.example.com
      |           ^^^^^^^^^^^^^^^ did you mean `api.example.com:443`?
      |
      = help: write `HOST:PORT`, such as `api.example.com:443`

    error: `*.com:443` opens too much
     --> mantlet.yaml:8:11
      |
    8 |         - "*.com:443"
      |           ^^^^^^^^^^^
      |
      = help: after `*.` goes a name of two parts or more: `*.example.com:443`

    error: `*:443` opens the whole network
     --> mantlet.yaml:9:11
      |
    9 |         - "*:443"
      |           ^^^^^^^
      |
      = help: name each host that the program needs; `*.example.com:443` is all names below one

    error: `[2001:db8::1]:443` is an IPv6 address
      --> mantlet.yaml:10:11
       |
    10 |         - "[2001:db8::1]:443"
       |           ^^^^^^^^^^^^^^^^^^^
       |
       = help: a cage leads to names and IPv4 addresses: write the name of the host

    error: `localhost:80` is this machine, which has no public address
      --> mantlet.yaml:11:11
       |
    11 |         - localhost:80
       |           ^^^^^^^^^^^^
       |
       = help: write it under `internal_network`

    error: the value is more than a host and a port
      --> mantlet.yaml:12:11
       |
    12 |         - ************************************
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `api.example.com:443`?
       |
       = help: write `HOST:PORT`, such as `api.example.com:443`

    error: `db:5432` is not the full name of a host
      --> mantlet.yaml:13:11
       |
    13 |         - db:5432
       |           ^^^^^^^
       |
       = help: write the name with its domain, such as `db.corp.example:5432`; only `localhost` has none
    "##);
}

#[test]
fn grants_that_stand_twice() {
    let block = r#"    sandbox:
      read: [/srv/data, /srv/data/]
      network: ["a.example:443", "A.example:443"]
      internal_network: ["a.example:443"]
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: `/srv/data/` stands twice
     --> mantlet.yaml:5:25
      |
    5 |       read: [/srv/data, /srv/data/]
      |                         ^^^^^^^^^^
      |
      = help: keep one

    error: `A.example:443` stands twice
     --> mantlet.yaml:6:34
      |
    6 |       network: ["a.example:443", "A.example:443"]
      |                                  ^^^^^^^^^^^^^^^
      |
      = help: keep one

    error: `a.example:443` stands under `network` as well
     --> mantlet.yaml:7:26
      |
    7 |       internal_network: ["a.example:443"]
      |                          ^^^^^^^^^^^^^^^
      |
      = help: keep one: here if its address may be other than public, else there
    "##);
}

#[test]
fn a_directory_outside_of_the_cage() {
    insta::assert_snapshot!(refusal("    directory: /srv/my data\n"), @r##"
    error: `/srv/my data` is not in the cage: no grant of the server has it
     --> mantlet.yaml:4:16
      |
    4 |     directory: /srv/my data
      |                ^^^^^^^^^^^^
      |
      = help: grant it: `sandbox: { read: ["/srv/my data"] }`, or `write` in the place of `read`
      = help: or leave `directory` out: the program then starts in a home of its own
    "##);
    insta::assert_snapshot!(refusal("    directory: ${env:WHERE}\n    sandbox: { read: [/srv/data] }\n"), @r##"
    error: `${env:WHERE}` is not in the cage: no grant of the server has it
     --> mantlet.yaml:4:16
      |
    4 |     directory: ${env:WHERE}
      |                ^^^^^^^^^^^^
      |
      = help: grant it: `sandbox: { read: ["${env:WHERE}"] }`, or `write` in the place of `read`
      = help: or leave `directory` out: the program then starts in a home of its own
    "##);
}

#[test]
fn a_directory_whose_grant_is_wrong_is_told_once() {
    for sandbox in [
        "{ read: [srv] }",
        "{ raed: [/srv] }",
        "{ read: /srv }",
        "[/srv]",
        "{ read: [~/.ssh] }",
    ] {
        let told = refusal(&format!("    sandbox: {sandbox}\n    directory: /srv\n"));
        assert_eq!(told.matches("error:").count(), 1, "{told}");
    }
}

#[test]
fn a_cage_that_is_no_block() {
    insta::assert_snapshot!(refusal("    sandbox: none\n"), @r##"
    error: `sandbox` must be a mapping (`key: value`) or `off`
     --> mantlet.yaml:4:14
      |
    4 |     sandbox: none
      |              ^^^^ this is a single value
      |
      = help: write what the program may do, such as `sandbox: { read: [/srv/data] }`; `sandbox: off` runs it with all rights of this user
    "##);
    insta::assert_snapshot!(refusal("    sandbox:\n"), @r##"
    error: `sandbox` has no value
     --> mantlet.yaml:4:5
      |
    4 |     sandbox:
      |     ^^^^^^^
      |
      = help: remove the key for a cage without grants, or name some: `sandbox: { read: [/srv/data] }`
    "##);
    for wrong in ["on", "true", "false", "OFF", "[/srv]", "${env:WHERE}"] {
        assert_eq!(
            messages(wrong),
            ["`sandbox` must be a mapping (`key: value`) or `off`"],
            "{wrong}"
        );
    }
}

#[test]
fn what_others_call_it() {
    let block = r#"    sandbox: { net: ["a.example:443"], ram: 1GiB, rw: [/srv], secret: { A: x } }
    cage: off
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: unknown key `net`
     --> mantlet.yaml:4:16
      |
    4 |     sandbox: { net: ["a.example:443"], ram: 1GiB, rw: [/srv], secret: { A: * } }
      |                ^^^
      |
      = help: it is called `network` here

    error: unknown key `ram`
     --> mantlet.yaml:4:40
      |
    4 |     sandbox: { net: ["a.example:443"], ram: 1GiB, rw: [/srv], secret: { A: * } }
      |                                        ^^^
      |
      = help: it is called `memory` here

    error: unknown key `rw`
     --> mantlet.yaml:4:51
      |
    4 |     sandbox: { net: ["a.example:443"], ram: 1GiB, rw: [/srv], secret: { A: * } }
      |                                                   ^^
      |
      = help: it is called `write` here

    error: unknown key `secret`
     --> mantlet.yaml:4:63
      |
    4 |     sandbox: { net: ["a.example:443"], ram: 1GiB, rw: [/srv], secret: { A: * } }
      |                                                               ^^^^^^ did you mean `secrets`?

    error: unknown key `cage`
     --> mantlet.yaml:5:5
      |
    5 |     cage: off
      |     ^^^^
      |
      = help: it is called `sandbox` here
    "##);
}

#[test]
fn values_of_the_wrong_kind() {
    let block = r#"    sandbox: { read: /srv/data, network: none, secrets: [KEY], cpu: "2", minimum: best, breaches: 3, write: }
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: `read` must be a list
     --> mantlet.yaml:4:22
      |
    4 |     sandbox: { read: /srv/data, network: none, secrets: [***], cpu: "2", minimum: best, breaches: 3, wr...
      |                      ^^^^^^^^^ this is a single value
      |
      = help: write `[/srv/data]`

    error: `network` must be a list
     --> mantlet.yaml:4:42
      |
    4 |     sandbox: { read: /srv/data, network: none, secrets: [***], cpu: "2", minimum: best, breaches: 3, wr...
      |                                          ^^^^ this is a single value
      |
      = help: leave the key out: what is not named is not open

    error: `secrets` must be a mapping (`key: value`)
     --> mantlet.yaml:4:57
      |
    4 |     sandbox: { read: /srv/data, network: none, secrets: [***], cpu: "2", minimum: best, breaches: 3, wr...
      |                                                         ^^^^^ this is a list
      |
      = help: write a mapping: `{ NAME: value }`

    error: `cpu` must be a whole number
     --> mantlet.yaml:4:69
      |
    4 |     sandbox: { read: /srv/data, network: none, secrets: [***], cpu: "2", minimum: best, breaches: 3, wr...
      |                                                                     ^^^ this is a single value
      |
      = help: write digits without quotes

    error: `best` is no choice for `minimum`
     --> mantlet.yaml:4:83
      |
    4 |     sandbox: { read: /srv/data, network: none, secrets: [***], cpu: "2", minimum: best, breaches: 3, wr...
      |                                                                                   ^^^^
      |
      = help: choose one of `strong`, `standard`, `basic`

    error: `breaches` must be a mapping (`key: value`)
     --> mantlet.yaml:4:99
      |
    4 | ...], cpu: "2", minimum: best, breaches: 3, write: }
      |                                          ^ this is a single value
      |
      = help: write `{ limit: 3, within: 1m }`

    error: `write` has no value
     --> mantlet.yaml:4:102
      |
    4 | ...: [***], cpu: "2", minimum: best, breaches: 3, write: }
      |                                                   ^^^^^
      |
      = help: write `[]` for none, or remove the key
    "##);
}

#[test]
fn secrets_without_a_name_and_breaches_without_a_use() {
    let block = r#"    sandbox:
      secrets: { ../x: hunter2 }
      on_breach: warn
      breaches: { limit: 5 }
      memory: 1MiB
"#;
    insta::assert_snapshot!(refusal(block), @r##"
    error: `../x` is no name for a secret
     --> mantlet.yaml:5:18
      |
    5 |       secrets: { ../x: ******* }
      |                  ^^^^
      |
      = help: a name has 1 to 64 letters, digits, `_`, `.` and `-`, and is neither `.` nor `..`

    error: `breaches` goes with `on_breach: quarantine`
     --> mantlet.yaml:7:7
      |
    7 |       breaches: { limit: 5 }
      |       ^^^^^^^^
      |
      = help: remove it: it would do nothing here

    error: `1MiB` is out of bounds
     --> mantlet.yaml:8:15
      |
    8 |       memory: 1MiB
      |               ^^^^
      |
      = help: write something from 16MiB to 1024GiB
    "##);
}

#[test]
fn a_cage_for_a_server_that_is_elsewhere() {
    for block in ["off", "{}", "{ read: [/srv] }"] {
        let text = format!("servers: {{ a: {{ url: 'https://a.example/', sandbox: {block} }} }}");
        let diagnosis = parse(&text, "mantlet.yaml", &lookup).unwrap_err();
        let told: Vec<&str> = diagnosis
            .problems()
            .iter()
            .map(|problem| problem.message())
            .collect();
        assert_eq!(told, ["`sandbox` goes with `command`"], "{block}");
    }
}

#[test]
fn a_secret_is_not_shown_beside_a_problem() {
    let told = refusal("    sandbox: { secrets: { KEY: hunter2 }, memoy: 1GiB }\n");
    assert!(told.contains("memoy") && !told.contains("hunter2"), "{told}");
}
