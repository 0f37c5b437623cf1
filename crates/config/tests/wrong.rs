//! What is said of files that are wrong: the whole text, as an author sees it.

#![expect(clippy::panic, reason = "a helper of tests")]

use mantlet_config::parse;

fn refusal(text: &str) -> String {
    let nothing = |_: &str| None;
    match parse(text, "mantlet.yaml", &nothing) {
        Ok(settings) => panic!("it was taken: {settings:?}"),
        Err(diagnosis) => diagnosis.to_string(),
    }
}

#[test]
fn a_misspelt_key_at_the_top() {
    let text = r#"limts:
  message: 1MiB
servers:
  files: { command: [run] }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: unknown key `limts`
     --> mantlet.yaml:1:1
      |
    1 | limts:
      | ^^^^^ did you mean `limits`?
    "##);
}

#[test]
fn a_misspelt_key_of_a_server() {
    let text = r#"servers:
  files:
    command: [npx, -y, some-server]
    sandbx: { read: [/srv] }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: unknown key `sandbx`
     --> mantlet.yaml:4:5
      |
    4 |     sandbx: { read: [/srv] }
      |     ^^^^^^ did you mean `sandbox`?
    "##);
}

#[test]
fn a_misspelt_key_further_down() {
    let text = r#"servers:
  files:
    command: [run]
    allow:
      tool: [read_file]
    timeouts: { strat: 5s }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: unknown key `tool`
     --> mantlet.yaml:5:7
      |
    5 |       tool: [read_file]
      |       ^^^^ did you mean `tools`?

    error: unknown key `strat`
     --> mantlet.yaml:6:17
      |
    6 |     timeouts: { strat: 5s }
      |                 ^^^^^ did you mean `start`?
    "##);
}

#[test]
fn a_key_on_the_wrong_level() {
    let text = r#"address: 127.0.0.1:9000
servers:
  files:
    command: [run]
    tools: [read_file]
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: unknown key `address`
     --> mantlet.yaml:1:1
      |
    1 | address: 127.0.0.1:9000
      | ^^^^^^^
      |
      = help: `address` belongs under `listen`

    error: unknown key `tools`
     --> mantlet.yaml:5:5
      |
    5 |     tools: [read_file]
      |     ^^^^^
      |
      = help: `tools` belongs under `allow` or `refuse` of a server
    "##);
}

#[test]
fn what_a_client_calls_it() {
    let text = r#"mcpServers:
  files:
    command: npx
    args: [-y, some-server]
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: unknown key `mcpServers`
     --> mantlet.yaml:1:1
      |
    1 | mcpServers:
      | ^^^^^^^^^^
      |
      = help: it is called `servers` here, and `command` takes the arguments too
    "##);
}

#[test]
fn a_command_that_is_a_text() {
    let text = r#"servers:
  files:
    command: npx -y @scope/server /srv/my data
    args: [--verbose]
    env: { DEBUG: "1" }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `command` must be a list
     --> mantlet.yaml:3:14
      |
    3 |     command: npx -y @scope/server /srv/my data
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this is a single value
      |
      = help: no shell reads it; write the program and each argument apart: `[npx, -y, "@scope/server", /srv/my, data]`

    error: unknown key `args`
     --> mantlet.yaml:4:5
      |
    4 |     args: [--verbose]
      |     ^^^^
      |
      = help: arguments are part of `command`: `command: [PROGRAM, ARGUMENT, …]`

    error: unknown key `env`
     --> mantlet.yaml:5:5
      |
    5 |     env: { DEBUG: "*" }
      |     ^^^
      |
      = help: it is called `environment` here
    "##);
}

#[test]
fn a_wrong_kind_of_value() {
    let text = r#"servers:
  - command: [run]
limits: { depth: "64", message: [4MiB] }
audit: { contents: yes }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `servers` must be a mapping (`key: value`)
     --> mantlet.yaml:1:1
      |
    1 | servers:
      | ^^^^^^^ this is a list

    error: `depth` must be a whole number
     --> mantlet.yaml:3:18
      |
    3 | limits: { depth: "64", message: [4MiB] }
      |                  ^^^^ this is a single value
      |
      = help: write digits without quotes

    error: `message` must be a single value
     --> mantlet.yaml:3:33
      |
    3 | limits: { depth: "64", message: [4MiB] }
      |                                 ^^^^^^ this is a list

    error: `contents` must be `true` or `false`
     --> mantlet.yaml:4:20
      |
    4 | audit: { contents: yes }
      |                    ^^^ this is a single value
      |
      = help: write `contents: true` or `contents: false`
    "##);
}

