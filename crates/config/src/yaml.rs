//! YAML text to a tree that remembers where everything stands. The subset of YAML that a configuration needs:
//! one document, keys that are text and unique, no tags, no merge keys; repeated values (`*alias`) are counted.
//! What the values mean is not known here.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use crate::bounds;
use crate::diagnose::{Book, Problem, quoted};
use crate::tree::{Content, Entry, Node, Scalar, height, size};
use crate::veil;

mod syntax;

/// Reads one document. `None` when it cannot be made sense of; the book says why.
pub(crate) fn compose(text: &str, book: &mut Book) -> Option<Node> {
    if text.len() > bounds::FILE_BYTES {
        let most = bounds::FILE_BYTES / 1024;
        book.add(Problem::new(format!("the file is larger than {most} KiB")).help("give a smaller file"));
        return None;
    }
    // One more than what is accepted: the composer's own count gives the better message.
    let limit = bounds::NESTING.saturating_add(1);
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: limit,
        block_nesting_limit: limit,
    };
    let (frames, anchors) = (Vec::new(), HashMap::new());
    let mut composer = Composer {
        text,
        book,
        frames,
        anchors,
        nodes: 0,
        repeated: 0,
        root: None,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let taken = match event {
            Ok((event, span)) => composer.take(event, &span),
            Err(error) => Err(composer.broken(&error)),
        };
        if let Err(problem) = taken {
            composer.book.add(problem);
            return None;
        }
    }
    let root = composer.root.take();
    if root.is_none() {
        book.add(nothing_there());
    }
    root
}

/// Collections that have begun and not ended.
enum Frame {
    List {
        start: Range<usize>,
        anchor: usize,
        items: Vec<Node>,
    },
    Map {
        start: Range<usize>,
        anchor: usize,
        entries: Vec<Entry>,
        seen: HashMap<String, Range<usize>>,
        key: Key,
    },
}

/// What a mapping waits for.
enum Key {
    /// A key.
    Awaited,
    /// The value of this one.
    Taken(String, Range<usize>),
    /// The value of a key that stood before: it is read and forgotten.
    Again(String),
}

struct Composer<'a> {
    text: &'a str,
    book: &'a mut Book,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// Bytes of text that `*alias` has repeated.
    repeated: usize,
    root: Option<Node>,
}

