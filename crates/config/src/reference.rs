//! `${env:NAME}` in values: what it stands for is asked of a [`Lookup`] and put in its place. A value that came
//! in this way is used but never shown; messages show the reference.

use crate::bounds;
use crate::diagnose::{Book, Problem, quoted};
use crate::tree::{Content, Node, Scalar};

/// Where references and the home directory are looked up.
pub trait Lookup {
    /// The value of a variable of the environment; `None` when it is not set, or is no UTF-8.
    fn environment(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Lookup for F {
    fn environment(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Lookup for ProcessEnvironment {
    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Puts in what every reference stands for. A value whose reference fails is marked and left as it was.
pub(crate) fn resolve(tree: &mut Node, lookup: &dyn Lookup, book: &mut Book) {
    let mut total = 0;
    walk(tree, &mut |node: &mut Node| {
        let shown = node.shown.clone();
        let Content::Scalar(scalar) = &mut node.content else {
            return;
        };
        let put = fill(&scalar.text, lookup).and_then(|filled| {
            total = filled
                .as_ref()
                .map_or(total, |text| text.len().saturating_add(total));
            if total > bounds::ALL_RESOLVED_BYTES {
                Err(too_long())
            } else {
                Ok(filled)
            }
        });
        match put {
            Ok(Some(text)) => put_in(scalar, text),
            Ok(None) => {}
            Err(problem) => {
                node.bad.set(true);
                book.add(problem.at(shown));
            }
        }
    });
}

fn walk(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    visit(node);
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::List(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Content::Map(entries) => entries.iter_mut().for_each(|entry| walk(&mut entry.value, visit)),
    }
}

fn put_in(scalar: &mut Scalar, text: String) {
    scalar.written = Some(std::mem::replace(&mut scalar.text, text));
}

/// The text with its references filled in; `None` when there is nothing to fill in.
fn fill(text: &str, lookup: &dyn Lookup) -> Result<Option<String>, Problem> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(plain) = before.strip_suffix('$') {
            out.push_str(plain);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (reference, after) = after.split_once('}').ok_or_else(unclosed)?;
        out.push_str(before);
        out.push_str(&value_of(reference, lookup)?);
        if out.len() > bounds::RESOLVED_BYTES {
            return Err(too_long());
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Some(out))
}

fn value_of(reference: &str, lookup: &dyn Lookup) -> Result<String, Problem> {
    let name = match reference.split_once(':') {
        Some(("env", name)) if is_name(name) => name,
        Some(("env", name)) => {
            return Err(Problem::new(format!("{} is no name of a variable", quoted(name)))
                .help("a name has letters, digits and `_`, and does not begin with a digit"));
        }
        Some(("secret", name)) => return Err(no_vault(name)),
        _ => return Err(no_reference(reference)),
    };
    match lookup.environment(name) {
        Some(value) if value.is_empty() => {
            Err(Problem::new(format!("the variable {} is empty", quoted(name)))
                .help("give it a value where the gateway starts"))
        }
        Some(value) => Ok(value),
        None => Err(Problem::new(format!("the variable {} is not set", quoted(name)))
            .help(format!("set it where the gateway starts: `export {name}=…`"))),
    }
}

/// POSIX.1-2024 §8.1: what portable names of variables are made of.
pub(crate) fn is_name(name: &str) -> bool {
    let is_rest = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !name.is_empty() && !name.starts_with(|letter: char| letter.is_ascii_digit()) && name.chars().all(is_rest)
}

fn no_vault(name: &str) -> Problem {
    let variable: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    let written = quoted(&format!("${{secret:{name}}}"));
    let problem = Problem::new(format!(
        "{written} cannot be looked up: this version has no vault yet"
    ));
    if is_name(&variable) {
        problem.help(format!(
            "keep the value in a variable of the environment and write `${{env:{variable}}}`"
        ))
    } else {
        problem.help("keep the value in a variable of the environment and write `${env:NAME}`")
    }
}

fn no_reference(reference: &str) -> Problem {
    let problem = Problem::new(format!(
        "{} is no reference",
        quoted(&format!("${{{reference}}}"))
    ));
    if is_name(reference) {
        problem.help(format!(
            "write `${{env:{reference}}}` for the variable, or `$${{{reference}}}` for the plain text"
        ))
    } else {
        problem.help("write `${env:NAME}` for a variable of the environment, or `$${` for a plain `${`")
    }
}

fn unclosed() -> Problem {
    Problem::new("a reference begins with `${` and does not end with `}`")
        .help("write `${env:NAME}`, or `$${` for a plain `${`")
}

fn too_long() -> Problem {
    Problem::new("the variables that this value refers to are too long").help(format!(
        "a value may have {} KiB, all of them {} KiB",
        bounds::RESOLVED_BYTES / 1024,
        bounds::ALL_RESOLVED_BYTES / 1024
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<Option<String>, String> {
        let lookup = |name: &str| match name {
            "KEY" => Some("s3cret".to_owned()),
            "NESTED" => Some("${env:KEY}".to_owned()),
            "EMPTY" => Some(String::new()),
            "HUGE" => Some("x".repeat(bounds::RESOLVED_BYTES + 1)),
            _ => None,
        };
        fill(text, &lookup).map_err(|problem| problem.message().to_owned())
    }

    #[test]
    fn references_are_filled_in() {
        assert_eq!(filled("plain $HOME {x} $$"), Ok(None));
        assert_eq!(
            filled("a ${env:KEY} b ${env:KEY}"),
            Ok(Some("a s3cret b s3cret".to_owned()))
        );
        assert_eq!(
            filled("$${env:KEY} $$${env:KEY}"),
            Ok(Some("${env:KEY} $${env:KEY}".to_owned()))
        );
    }

    #[test]
    fn a_value_that_came_in_is_not_read_again() {
        assert_eq!(filled("${env:NESTED}"), Ok(Some("${env:KEY}".to_owned())));
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for text in [
            "${env:MISSING}",
            "${env:EMPTY}",
            "${env:HUGE}",
            "${env:}",
            "${env:A B}",
            "${env:1}",
            "${env:KEY",
            "${",
            "${}",
            "${KEY}",
            "${ENV:KEY}",
            "${secret:crm}",
            "${file:/etc/passwd}",
            "${env:${env:KEY}}",
            "${env:A\0}",
        ] {
            let refused = filled(text).unwrap_err();
            assert!(!refused.contains("s3cret"), "{text}");
        }
    }
}