#[test]
fn a_duration_and_a_size_that_are_none() {
    let text = r#"servers:
  files:
    command: [run]
    timeouts: { start: 30, call: 5 min, idle: 1h30m }
limits: { message: 4MB, header: 1KiB, in_flight: -1 }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `30` is a duration without a unit
     --> mantlet.yaml:4:24
      |
    4 |     timeouts: { start: 30, call: 5 min, idle: 1h30m }
      |                        ^^
      |
      = help: write a whole number with `ms`, `s`, `m` or `h`, such as `30s`

    error: `5 min` is no duration
     --> mantlet.yaml:4:34
      |
    4 |     timeouts: { start: 30, call: 5 min, idle: 1h30m }
      |                                  ^^^^^ did you mean `5m`?
      |
      = help: write a whole number with `ms`, `s`, `m` or `h`, such as `30s`

    error: `1h30m` is no duration
     --> mantlet.yaml:4:47
      |
    4 |     timeouts: { start: 30, call: 5 min, idle: 1h30m }
      |                                               ^^^^^
      |
      = help: write a whole number with `ms`, `s`, `m` or `h`, such as `30s`

    error: `4MB` is no size
     --> mantlet.yaml:5:20
      |
    5 | limits: { message: 4MB, header: 1KiB, in_flight: -1 }
      |                    ^^^ did you mean `4MiB`?
      |
      = help: write a number of bytes, or a whole number with `KiB`, `MiB` or `GiB`, such as `4MiB`

    error: `1KiB` is out of bounds
     --> mantlet.yaml:5:33
      |
    5 | limits: { message: 4MB, header: 1KiB, in_flight: -1 }
      |                                 ^^^^
      |
      = help: write something from 8KiB to 1MiB

    error: `-1` is no whole number
     --> mantlet.yaml:5:50
      |
    5 | limits: { message: 4MB, header: 1KiB, in_flight: -1 }
      |                                                  ^^
      |
      = help: write digits only, without quotes, sign or unit, such as `100`
    "##);
}

#[test]
fn both_a_command_and_a_url() {
    let text = r#"servers:
  files:
    command: [run]
    url: https://a.example/mcp
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: a server has either `command` or `url`
     --> mantlet.yaml:4:5
      |
    3 |     command: [run]
      |     ------- either this
    4 |     url: https://a.example/mcp
      |     ^^^ or this
      |
      = help: keep `command` for a program that the gateway starts, `url` for a server that runs elsewhere
    "##);
}

#[test]
fn neither_a_command_nor_a_url() {
    let text = r#"servers:
  files:
    allow: { tools: ["*"] }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: a server has either `command` or `url`, and this one has neither
     --> mantlet.yaml:2:3
      |
    2 |   files:
      |   ^^^^^
      |
      = help: `command: [PROGRAM, ARGUMENT]` for a program that the gateway starts
      = help: `url: https://…` for a server that runs elsewhere
    "##);
}

#[test]
fn keys_that_would_do_nothing() {
    let text = r#"servers:
  files:
    command: [run]
    headers: { X-Api-Key: abc }
  crm:
    url: https://crm.example.com/mcp
    plain_http: accept
    directory: /srv
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `headers` goes with `url`
     --> mantlet.yaml:4:5
      |
    4 |     headers: { X-Api-Key: *** }
      |     ^^^^^^^
      |
      = help: remove it: it would do nothing here

    error: `plain_http` has nothing to accept: `url` is safe as it is
     --> mantlet.yaml:7:5
      |
    7 |     plain_http: accept
      |     ^^^^^^^^^^
      |
      = help: remove it

    error: `directory` goes with `command`
     --> mantlet.yaml:8:5
      |
    8 |     directory: /srv
      |     ^^^^^^^^^
      |
      = help: remove it: it would do nothing here
    "##);
}

#[test]
fn no_servers() {
    let text = r#"servers: {}
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: there are no servers
     --> mantlet.yaml:1:1
      |
    1 | servers: {}
      | ^^^^^^^
      |
      = help: name at least one server: `servers: { files: { command: [PROGRAM, ARGUMENT] } }`
    "##);
}

#[test]
fn no_servers_at_all() {
    let text = r#"listen: { address: 127.0.0.1:8300 }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: the file has no `servers`
    --> mantlet.yaml
     = help: name at least one server: `servers: { files: { command: [PROGRAM, ARGUMENT] } }`
    "##);
}

