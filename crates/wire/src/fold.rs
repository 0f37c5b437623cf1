//! When two keys count as the same to a careless reader. Not here: which keys are compared.

/// Whether the key is visible ASCII only, so that lower-casing its letters is all there is to fold.
pub(crate) fn is_plain(key: &str) -> bool {
    key.bytes().all(|byte| matches!(byte, 0x21..=0x7e))
}

/// The key as the most careless reader may see it: no case, no blanks, nothing invisible.
///
/// Lower, upper and lower case again, one character at a time, so that characters with several partners meet
/// them all: the Kelvin sign is a `k` and the long s an `s`, as in Go's `strings.EqualFold` (CVE-2026-27896);
/// a trailing NUL is dropped, as some decoders do (GO-2026-4770).
pub(crate) fn fold(key: &str) -> String {
    let mut folded = String::with_capacity(key.len());
    for char in key.chars().filter(|char| !is_unseen(*char)) {
        if char.is_ascii() {
            folded.push(char.to_ascii_lowercase());
        } else {
            let upper = lower(char).flat_map(char::to_uppercase);
            folded.extend(
                upper
                    .flat_map(char::to_lowercase)
                    .filter(|char| !is_unseen(*char)),
            );
        }
    }
    folded
}

/// Lower case of one character, with the dotted capital I on the plain one, as Java's `equalsIgnoreCase` has it.
fn lower(char: char) -> impl Iterator<Item = char> {
    let char = if char == '\u{130}' { 'I' } else { char };
    char.to_lowercase()
}

/// Blanks, controls, and characters that leave no mark on the screen.
fn is_unseen(char: char) -> bool {
    char.is_whitespace()
        || char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_fall_off() {
        for disguised in [
            "Params",
            "PARAMS",
            "params\0",
            "\u{feff}params",
            "par\u{200b}ams",
            " params\t",
            "para\u{ad}ms",
            "param\u{17f}",
            "params\u{e0041}",
            "params\u{fe0f}",
        ] {
            assert_eq!(fold(disguised), "params", "{disguised:?}");
        }
        assert_eq!(fold("\u{212a}ey"), "key");
        assert_eq!(fold("\u{130}d"), "id");
        assert_eq!(fold("\u{131}d"), "id");
        assert_eq!(fold("ΣΑΣ"), fold("σας"));
        assert_eq!(fold("naïve"), "naïve");
        assert_ne!(fold("_meta"), fold("meta"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for char in '\0'..=char::MAX {
            let once = fold(&char.to_string());
            assert_eq!(fold(&once), once, "{char:?}");
        }
    }

    #[test]
    fn a_character_meets_its_cases() {
        for char in '\0'..=char::MAX {
            let folded = fold(&char.to_string());
            assert_eq!(fold(&char.to_uppercase().to_string()), folded, "{char:?}");
            if char != '\u{130}' {
                assert_eq!(fold(&char.to_lowercase().to_string()), folded, "{char:?}");
            }
        }
    }

    #[test]
    fn plain_is_visible_ascii() {
        assert!(is_plain("io.modelcontextprotocol/clientInfo"));
        assert!(is_plain(""));
        for odd in ["a b", "a\0", "é", "a\u{7f}"] {
            assert!(!is_plain(odd), "{odd:?}");
        }
    }
}
