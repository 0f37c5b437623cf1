//! Names for servers, made of what is at hand: a name that does not do, or a command. Whether a name does is for
//! `check` to say.

use crate::bounds;

/// A name for the server that this command starts: `npx -y @scope/server-files@1.2` is `server-files`. It is a
/// valid name, and a guess: two commands may have the same.
#[must_use]
pub fn name_for(argv: &[String]) -> String {
    let mut words = argv.iter().map(String::as_str);
    let program = words.next().map(base).unwrap_or_default();
    let told = if LAUNCHERS.contains(&program) {
        // The first word that is neither an option nor a word of the launcher's own.
        words
            .find(|word| !word.starts_with('-') && !STEPS.contains(word))
            .map_or(program, base)
    } else {
        program
    };
    near_name(told).unwrap_or_else(|| "server".to_owned())
}

/// Programs that run the one which their arguments name.
const LAUNCHERS: &[&str] = &[
    "bun", "bunx", "deno", "docker", "node", "npm", "npx", "pipx", "pnpm", "podman", "python", "python3",
    "uv", "uvx", "yarn",
];
/// What such programs are told to do.
const STEPS: &[&str] = &["dlx", "exec", "run", "tool", "x"];

/// A program or package without its folder or scope, its version and its ending.
fn base(word: &str) -> &str {
    let word = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let word = word
        .split(['@', '=', '<', '>', ':', '['])
        .next()
        .unwrap_or_default();
    let endings = [".js", ".mjs", ".cjs", ".ts", ".py", ".exe"];
    endings
        .into_iter()
        .find_map(|ending| word.strip_suffix(ending))
        .unwrap_or(word)
}

/// The name of a server that is nearest to some text.
pub(crate) fn near_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' {
            letter
        } else {
            '-'
        };
        let joins = matches!(letter, '-' | '_');
        if name.len() < bounds::SERVER_NAME && !(joins && (name.is_empty() || name.ends_with(['-', '_']))) {
            name.push(letter);
        }
    }
    name.truncate(name.trim_end_matches(['-', '_']).len());
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::server_name;

    #[test]
    fn a_command_has_a_name() {
        for (command, name) in [
            (
                "npx -y @modelcontextprotocol/server-files@2026.8.31 /srv",
                "server-files",
            ),
            (
                "uvx mcp-server-git==2026.10.19 --repository /srv",
                "mcp-server-git",
            ),
            ("uv run server.py", "server"),
            ("node /opt/My_Tools/Index.mjs", "index"),
            ("/usr/local/bin/some-server --stdio", "some-server"),
            ("docker run -i --rm registry.example/team/mcp:1.0", "mcp"),
            ("npx -y", "npx"),
            ("…", "server"),
            ("", "server"),
        ] {
            let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(name_for(&argv), name, "{command}");
        }
        assert_eq!(name_for(&[]), "server");
    }

    #[test]
    fn what_is_nearly_a_name_becomes_one() {
        for (text, name) in [
            ("Files", "files"),
            ("a__b", "a_b"),
            ("My Server!", "my-server"),
            ("_a_", "a"),
            ("a.-.b", "a-b"),
        ] {
            assert_eq!(near_name(text).as_deref(), Some(name));
        }
        assert_eq!(near_name("…"), None);
        assert_eq!(near_name(&"é".repeat(1000)), None);
    }

    proptest::proptest! {
        #[test]
        fn every_name_that_is_made_does(argv in proptest::collection::vec("\\PC{0,60}", 0..4)) {
            proptest::prop_assert_eq!(server_name(&name_for(&argv)), Ok(()));
        }
    }
}