#[test]
fn an_empty_file() {
    let text = r#"# nothing yet
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: the file is empty
    --> mantlet.yaml
     = help: a first file has a server: `servers: { NAME: { command: [PROGRAM, ARGUMENT] } }`
    "##);
}

#[test]
fn an_address_that_others_reach() {
    let text = r#"listen:
  address: 0.0.0.0:8300
servers: { files: { command: [run] } }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `0.0.0.0:8300` can be reached from other machines
     --> mantlet.yaml:2:12
      |
    2 |   address: 0.0.0.0:8300
      |            ^^^^^^^^^^^^ did you mean `127.0.0.1:8300`?
      |
      = help: this version has no TLS, and tokens do not travel in the clear: listen on this machine only, and put a proxy with TLS in front
    "##);
}

#[test]
fn hosts_and_origins_that_are_none() {
    let text = r#"listen:
  address: localhost:9000
  allowed_hosts: ["https://mcp.example.com/mcp", "*.example.com"]
  allowed_origins: ["*", "https://app.example.com/"]
servers: { files: { command: [run] } }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `localhost:9000` is no address to listen on
     --> mantlet.yaml:2:12
      |
    2 |   address: localhost:9000
      |            ^^^^^^^^^^^^^^ did you mean `127.0.0.1:9000`?
      |
      = help: write an IP address and a port, such as `127.0.0.1:8300` or `[::1]:8300`

    error: `https://mcp.example.com/mcp` is no host
     --> mantlet.yaml:3:19
      |
    3 |   allowed_hosts: ["https://mcp.example.com/mcp", "*.example.com"]
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `mcp.example.com`?
      |
      = help: write the host as clients send it, such as `mcp.example.com` or `mcp.example.com:8443`

    error: `*.example.com` names more than one host
     --> mantlet.yaml:3:50
      |
    3 |   allowed_hosts: ["https://mcp.example.com/mcp", "*.example.com"]
      |                                                  ^^^^^^^^^^^^^^^
      |
      = help: write each host out: there are no patterns here

    error: `*` lets pages in that nobody named
     --> mantlet.yaml:4:21
      |
    4 |   allowed_origins: ["*", "https://app.example.com/"]
      |                     ^^^
      |
      = help: write each origin out: `*` and `null` would open the gateway to any page in any browser on this machine

    error: `https://app.example.com/` is no origin
     --> mantlet.yaml:4:26
      |
    4 |   allowed_origins: ["*", "https://app.example.com/"]
      |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `https://app.example.com`?
      |
      = help: write scheme and host, and the port if it is not the usual one: `https://app.example.com`
    "##);
}

#[test]
fn a_key_that_stands_twice() {
    let text = r#"servers:
  files:
    command: [run]
    refuse: { tools: ["*"] }
    refuse: {}
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: the key `refuse` stands twice
     --> mantlet.yaml:5:5
      |
    4 |     refuse: { tools: ["*"] }
      |     ------ first here
    5 |     refuse: {}
      |     ^^^^^^ again here
      |
      = help: which one counts would be a guess: keep one
    "##);
}

#[test]
fn a_name_that_is_none() {
    let text = r#"servers:
  My Files: { command: [run] }
  a__b: { command: [run] }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `My Files` is no name for a server
     --> mantlet.yaml:2:3
      |
    2 |   My Files: { command: [run] }
      |   ^^^^^^^^ did you mean `my-files`?
      |
      = help: a name has 1 to 32 lower-case letters, digits, `-` and `_`, no `__`, and a letter or digit at both ends

    error: `a__b` is no name for a server
     --> mantlet.yaml:3:3
      |
    3 |   a__b: { command: [run] }
      |   ^^^^ did you mean `a_b`?
      |
      = help: a name has 1 to 32 lower-case letters, digits, `-` and `_`, no `__`, and a letter or digit at both ends
    "##);
}

#[test]
fn a_variable_that_is_not_set() {
    let text = r#"servers:
  crm:
    url: https://crm.example.com/mcp
    headers: { Authorization: "Bearer ${env:CRM_KEY}" }
  wiki:
    url: https://${WIKI_HOST}/mcp
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: the variable `CRM_KEY` is not set
     --> mantlet.yaml:4:31
      |
    4 |     headers: { Authorization: "*******${env:CRM_KEY}" }
      |                               ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: set it where the gateway starts: `export CRM_KEY=…`

    error: `${WIKI_HOST}` is no reference
     --> mantlet.yaml:6:10
      |
    6 |     url: https://${WIKI_HOST}/mcp
      |          ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `${env:WIKI_HOST}` for the variable, or `$${WIKI_HOST}` for the plain text
    "##);
}

