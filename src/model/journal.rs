//! What the engine keeps on disk of its windows.

/// A piece of the engine's journal: what its windows took in since the piece before, or all that they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalPiece {
    /// As the engine wrote it; nobody else reads it.
    pub bytes: Vec<u8>,
    /// It stands for every piece before it.
    pub is_whole: bool,
    /// What the flow remembers of its sources, if that is to be written again.
    pub memory: Vec<u8>,
}
