//! How much of everything one message may hold. Not here: the caps on rates, queues and time.

/// The caps under which a text is read. Each has its own refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of a whole message.
    pub message_bytes: usize,
    /// Objects and arrays within each other. Never more than [`Caps::DEEPEST`], whatever is asked for.
    pub depth: usize,
    /// Bytes of one string as it is written (escapes count as written).
    pub string_bytes: usize,
    /// Keys of one object.
    pub object_keys: usize,
    /// Bytes of a request id.
    pub id_bytes: usize,
    /// Messages in a batch.
    pub batch: usize,
    /// Bytes of one number as it is written.
    pub number_bytes: usize,
}

impl Caps {
    /// The deepest nesting that can be configured.
    ///
    /// The parser has no recursion, but parsers behind us do: many stop at 128, some overflow their stack.
    pub const DEEPEST: usize = 120;

    /// The depth that is in force.
    pub(crate) fn depth_in_force(&self) -> usize {
        self.depth.min(Self::DEEPEST)
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            message_bytes: 4 * MIB,
            depth: 64,
            string_bytes: 4 * MIB,
            object_keys: 10_000,
            id_bytes: 1024,
            batch: 50,
            number_bytes: 64,
        }
    }
}

const MIB: usize = 1024 * 1024;
