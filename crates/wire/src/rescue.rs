//! The id of a text that was refused, so that its sender gets an answer. Not here: anything else of that text.

use crate::caps::Caps;
use crate::fold::fold;
use crate::id::Id;
use crate::raw::Raw;
use crate::skip::{Inside, blanks};
use crate::text::is_whole;

/// The id, if the text has the outline of one object with exactly one key that anybody could take for `id`.
///
/// Strings and brackets have to match up to the end, so a text that was cut off has no id here.
pub(crate) fn id(bytes: &[u8], caps: &Caps) -> Option<Id> {
    let start = blanks(bytes, 0);
    if bytes.get(start) != Some(&b'{') {
        return None;
    }
    let mut inside = Inside::new(bytes, start);
    let mut found = None;
    while let Some(member) = inside.member() {
        let key = member.key.of(bytes);
        let key = is_whole(key).then(|| Raw::of(key).text()).flatten()?;
        if key == "id" && found.is_none() {
            found = Some(member.value);
        } else if fold(&key) == "id" {
            return None;
        }
    }
    if blanks(bytes, inside.closed()? + 1) != bytes.len() {
        return None;
    }
    let raw = Raw::of(found?.of(bytes));
    is_whole(raw.as_bytes())
        .then(|| raw.id())
        .flatten()
        .filter(|id| fits(id, caps))
}

/// Whether the id is within its cap.
pub(crate) fn fits(id: &Id, caps: &Caps) -> bool {
    match id {
        Id::Number(_) => true,
        Id::Text(text) => text.len() <= caps.id_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_id_is_found() {
        let id = |text: &str| id(text.as_bytes(), &Caps::default());
        assert_eq!(
            id(r#" {"a":[{"id":2}],"id":1,"a":{"b":"}"}} "#),
            Some(Id::from(1))
        );
        assert_eq!(id(r#"{"\u0069d":"x\n"}"#), Some(Id::from("x\n")));
        for none in [
            r#"{"id":1,"id":1}"#,
            r#"{"id":1,"ID":2}"#,
            r#"{"Id":1}"#,
            r#"{"id":1,"i\u0064\u0000":2}"#,
            r#"{"id":1.0}"#,
            r#"{"id":null}"#,
            r#"{"id":-0}"#,
            r#"{"id":"\ud800"}"#,
            r#"{"id":"\x"}"#,
            "{\"id\":\"a\nb\"}",
            r#"{"id":1"#,
            r#"{"id":1} x"#,
            r#"{"id":1}{"id":2}"#,
            r#"{"id":1,"a":"unclosed}"#,
            r#"[{"id":1}]"#,
            r#"{"params":{"id":1}}"#,
            r#"{"a" 1,"id":1}"#,
            "",
            "{",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
        assert_eq!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(2000))), None);
    }
}
