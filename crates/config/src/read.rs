//! The tree of a file to the types of `file`. A problem does not end the reading: it is told, what it spoils is
//! left out, and the rest is read again, so that one look shows all of them. What to say of each is in `hint`.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::bounds;
use crate::diagnose::{Book, Problem, quoted};
use crate::file::{File, Sandbox};
use crate::hint;
use crate::tree::{Content, Entry, Node, Scalar};

/// Reads the file. `None` when nothing of it is left to look at; the book says why. What is returned lacks
/// whatever the book has a problem with.
pub(crate) fn file(tree: &Node, book: &mut Book) -> Option<File> {
    let shared = RefCell::new(std::mem::take(book));
    let root = At {
        node: tree,
        name: Name::File,
        place: None,
        book: &shared,
    };
    let mut read = None;
    // Every failed attempt marks one more value, and marked values are passed over.
    for _ in 0..bounds::PROBLEMS.saturating_mul(2) {
        read = root.tell(File::deserialize(root)).ok();
        if read.is_some() || tree.bad.get() {
            break;
        }
    }
    *book = shared.into_inner();
    read
}

/// What a value is to its author.
#[derive(Clone, Copy)]
enum Name<'t> {
    File,
    Key(&'t str),
    Item(&'t str),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => out.write_str("the file"),
            Self::Key(key) => out.write_str(&quoted(key)),
            Self::Item(key) => write!(out, "an item of {}", quoted(key)),
        }
    }
}

/// A value that is about to be read.
#[derive(Clone, Copy)]
struct At<'t, 'b> {
    node: &'t Node,
    name: Name<'t>,
    /// The key that leads to it.
    place: Option<&'t Range<usize>>,
    book: &'b RefCell<Book>,
}

/// Why a value could not be read.
#[derive(Debug)]
enum Wrong {
    /// The book has it already.
    Told,
    /// There must be something else here.
    Kind(&'static str),
    /// There is nothing here.
    Empty,
    /// The text is none of these.
    Choice(&'static [&'static str]),
    /// A key must be there.
    Missing(&'static str),
    /// What a type said by itself.
    Said(String),
}

impl<'t> At<'t, '_> {
    /// Tells the book what went wrong with this value, unless it follows from what was told before.
    fn tell<T>(self, outcome: Result<T, Wrong>) -> Result<T, Wrong> {
        outcome.map_err(|wrong| {
            let follows = match wrong {
                Wrong::Told => return Wrong::Told,
                // The missing key is probably there, misspelt or with a wrong value.
                Wrong::Missing(_) => self.node.is_spoiled(),
                _ => false,
            };
            if !follows {
                let problem = self.problem(&wrong);
                self.book.borrow_mut().add(problem);
            }
            self.node.bad.set(true);
            Wrong::Told
        })
    }

    fn problem(self, wrong: &Wrong) -> Problem {
        let shown = self.node.shown.clone();
        let written = self.node.written().map(quoted).unwrap_or_default();
        let key = match self.name {
            Name::File => "",
            Name::Key(key) | Name::Item(key) => key,
        };
        match wrong {
            Wrong::Kind(expected) => {
                let problem = Problem::new(format!("{} must be {expected}", self.name))
                    .at(shown)
                    .label(self.kind());
                hint::kind(key, self.node)
                    .into_iter()
                    .fold(problem, Problem::help)
            }
            Wrong::Empty => {
                let at = self.place.cloned().unwrap_or(shown);
                hint::empty(key).into_iter().fold(
                    Problem::new(format!("{} has no value", self.name)).at(at),
                    Problem::help,
                )
            }
            Wrong::Choice(known) => {
                let problem = Problem::new(format!("{written} is no choice for {}", self.name)).at(shown);
                hint::choice(self.node.written().unwrap_or_default(), known).put(problem)
            }
            Wrong::Missing(field) => {
                let problem = Problem::new(format!("{} has no {}", self.name, quoted(field)));
                let problem = match self.place {
                    Some(place) => problem.at(place.clone()),
                    None => problem,
                };
                hint::missing(field).into_iter().fold(problem, Problem::help)
            }
            Wrong::Said(what) => Problem::new(format!("{}: {what}", self.name)).at(shown),
            Wrong::Told => Problem::new(format!("{} cannot be read", self.name)).at(shown),
        }
    }

