//! The options of a launcher, read by a table of those that are known. An option that is not in the table ends the
//! reading with an error: whoever does not know whether it takes a value would misread all that follows.

/// The options that are known, each written with its dashes.
pub(super) struct Table {
    /// Who has them, for messages.
    pub(super) launcher: &'static str,
    /// Those that stand alone.
    pub(super) bare: &'static [&'static str],
    /// Those with a value, in the same word or the next.
    pub(super) valued: &'static [&'static str],
}

/// One option, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// As the table has it.
    pub(super) name: &'static str,
    /// Its value; of one that stands alone what was written behind `=`.
    pub(super) value: Option<String>,
}

impl Given {
    /// Its value, or nothing.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// Whether an option that stands alone is on.
    pub(super) fn is_on(&self) -> bool {
        !matches!(
            self.value.as_deref(),
            Some("false" | "False" | "FALSE" | "f" | "F" | "0")
        )
    }
}

impl Table {
    /// Reads up to the first word that is no option (`--` is read over). Returns the options, and the words from there.
    ///
    /// # Errors
    /// In words: an option that is not known, or has no value.
    pub(super) fn read<'a>(&self, words: &'a [String]) -> Result<(Vec<Given>, &'a [String]), String> {
        let mut given = Vec::new();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            if word == "--" {
                return Ok((given, after));
            }
            if word == "-" || !word.starts_with('-') {
                return Ok((given, rest));
            }
            rest = after;
            if word.starts_with("--") {
                rest = self.long(word, rest, &mut given)?;
            } else {
                rest = self.short(word, rest, &mut given)?;
            }
        }
        Ok((given, rest))
    }

    fn long<'a>(
        &self,
        word: &str,
        rest: &'a [String],
        given: &mut Vec<Given>,
    ) -> Result<&'a [String], String> {
        let (written, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        if let Some(name) = known(self.bare, written) {
            given.push(Given { name, value });
            return Ok(rest);
        }
        let name = known(self.valued, written).ok_or_else(|| self.unknown(written))?;
        self.with_value(name, value, rest, given)
    }

    /// `-it`, `-p x`, `-px`: letters that stand alone, and at the end maybe one with a value.
    fn short<'a>(
        &self,
        word: &str,
        rest: &'a [String],
        given: &mut Vec<Given>,
    ) -> Result<&'a [String], String> {
        let mut letters = word.trim_start_matches('-').chars();
        while let Some(letter) = letters.next() {
            let written = format!("-{letter}");
            if let Some(name) = known(self.bare, &written) {
                let behind = letters.as_str().strip_prefix('=').map(str::to_owned);
                let ends = behind.is_some();
                given.push(Given { name, value: behind });
                if ends {
                    break;
                }
                continue;
            }
            let name = known(self.valued, &written).ok_or_else(|| self.unknown(&written))?;
            let behind = letters.as_str();
            let behind = behind.strip_prefix('=').unwrap_or(behind);
            let value = (!letters.as_str().is_empty()).then(|| behind.to_owned());
            return self.with_value(name, value, rest, given);
        }
        Ok(rest)
    }

    fn with_value<'a>(
        &self,
        name: &'static str,
        value: Option<String>,
        rest: &'a [String],
        given: &mut Vec<Given>,
    ) -> Result<&'a [String], String> {
        let (value, rest) = match (value, rest) {
            (Some(value), rest) => (value, rest),
            (None, [value, rest @ ..]) => (value.clone(), rest),
            (None, []) => return Err(format!("`{name}` of `{}` has no value", self.launcher)),
        };
        given.push(Given {
            name,
            value: Some(value),
        });
        Ok(rest)
    }

    fn unknown(&self, written: &str) -> String {
        format!(
            "the option `{written}` of `{}` is not known to Mantlet: leave it out, or install the package yourself \
             and write its program as the command",
            self.launcher
        )
    }
}

fn known(table: &'static [&'static str], written: &str) -> Option<&'static str> {
    table.iter().find(|name| **name == written).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        launcher: "run",
        bare: &["-i", "-t", "--rm", "--privileged"],
        valued: &["-p", "--package", "-e"],
    };

    fn read(words: &str) -> Result<(Vec<String>, String), String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let (given, rest) = TABLE.read(&words)?;
        let given = given
            .into_iter()
            .map(|given| match given.value {
                Some(value) => format!("{}:{value}", given.name),
                None => given.name.to_owned(),
            })
            .collect();
        Ok((given, rest.join(" ")))
    }

    #[test]
    fn forms_of_options() {
        for (words, given, rest) in [
            ("-it --rm x -i", "-i -t --rm", "x -i"),
            (
                "-p a -pb -p=c --package d --package=e x",
                "-p:a -p:b -p:c --package:d --package:e",
                "x",
            ),
            ("-itp a x", "-i -t -p:a", "x"),
            ("-eA=b=c x", "-e:A=b=c", "x"),
            (
                "--privileged=false --rm=true x",
                "--privileged:false --rm:true",
                "x",
            ),
            ("-i -- -x y", "-i", "-x y"),
            ("-p -- x", "-p:--", "x"),
            ("- x", "", "- x"),
            ("", "", ""),
        ] {
            let (read, left) = read(words).unwrap();
            assert_eq!((read.join(" ").as_str(), left.as_str()), (given, rest), "{words}");
        }
    }

    #[test]
    fn what_is_not_known_ends_the_reading() {
        for words in ["--new x", "-x", "-ix", "--privileged-not", "-p", "--package"] {
            assert!(read(words).is_err(), "{words}");
        }
    }
}