#[test]
fn a_secret_without_a_vault() {
    let text = r#"servers:
  crm:
    url: https://crm.example.com/mcp
    headers: { X-Api-Key: "${secret:crm-key}" }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `${secret:crm-key}` cannot be looked up: this version has no vault yet
     --> mantlet.yaml:4:27
      |
    4 |     headers: { X-Api-Key: "${secret:crm-key}" }
      |                           ^^^^^^^^^^^^^^^^^^^
      |
      = help: keep the value in a variable of the environment and write `${env:CRM_KEY}`
    "##);
}

#[test]
fn an_allow_list_whose_lines_are_commented_out() {
    let text = r#"servers:
  files:
    command: [run]
    allow:
#      tools: [read_file]
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `allow` has no value
     --> mantlet.yaml:4:5
      |
    4 |     allow:
      |     ^^^^^
      |
      = help: write `allow: {}` to allow nothing; without the key the holder of the token may use everything
    "##);
}

#[test]
fn plain_http_to_another_machine() {
    let text = r#"servers:
  crm: { url: "http://crm.example.com/mcp" }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `http://crm.example.com/mcp` sends everything in the clear, credentials included
     --> mantlet.yaml:2:15
      |
    2 |   crm: { url: "http://crm.example.com/mcp" }
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: use `https://`; only if nobody else is on the way, add `plain_http: accept` to the server
    "##);
}

#[test]
fn credentials_that_the_snippet_would_show() {
    let text = r#"servers:
  crm:
    url: https://user:hunter2@crm.example.com/mcp
    headers: { Host: hunter2, X-Api-Key: "hunter2 " }
  files:
    command: [run]
    enviroment: { API_KEY: hunter2 }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: the value holds a user name or password
     --> mantlet.yaml:3:10
      |
    3 |     url: ****************************************
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: move it: `headers: { Authorization: "Basic ${env:NAME}" }`

    error: `Host` is a header that the gateway sets by itself
     --> mantlet.yaml:4:16
      |
    4 |     headers: { Host: *******, X-Api-Key: "********" }
      |                ^^^^
      |
      = help: remove it

    error: the value is empty, or begins or ends with a blank
     --> mantlet.yaml:4:42
      |
    4 |     headers: { Host: *******, X-Api-Key: "********" }
      |                                          ^^^^^^^^^^
      |
      = help: look at the quotes, or at the variable

    error: unknown key `enviroment`
     --> mantlet.yaml:7:5
      |
    7 |     enviroment: { API_KEY: ******* }
      |     ^^^^^^^^^^ did you mean `environment`?
    "##);
}

#[test]
fn choices_that_there_are_not() {
    let text = r#"identity: { anonymous: true }
audit: { durability: fsnyc }
servers:
  files: { command: [run], protocol: "2025-06-18", allow: { asks: [samplings] } }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `true` is no choice for `anonymous`
     --> mantlet.yaml:1:24
      |
    1 | identity: { anonymous: true }
      |                        ^^^^
      |
      = help: the only choice is `loopback`: else leave the key out

    error: `fsnyc` is no choice for `durability`
     --> mantlet.yaml:2:22
      |
    2 | audit: { durability: fsnyc }
      |                      ^^^^^ did you mean `fsync`?

    error: `2025-06-18` is no choice for `protocol`
     --> mantlet.yaml:4:38
      |
    4 |   files: { command: [run], protocol: "2025-06-18", allow: { asks: [samplings] } }
      |                                      ^^^^^^^^^^^^
      |
      = help: choose one of `auto`, `legacy`, `modern`

    error: `samplings` is no choice for an item of `asks`
     --> mantlet.yaml:4:68
      |
    4 |   files: { command: [run], protocol: "2025-06-18", allow: { asks: [samplings] } }
      |                                                                    ^^^^^^^^^ did you mean `sampling`?
    "##);
}