    fn kind(self) -> &'static str {
        match &self.node.content {
            Content::Scalar(_) => "this is a single value",
            Content::List(_) => "this is a list",
            Content::Map(_) => "this is a mapping",
        }
    }

    fn scalar(self, expected: &'static str) -> Result<&'t Scalar, Wrong> {
        match &self.node.content {
            Content::Scalar(scalar) if scalar.is_null() => Err(Wrong::Empty),
            Content::Scalar(scalar) => Ok(scalar),
            Content::List(_) | Content::Map(_) => Err(Wrong::Kind(expected)),
        }
    }

    /// A mapping, or a word in its place.
    fn sandbox<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Map(_) => visitor.visit_newtype_struct(self),
            Content::Scalar(scalar) if scalar.text == Sandbox::OFF => visitor.visit_str(&scalar.text),
            _ if self.is_null() => Err(Wrong::Empty),
            _ => Err(Wrong::Kind("a mapping (`key: value`) or `off`")),
        }
    }

    fn is_null(self) -> bool {
        matches!(&self.node.content, Content::Scalar(scalar) if scalar.is_null())
    }

    fn map<V: Visitor<'t>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Map(entries) => visitor.visit_map(Entries {
                at: self,
                known,
                entries: entries.iter(),
                next: None,
            }),
            _ if self.is_null() => Err(Wrong::Empty),
            _ => Err(Wrong::Kind("a mapping (`key: value`)")),
        }
    }
}

impl<'de> Deserializer<'de> for At<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Scalar(_) => self.deserialize_str(visitor),
            Content::List(_) => self.deserialize_seq(visitor),
            Content::Map(_) => self.map(None, visitor),
        }
    }

    /// Whatever a single value looks like, it is taken as it was written: `8080`, `1.10` and `no` are texts
    /// where a text belongs.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(&self.scalar("a single value")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        const EXPECTED: &str = "`true` or `false`";
        let scalar = self.scalar(EXPECTED)?;
        match scalar.text.as_str() {
            "true" if scalar.is_bare() => visitor.visit_bool(true),
            "false" if scalar.is_bare() => visitor.visit_bool(false),
            _ => Err(Wrong::Kind(EXPECTED)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        const EXPECTED: &str = "a whole number";
        if name == "Whole" && !self.scalar(EXPECTED)?.is_bare() {
            return Err(Wrong::Kind(EXPECTED));
        }
        if name == Sandbox::NAME {
            return self.sandbox(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        // INVARIANT: a key without a value is no key left out: `allow:` with all its lines commented out must
        // not come to mean "everything".
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::List(items) => visitor.visit_seq(Items {
                at: self,
                items: items.iter(),
            }),
            _ if self.is_null() => Err(Wrong::Empty),
            _ => Err(Wrong::Kind("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.map(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.map(Some(known), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let text = &self.scalar("a single value")?.text;
        if !known.contains(&text.as_str()) {
            return Err(Wrong::Choice(known));
        }
        visitor.visit_enum(Variant(text))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The entries of a mapping. Unknown keys are told and passed over.
struct Entries<'t, 'b> {
    at: At<'t, 'b>,
    known: Option<&'static [&'static str]>,
    entries: std::slice::Iter<'t, Entry>,
    next: Option<&'t Entry>,
}

impl<'t> Entries<'t, '_> {
    fn is_known(&self, entry: &Entry) -> bool {
        let Some(known) = self.known else {
            return true;
        };
        if known.contains(&entry.key.as_str()) {
            return true;
        }
        let problem = Problem::new(format!("unknown key {}", quoted(&entry.key))).at(entry.span.clone());
        self.at
            .book
            .borrow_mut()
            .add(hint::unknown_key(&entry.key, known).put(problem));
        entry.value.bad.set(true);
        false
    }
}

impl<'t> MapAccess<'t> for Entries<'t, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        while let Some(entry) = self.entries.next() {
            if entry.value.bad.get() || !self.is_known(entry) {
                continue;
            }
            self.next = Some(entry);
            let key: StrDeserializer<'_, Wrong> = entry.key.as_str().into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let entry = self.next.take().ok_or(Wrong::Told)?;
        let (name, place) = (Name::Key(&entry.key), Some(&entry.span));
        let value = At {
            node: &entry.value,
            name,
            place,
            book: self.at.book,
        };
        value.tell(seed.deserialize(value))
    }
}

struct Items<'t, 'b> {
    at: At<'t, 'b>,
    items: std::slice::Iter<'t, Node>,
}

impl<'t> SeqAccess<'t> for Items<'t, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.items.by_ref().find(|node| !node.bad.get()) else {
            return Ok(None);
        };
        let name = match self.at.name {
            Name::Key(key) | Name::Item(key) => Name::Item(key),
            Name::File => Name::File,
        };
        let item = At {
            node,
            name,
            place: None,
            book: self.at.book,
        };
        item.tell(seed.deserialize(item)).map(Some)
    }
}

/// A choice: a text that is one of the known ones.
struct Variant<'t>(&'t str);

impl<'t> EnumAccess<'t> for Variant<'t> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let name: StrDeserializer<'_, Wrong> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'t> VariantAccess<'t> for Variant<'t> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong::Kind("a single value"))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::Kind("a single value"))
    }

    fn struct_variant<V: Visitor<'t>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::Kind("a single value"))
    }
}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::Said(what.to_string())
    }

    // The value itself stays out: it may have come from a reference.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Said(format!("this must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Said(format!("this must be {expected}"))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::Choice(known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

impl std::error::Error for Wrong {}
