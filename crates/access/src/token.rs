//! The generated bearer token: made once, kept in a file that only its owner reads, compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

const MARK: &str = "mtl_";

/// A token. Neither shown by `Debug` nor serialised; wiped when dropped.
pub struct LocalToken {
    text: String,
}

impl LocalToken {
    /// A token out of 256 random bits.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self {
            text: format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes)),
        }
    }

    /// A token as a file has it; `None` when it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?;
        (bytes.len() == 32).then(|| Self {
            text: text.to_owned(),
        })
    }

    /// Whether what was shown is this token. Takes as long whatever was shown (but for its length).
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        self.text.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// The text, to be written to the token file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for LocalToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("LocalToken(…)")
    }
}

impl Drop for LocalToken {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_matches() {
        let token = LocalToken::from_random([7; 32]);
        let text = token.expose().to_owned();
        assert!(token.matches(&text));
        assert!(LocalToken::parse(&format!(" {text}\n")).unwrap().matches(&text));
        let half = text.split_at(20).0;
        for wrong in ["", "mtl_", half, &text.to_uppercase(), &format!("{text} ")] {
            assert!(!token.matches(wrong), "{wrong}");
            assert!(
                LocalToken::parse(wrong.trim())
                    .is_none_or(|other| other.expose() != wrong || other.matches(&text))
            );
        }
        assert!(!format!("{token:?}").contains(&text));
    }
}
