//! What kind of text is read. Who wrote it and what it is for decides what is suspicious in it.

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// What a server says of itself and of what it offers: names, titles, descriptions, schemas, instructions.
    ToolDescription,
    /// What a model wrote to be sent to a server.
    ToolArgument,
    /// What a server answers or says on its own: results, errors, log lines, progress, standard error.
    ToolResult,
    /// What stands for the person: prompts, and questions to the model (sampling) and to the person (elicitation).
    Prompt,
    /// The contents of a resource.
    Resource,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ToolDescription,
        Self::ToolArgument,
        Self::ToolResult,
        Self::Prompt,
        Self::Resource,
    ];

    /// The name in configurations, reports and evaluation data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToolDescription => "tool_description",
            Self::ToolArgument => "tool_argument",
            Self::ToolResult => "tool_result",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }

    /// The channel of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}