#[test]
fn paths_that_depend_on_where_it_starts() {
    let text = r#"identity: { token_file: token }
audit: { path: ./audit }
servers:
  files: { command: [./server], directory: srv }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `token` is not a full path
     --> mantlet.yaml:1:25
      |
    1 | identity: { token_file: token }
      |                         ^^^^^
      |
      = help: write the full path, from `/` or `~/`: where the gateway is started from must not matter

    error: `./audit` is not a full path
     --> mantlet.yaml:2:16
      |
    2 | audit: { path: ./audit }
      |                ^^^^^^^
      |
      = help: write the full path, from `/` or `~/`: where the gateway is started from must not matter

    error: `./server` is not a full path
     --> mantlet.yaml:4:22
      |
    4 |   files: { command: [./server], directory: srv }
      |                      ^^^^^^^^
      |
      = help: write the program's name, to be found in `PATH`, or its full path; `${env:HOME}` stands for the home directory

    error: `srv` is not a full path
     --> mantlet.yaml:4:44
      |
    4 |   files: { command: [./server], directory: srv }
      |                                            ^^^
      |
      = help: write the full path, from `/` or `~/`: where the gateway is started from must not matter
    "##);
}

#[test]
fn indentation_by_tabs() {
    let text = "servers:\n\tfiles:\n\t\tcommand: [run]\n";
    insta::assert_snapshot!(refusal(text), @r##"
    error: this is not YAML: tabs disallowed within this context (block indentation)
     --> mantlet.yaml:2:2
      |
    2 |     files:
      |     ^
      |
      = help: indent with spaces: YAML takes no tabs
    "##);
}

#[test]
fn a_reference_without_quotes_in_braces() {
    let text = r#"servers:
  crm: { url: "https://a.example/", headers: { X-Api-Key: ${env:CRM_KEY} } }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
     --> mantlet.yaml:2:60
      |
    2 |   crm: { url: "https://a.example/", headers: { X-Api-Key: *{env:CRM_KEY} } }
      |                                                            ^
      |
      = help: inside `{ }` and `[ ]` a value with `${…}` belongs in quotes: `"${env:NAME}"`
    "##);
}

#[test]
fn a_syntax_error_beside_a_credential() {
    let text = r#"servers:
  crm:
    url: https://a.example/
    headers:
      Authorization: Bearer hunter2: x
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: this is not YAML: mapping values are not allowed in this context
     --> mantlet.yaml:5:36
      |
    5 |       Authorization:******************
      |                                    ^
      |
      = help: a value that holds `: ` belongs in quotes; keys of one mapping begin in the same column
    "##);
}

#[test]
fn a_value_that_repeats_itself() {
    let text = r#"servers: &all
  files: *all
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: a value repeats itself
     --> mantlet.yaml:2:10
      |
    2 |   files: *all
      |          ^^^^ this stands inside what it repeats
    "##);
}

#[test]
fn what_yaml_has_and_this_has_not() {
    let text = r#"base: &base { command: [run] }
servers:
  files: { <<: *base }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: merge keys (`<<`) are not supported
     --> mantlet.yaml:3:12
      |
    3 |   files: { <<: *base }
      |            ^^
      |
      = help: write the keys out, or repeat a whole value with `&name` and `*name`
    "##);
}

#[test]
fn a_session_that_never_idles_out() {
    let text = r#"servers: { files: { command: [run] } }
timeouts: { idle_session: 2h, session: 1h }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: `idle_session` is longer than `session`, and would never end one
     --> mantlet.yaml:2:27
      |
    2 | timeouts: { idle_session: 2h, session: 1h }
      |                           ^^
      |
      = help: make `idle_session` shorter, or `session` longer
    "##);
}

#[test]
fn anonymous_callers_behind_a_proxy() {
    let text = r#"listen: { allowed_hosts: [mcp.example.com] }
identity: { anonymous: loopback }
servers: { files: { command: [run] } }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: callers without a token and `allowed_hosts` do not go together
     --> mantlet.yaml:2:13
      |
    1 | listen: { allowed_hosts: [mcp.example.com] }
      |           ------------- and this
    2 | identity: { anonymous: loopback }
      |             ^^^^^^^^^
      |
      = help: `allowed_hosts` is for a proxy in front, and whoever reaches that would be taken for a local caller
      = help: remove `anonymous`, so that callers need the token, or `allowed_hosts`
    "##);
}

#[test]
fn a_server_that_is_the_gateway() {
    let text = r#"servers:
  me: { url: "http://localhost:8300/mcp" }
"#;
    insta::assert_snapshot!(refusal(text), @r##"
    error: a server cannot be the gateway itself
     --> mantlet.yaml:2:14
      |
    2 |   me: { url: "http://localhost:8300/mcp" }
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^ the gateway listens here
      |
      = help: write the address of the server, or let the gateway listen on another port
    "##);
}
