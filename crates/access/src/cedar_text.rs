//! The simple form of a policy, allow and refuse lists per server, and the Cedar text that it means. Pure text;
//! it is parsed, validated and evaluated in `authorize.rs`.

/// Patterns per kind of thing: `*` stands for any run of characters, `\*` for a star; the rest is literal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Tools that may be called.
    pub tools: Vec<String>,
    /// Resources, by URI, that may be read and watched.
    pub resources: Vec<String>,
    /// Prompts that may be fetched.
    pub prompts: Vec<String>,
    /// Methods beyond the specification.
    pub methods: Vec<String>,
    /// What the server may ask the client: `sampling`, `elicitation`, `roots`.
    pub asks: Vec<String>,
}

/// The rules of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRules {
    /// The server.
    pub name: String,
    /// What is permitted to whoever may call at all. `None`: the owner may do everything, nobody else anything.
    pub allow: Option<Lists>,
    /// What is refused to everybody, whatever else is said.
    pub refuse: Lists,
}

/// The schema that all generated policies are validated against.
pub(crate) const SCHEMA: &str = r#"
entity Caller = { "owner": Bool };
entity Server;
entity Tool in [Server] = { "name": String };
entity Resource in [Server] = { "name": String };
entity Prompt in [Server] = { "name": String };
entity Method in [Server] = { "name": String };
action "ListTools", "ListResources", "ListPrompts", "UseServer", "UseTask", "Sample", "Elicit", "ListRoots", "Complete"
  appliesTo { principal: [Caller], resource: [Server, Prompt, Resource] };
action "CallTool" appliesTo { principal: [Caller], resource: [Tool] };
action "ReadResource", "SubscribeResource" appliesTo { principal: [Caller], resource: [Resource] };
action "GetPrompt" appliesTo { principal: [Caller], resource: [Prompt] };
action "Other" appliesTo { principal: [Caller], resource: [Method] };
"#;

/// The policies of one server.
pub(crate) fn policies(rules: &ServerRules) -> String {
    let mut text = String::new();
    match &rules.allow {
        None => {
            policy(
                &mut text,
                rules,
                "owner",
                "permit",
                "principal",
                "action",
                "{ principal.owner }",
            );
        }
        Some(lists) => allow(&mut text, rules, lists),
    }
    named(&mut text, rules, "refuse", "forbid", &rules.refuse);
    asks(&mut text, rules, "refuse", "forbid", &rules.refuse.asks);
    text
}

fn allow(text: &mut String, rules: &ServerRules, lists: &Lists) {
    let always = "{ true }";
    policy(
        text,
        rules,
        "allow.use",
        "permit",
        "principal",
        r#"action == Action::"UseServer""#,
        always,
    );
    for (set, what, action) in [
        (
            &lists.tools,
            "tools",
            r#"action in [Action::"ListTools", Action::"UseTask"]"#,
        ),
        (
            &lists.resources,
            "resources",
            r#"action == Action::"ListResources""#,
        ),
        (&lists.prompts, "prompts", r#"action == Action::"ListPrompts""#),
    ] {
        if !set.is_empty() {
            policy(
                text,
                rules,
                &format!("allow.list.{what}"),
                "permit",
                "principal",
                action,
                always,
            );
        }
    }
    named(text, rules, "allow", "permit", lists);
    asks(text, rules, "allow", "permit", &lists.asks);
}

/// One policy for each kind of named thing.
fn named(text: &mut String, rules: &ServerRules, side: &str, effect: &str, lists: &Lists) {
    for (patterns, what, kind, action) in [
        (&lists.tools, "tools", "Tool", r#"action == Action::"CallTool""#),
        (
            &lists.resources,
            "resources",
            "Resource",
            r#"action in [Action::"ReadResource", Action::"SubscribeResource", Action::"Complete"]"#,
        ),
        (
            &lists.prompts,
            "prompts",
            "Prompt",
            r#"action in [Action::"GetPrompt", Action::"Complete"]"#,
        ),
        (
            &lists.methods,
            "methods",
            "Method",
            r#"action == Action::"Other""#,
        ),
    ] {
        if patterns.is_empty() {
            continue;
        }
        let any: Vec<String> = patterns
            .iter()
            .map(|pattern| format!("resource.name like \"{}\"", like(pattern)))
            .collect();
        let when = format!("{{ resource is {kind} && ({}) }}", any.join(" || "));
        policy(
            text,
            rules,
            &format!("{side}.{what}"),
            effect,
            "principal",
            action,
            &when,
        );
    }
}

fn asks(text: &mut String, rules: &ServerRules, side: &str, effect: &str, asks: &[String]) {
    for (ask, action) in [
        ("sampling", "Sample"),
        ("elicitation", "Elicit"),
        ("roots", "ListRoots"),
    ] {
        if asks.iter().any(|named| named == ask || named == "*") {
            let action = format!("action == Action::\"{action}\"");
            policy(
                text,
                rules,
                &format!("{side}.asks.{ask}"),
                effect,
                "principal",
                &action,
                "{ true }",
            );
        }
    }
}

fn policy(
    text: &mut String,
    rules: &ServerRules,
    id: &str,
    effect: &str,
    principal: &str,
    action: &str,
    when: &str,
) {
    let id = quoted(&format!("{}.{id}", rules.name));
    let server = quoted(&rules.name);
    text.push_str(&format!(
        "@id({id})\n{effect} ({principal}, {action}, resource in Server::{server}) when {when};\n\n"
    ));
}

/// A Cedar string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' ' | '!' | '#'..='[' | ']'..='~' => out.push(letter),
            other => out.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
        }
    }
    out
}

/// A pattern of ours as a Cedar pattern: `*` is a wildcard in both, `\*` a star in both; anything else is escaped.
fn like(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => out.push('*'),
            '\\' if letters.peek() == Some(&'*') => {
                letters.next();
                out.push_str("\\*");
            }
            other => out.push_str(&escaped(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}
