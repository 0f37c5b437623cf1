//! The keys of the objects that the walk is in, to find one that comes twice. Not here: which keys are known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::fold::{fold, is_plain};
use crate::reject::{Reason, shown};

/// A key, unescaped, and as a careless reader sees it.
#[derive(Debug)]
pub(crate) struct Key<'t> {
    exact: Cow<'t, str>,
    /// Only where folding is more than lower case.
    folded: Option<Box<str>>,
    at: usize,
}

impl<'t> Key<'t> {
    pub(crate) fn new(exact: Cow<'t, str>, at: usize) -> Self {
        let folded = if is_plain(&exact) {
            None
        } else {
            Some(fold(&exact).into())
        };
        Self { exact, folded, at }
    }

    pub(crate) fn exact(&self) -> &str {
        &self.exact
    }

    /// Folded but for the case of ASCII letters.
    pub(crate) fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.exact)
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What stands for the key in an index.
    fn indexed(&self, twins: bool) -> Box<str> {
        if twins {
            self.folded().to_ascii_lowercase().into()
        } else {
            self.exact().into()
        }
    }
}

/// The keys of all objects that are open, one stack for all.
#[derive(Debug)]
pub(crate) struct Keys<'t> {
    seen: Vec<Key<'t>>,
}

/// The keys of one object: where they start on the stack, and an index once there are many.
#[derive(Debug)]
pub(crate) struct Opened {
    base: usize,
    /// Whether keys that fold to one are refused as well.
    twins: bool,
    /// Keyed by a secret of the process, so that nobody can choose keys that collide.
    index: Option<HashMap<Box<str>, usize>>,
}

impl<'t> Keys<'t> {
    pub(crate) fn new() -> Self {
        Self {
            seen: Vec::with_capacity(32),
        }
    }

    /// An object begins.
    pub(crate) fn open(&self, twins: bool) -> Opened {
        Opened {
            base: self.seen.len(),
            twins,
            index: None,
        }
    }

    /// An object ends.
    pub(crate) fn close(&mut self, object: &Opened) {
        self.seen.truncate(object.base);
    }

    /// Takes in a key of the innermost object, unless it was there before.
    pub(crate) fn add(&mut self, object: &mut Opened, key: Key<'t>, limit: usize) -> Result<(), Reason> {
        let mine = self.seen.get(object.base..).unwrap_or_default();
        if mine.len() >= limit {
            return Err(Reason::TooManyKeys { at: key.at, limit });
        }
        let clash = if mine.len() < FEW {
            find(mine, &key, object.twins)
        } else {
            indexed(mine, object, &key)
        };
        if let Some(earlier) = clash.and_then(|index| mine.get(index)) {
            return Err(refuse(&key, earlier));
        }
        self.seen.push(key);
        Ok(())
    }
}

/// Comparing each with each is the fastest up to here; beyond it would be quadratic.
const FEW: usize = 16;

fn find(mine: &[Key<'_>], key: &Key<'_>, twins: bool) -> Option<usize> {
    if twins {
        // Equal keys fold to equal ones, so this finds those too.
        mine.iter()
            .position(|earlier| earlier.folded().eq_ignore_ascii_case(key.folded()))
    } else {
        mine.iter().position(|earlier| earlier.exact == key.exact)
    }
}

fn indexed(mine: &[Key<'_>], object: &mut Opened, key: &Key<'_>) -> Option<usize> {
    let twins = object.twins;
    let index = object.index.get_or_insert_with(|| {
        mine.iter()
            .enumerate()
            .map(|(at, earlier)| (earlier.indexed(twins), at))
            .collect()
    });
    match index.entry(key.indexed(twins)) {
        Entry::Occupied(earlier) => Some(*earlier.get()),
        Entry::Vacant(free) => {
            free.insert(mine.len());
            None
        }
    }
}

fn refuse(key: &Key<'_>, earlier: &Key<'_>) -> Reason {
    let (at, name) = (key.at, shown(&key.exact));
    if earlier.exact == key.exact {
        Reason::DuplicateKey { at, key: name }
    } else {
        Reason::TwinKey {
            at,
            key: name,
            earlier: shown(&earlier.exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[String], twins: bool) -> Result<(), &'static str> {
        let mut keys = Keys::new();
        let mut object = keys.open(twins);
        for (at, name) in names.iter().enumerate() {
            keys.add(&mut object, Key::new(name.as_str().into(), at), 100)
                .map_err(|reason| reason.code())?;
        }
        Ok(())
    }

    #[test]
    fn a_clash_is_found_among_few_and_among_many() {
        for count in [0, 1, 14, 15, 16, 17, 18, 60] {
            for place in [0, count / 2, count] {
                for (last, exact, folded) in [
                    ("name", "duplicate_key", "duplicate_key"),
                    ("Name", "", "twin_key"),
                    ("name\0", "", "twin_key"),
                    ("n\u{200b}ame", "", "twin_key"),
                    ("other", "", ""),
                ] {
                    let mut names: Vec<String> = (0..count).map(|index| format!("k{index}")).collect();
                    names.insert(place, "name".to_owned());
                    names.push(last.to_owned());
                    assert_eq!(all(&names, false).err().unwrap_or(""), exact, "{last} {count}");
                    assert_eq!(all(&names, true).err().unwrap_or(""), folded, "{last} {count}");
                }
            }
        }
    }

    #[test]
    fn odd_keys_clash_with_odd_keys() {
        for (one, two) in [("größe", "GRÖSSE"), ("a b", "AB"), ("\u{212a}", "k"), ("ǅ", "ǆ")] {
            assert_eq!(
                all(&[one.to_owned(), two.to_owned()], true),
                Err("twin_key"),
                "{one} {two}"
            );
            assert_eq!(all(&[one.to_owned(), two.to_owned()], false), Ok(()));
        }
    }

    #[test]
    fn an_inner_object_has_keys_of_its_own() {
        let mut keys = Keys::new();
        let mut outer = keys.open(true);
        keys.add(&mut outer, Key::new("a".into(), 0), 10).unwrap();
        let mut inner = keys.open(true);
        keys.add(&mut inner, Key::new("a".into(), 1), 10).unwrap();
        keys.close(&inner);
        assert!(keys.add(&mut outer, Key::new("a".into(), 2), 10).is_err());
        assert_eq!(
            keys.add(&mut outer, Key::new("b".into(), 2), 1)
                .unwrap_err()
                .code(),
            "too_many_keys"
        );
    }
}
