//! Who calls, as far as it was proven.

/// How a caller has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Means {
    /// The user of this machine whose process speaks on standard input.
    LocalUser,
    /// The holder of the generated token.
    Token,
    /// Nobody has: a caller on loopback where the configuration lets anyone in.
    Anonymous,
}

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// How they have shown it.
    pub means: Means,
    /// Who they are, within those means.
    pub subject: String,
}

impl Caller {
    /// A text that no other caller has.
    #[must_use]
    pub fn key(&self) -> String {
        let means = match self.means {
            Means::LocalUser => "user",
            Means::Token => "token",
            Means::Anonymous => "anonymous",
        };
        format!("{means}:{}", self.subject)
    }

    /// The person whose gateway this is.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        match self.means {
            Means::LocalUser | Means::Token => true,
            Means::Anonymous => false,
        }
    }
}
