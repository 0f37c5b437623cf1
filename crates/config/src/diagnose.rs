//! What is wrong with a file, told so that its author can mend it: every problem with its place, the line and
//! the nearest right thing. Which problems there are is known elsewhere.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::bounds;

/// Everything that is wrong with a configuration, in the order of the file. There is at least one problem.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    name: String,
    /// The text of the file; values that may be credentials are starred out.
    text: String,
    problems: Vec<Problem>,
    /// Problems beyond those shown.
    more: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Told>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    title: String,
    place: Option<Range<usize>>,
    label: String,
    also: Option<(Range<usize>, String)>,
    help: Vec<String>,
    line: usize,
    column: usize,
}

impl Diagnosis {
    /// The problems in the order of the file, at most twenty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The whole text of the diagnosis, with colours for a terminal or without.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
        .term_width(110);
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&renderer.render(&[problem.group(&self.name, &self.text)]));
            out.push_str("\n\n");
        }
        if self.more > 0 {
            out.push_str(&format!("and {} more of the kind\n\n", self.more));
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// A problem that has no place in the text.
    pub fn of_file(name: &str, problem: Problem) -> Self {
        Self {
            name: name.to_owned(),
            text: String::new(),
            problems: vec![problem],
            more: 0,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnosis {}

impl Problem {
    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.title
    }

    /// What to do about it.
    #[must_use]
    pub fn helps(&self) -> &[String] {
        &self.0.help
    }

    /// Line and column, both from 1 and in characters, where the problem has a place in the file.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        self.0.place.is_some().then_some((self.0.line, self.0.column))
    }

    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self(Box::new(Told {
            title: title.into(),
            ..Told::default()
        }))
    }

    pub(crate) fn at(mut self, place: Range<usize>) -> Self {
        self.0.place = Some(place);
        self
    }

    /// A few words beside the place.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = label.into();
        self
    }

    /// A second place.
    pub(crate) fn also(mut self, place: Range<usize>, label: impl Into<String>) -> Self {
        self.0.also = Some((place, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    fn group<'a>(&'a self, name: &'a str, text: &'a str) -> Group<'a> {
        let mut group = Level::ERROR
            .primary_title(self.0.title.as_str())
            .element(Origin::path(name));
        if let Some(place) = &self.0.place {
            let primary = AnnotationKind::Primary.span(place.clone());
            let primary = if self.0.label.is_empty() {
                primary
            } else {
                primary.label(self.0.label.as_str())
            };
            let mut snippet = Snippet::source(text).path(name).annotation(primary);
            if let Some((other, label)) = &self.0.also {
                snippet =
                    snippet.annotation(AnnotationKind::Context.span(other.clone()).label(label.as_str()));
            }
            group = Level::ERROR.primary_title(self.0.title.as_str()).element(snippet);
        }
        self.0.help.iter().fold(group, |group, help| {
            group.element(Level::HELP.message(help.as_str()))
        })
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Book {
    problems: Vec<Problem>,
    seen: HashSet<(String, Option<(usize, usize)>)>,
    secrets: Vec<Range<usize>>,
}

impl Book {
    /// Adds a problem, once for each place.
    pub(crate) fn add(&mut self, problem: Problem) {
        let place = problem.0.place.as_ref().map(|place| (place.start, place.end));
        if self.seen.insert((problem.0.title.clone(), place)) {
            self.problems.push(problem);
        }
    }

    /// A place of the text that no message may show.
    pub(crate) fn hide(&mut self, place: Range<usize>) {
        self.secrets.push(place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The diagnosis of this text.
    pub(crate) fn close(mut self, name: &str, text: &str) -> Diagnosis {
        self.problems
            .sort_by_key(|problem| problem.0.place.as_ref().map(|place| place.start));
        let more = self.problems.len().saturating_sub(bounds::PROBLEMS);
        self.problems.truncate(bounds::PROBLEMS);
        for problem in &mut self.problems {
            let told = &mut *problem.0;
            if let Some(place) = &mut told.place {
                *place = fit(place, text);
                (told.line, told.column) = line_and_column(text, place.start);
            }
            told.also = told.also.take().map(|(place, label)| (fit(&place, text), label));
        }
        let text = starred(text, self.secrets);
        Diagnosis {
            name: name.to_owned(),
            text,
            problems: self.problems,
            more,
        }
    }
}

/// What a user wrote, as it stands in a message: short, on one line, in back-ticks.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    // Quotes need no escape here.
    format!("`{}`", shown.replace("\\\"", "\"").replace("\\'", "'"))
}

/// The known name that is nearest to what was written, if one is near.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = written.trim().to_lowercase().replace('-', "_");
    let score = |name: &str| strsim::jaro_winkler(&plain, name);
    let best = known
        .iter()
        .copied()
        .max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.84 || strsim::osa_distance(&plain, best) <= 1).then_some(best)
}

/// A place that lies inside the text and does not cut a character.
fn fit(place: &Range<usize>, text: &str) -> Range<usize> {
    let floor = |at: usize| {
        (0..=at.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default()
    };
    let start = floor(place.start);
    start..floor(place.end).max(start)
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        .saturating_add(1);
    (line, column)
}

/// The text with the secret places starred out, byte for byte, so that all other places stay where they are.
fn starred(text: &str, mut secrets: Vec<Range<usize>>) -> String {
    secrets.sort_by_key(|place| place.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for place in secrets {
        let place = fit(&(place.start.max(done)..place.end), text);
        out.push_str(text.get(done..place.start).unwrap_or_default());
        stars(text.get(place.clone()).unwrap_or_default(), &mut out);
        done = place.end.max(done);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Stars for a text; its lines and quotes stay, and so do references, which say where a value comes from.
fn stars(text: &str, out: &mut String) {
    let mut reference = false;
    for (at, letter) in text.char_indices() {
        reference = reference || text.get(at..).is_some_and(|rest| rest.starts_with("${"));
        if reference || matches!(letter, '\n' | '\r' | '"' | '\'') {
            out.push(letter);
        } else {
            out.extend(std::iter::repeat_n('*', letter.len_utf8()));
        }
        reference = reference && letter != '}';
    }
}