impl Composer<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = one_line(self.text, span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                no_tag(tag.is_some(), &at)?;
                if self.is_secret() {
                    self.book.hide(span.byte_range().unwrap_or_default());
                }
                let plain = style == ScalarStyle::Plain;
                self.finish(
                    Content::Scalar(Scalar {
                        text: text.into_owned(),
                        written: None,
                        plain,
                    }),
                    at,
                    anchor,
                )
            }
            Event::SequenceStart(style, anchor, tag) => {
                no_tag(tag.is_some(), &at)?;
                let start = self.start_of(style, at);
                self.begin(Frame::List {
                    start,
                    anchor,
                    items: Vec::new(),
                })
            }
            Event::MappingStart(style, anchor, tag) => {
                no_tag(tag.is_some(), &at)?;
                let start = self.start_of(style, at);
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.begin(Frame::Map {
                    start,
                    anchor,
                    entries,
                    seen,
                    key: Key::Awaited,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&at),
            Event::Alias(anchor) => self.repeat(anchor, at),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Problem::new("the file holds more than one document")
                    .at(at)
                    .help("remove what follows `---`"))
            }
            _ => Ok(()),
        }
    }

    /// What is written over several lines is shown by its key, or by its first line.
    fn start_of(&self, style: StructureStyle, at: Range<usize>) -> Range<usize> {
        match (style, self.frames.last()) {
            (
                StructureStyle::Block,
                Some(Frame::Map {
                    key: Key::Taken(_, span),
                    ..
                }),
            ) => span.clone(),
            _ => at,
        }
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Problem> {
        self.frames.push(frame);
        if self.frames.len() > bounds::NESTING {
            let at = match self.frames.last() {
                Some(Frame::List { start, .. } | Frame::Map { start, .. }) => start.clone(),
                None => 0..0,
            };
            return Err(too_deep().at(at));
        }
        Ok(())
    }

    fn end(&mut self, closing: &Range<usize>) -> Result<(), Problem> {
        let (content, start, anchor) = match self.frames.pop() {
            Some(Frame::List { start, anchor, items }) => (Content::List(items), start, anchor),
            Some(Frame::Map {
                start,
                anchor,
                entries,
                ..
            }) => (Content::Map(entries), start, anchor),
            None => return Ok(()),
        };
        // A collection in brackets on one line is shown whole.
        let whole = start.start..closing.end.max(start.end);
        let bracketed = self
            .text
            .get(start.clone())
            .is_some_and(|text| text.starts_with(['[', '{']));
        let one_line = bracketed
            && self
                .text
                .get(whole.clone())
                .is_some_and(|text| !text.contains('\n'));
        self.finish(content, if one_line { whole } else { start }, anchor)
    }

    fn repeat(&mut self, anchor: usize, at: Range<usize>) -> Result<(), Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Problem::new("a value repeats itself")
                .at(at)
                .label("this stands inside what it repeats"));
        };
        let node = node.clone();
        if self.frames.len().saturating_add(height(&node)) > bounds::NESTING {
            return Err(too_deep().at(at));
        }
        let (nodes, bytes) = size(&node);
        // One more is counted when it is placed.
        self.nodes = self.nodes.saturating_add(nodes).saturating_sub(1);
        self.repeated = self.repeated.saturating_add(bytes);
        if self.repeated > bounds::FILE_BYTES {
            return Err(Problem::new("`*` repeats too much text")
                .at(at)
                .help("repeat less"));
        }
        self.place(node, &at)
    }

    fn finish(&mut self, content: Content, shown: Range<usize>, anchor: usize) -> Result<(), Problem> {
        let node = Node {
            content,
            shown: shown.clone(),
            bad: Cell::new(false),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, &shown)
    }

    /// Whether what comes next stands under a key whose values are usually credentials.
    fn is_secret(&self) -> bool {
        if let Some(Frame::Map {
            key: Key::Awaited, ..
        }) = self.frames.last()
        {
            return false;
        }
        let mut above = None;
        let keys = self.frames.iter().filter_map(|frame| match frame {
            Frame::Map {
                key: Key::Taken(name, _) | Key::Again(name),
                ..
            } => Some(name.as_str()),
            _ => None,
        });
        keys.into_iter().any(|key| veil::hides(key, above.replace(key)))
    }

    /// A place where the text is no YAML.
    fn broken(&mut self, error: &ScanError) -> Problem {
        let at = error
            .marker()
            .byte_offset()
            .unwrap_or_default()
            .min(self.text.len());
        let line = syntax::line_around(self.text, at);
        // What stands on such a line never became a value, so its key is looked at as text.
        let value = self
            .text
            .get(line.clone())
            .and_then(|text| text.find(':').map(|colon| text.split_at(colon)));
        if let Some((key, _)) = value
            && (self.is_secret() || veil::hides(key.trim_matches(|c: char| !c.is_alphanumeric()), None))
        {
            self.book
                .hide(line.start.saturating_add(key.len()).saturating_add(1)..line.end);
        }
        syntax::problem(error, self.text.get(line).unwrap_or_default()).at(at..at)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node, at: &Range<usize>) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > bounds::NODES {
            let most = bounds::NODES;
            return Err(Problem::new(format!("the file holds more than {most} values"))
                .at(at.clone())
                .help("what `*` repeats counts each time: write less, or repeat less"));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match frame {
            Frame::List { items, .. } => items.push(node),
            Frame::Map {
                entries, seen, key, ..
            } => match std::mem::replace(key, Key::Awaited) {
                Key::Taken(name, span) => entries.push(Entry {
                    key: name,
                    span,
                    value: node,
                }),
                Key::Again(_) => {}
                Key::Awaited => {
                    let name = key_text(node, at)?;
                    *key = match seen.entry(name) {
                        Vacant(new) => {
                            let name = new.key().clone();
                            new.insert(at.clone());
                            Key::Taken(name, at.clone())
                        }
                        Occupied(first) => {
                            self.book.add(twice(first.key(), at, first.get().clone()));
                            Key::Again(first.key().clone())
                        }
                    };
                }
            },
        }
        Ok(())
    }
}

fn key_text(node: Node, at: &Range<usize>) -> Result<String, Problem> {
    match node.content {
        Content::Scalar(scalar) if scalar.plain && scalar.text == "<<" => {
            Err(Problem::new("merge keys (`<<`) are not supported")
                .at(at.clone())
                .help("write the keys out, or repeat a whole value with `&name` and `*name`"))
        }
        Content::Scalar(scalar) if !scalar.is_null() => Ok(scalar.text),
        Content::Scalar(_) => Err(Problem::new("a key is missing before `:`").at(at.clone())),
        Content::List(_) | Content::Map(_) => Err(Problem::new("a key must be a single text").at(at.clone())),
    }
}

fn twice(name: &str, at: &Range<usize>, first: Range<usize>) -> Problem {
    Problem::new(format!("the key {} stands twice", quoted(name)))
        .at(at.clone())
        .label("again here")
        .also(first, "first here")
        .help("which one counts would be a guess: keep one")
}

fn no_tag(tagged: bool, at: &Range<usize>) -> Result<(), Problem> {
    if tagged {
        return Err(Problem::new("tags (`!…`) are not supported")
            .at(at.clone())
            .help("remove the tag; a text that begins with `!` belongs in quotes"));
    }
    Ok(())
}

fn too_deep() -> Problem {
    Problem::new(format!("values are nested more than {} deep", bounds::NESTING))
}

pub(crate) fn nothing_there() -> Problem {
    Problem::new("the file is empty")
        .help("a first file has a server: `servers: { NAME: { command: [PROGRAM, ARGUMENT] } }`")
}

/// The place of an event, cut at the end of its first line.
fn one_line(text: &str, span: &Span) -> Range<usize> {
    let Some(range) = span.byte_range() else {
        return 0..0;
    };
    let shown = text.get(range.clone()).unwrap_or_default();
    let first = shown.lines().next().unwrap_or_default().trim_end();
    range.start..range.start.saturating_add(first.len())
}
