//! The choices that a bulk operation leaves to its caller.

/// What happens to the good rows when a bad one is among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Atomicity {
    /// One transaction: the first bad row undoes everything. The default.
    #[default]
    All,
    /// One transaction a chunk: the first bad row undoes its chunk and ends the operation; earlier
    /// chunks stay. The error says how many rows that is.
    PerChunk,
    /// Every good row is written; bad ones are handed back, each with its index and error. Chunks
    /// commit one by one. One that a deferred constraint refuses is tried again in ever smaller parts, so
    /// a row can be refused for the one it refers to when that comes later. What fails for another reason than a bad row ends the operation, and the error
    /// names the bad rows until then.
    BestEffort,
}

/// What happens when rows of one upsert share a key.
///
/// Databases disagree about it: Postgres refuses the statement, SQLite and MySQL let the later row
/// win column by column. Here it is a choice, and its meaning is the same everywhere.
///
/// It is made before anything is sent, so keys are compared as values: text byte by byte, and not by the
/// collation of its column. Keys that only the database takes for equal, such as `dl` and `DL` under
/// SQLite's `COLLATE NOCASE`, pass as different ones. Then SQLite lets the later row win, which its outcome
/// [`Updated`](crate::Upserted::Updated) shows, whatever was chosen here; Postgres refuses the upsert.
/// Fold such keys before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateKeys {
    /// Refuse the whole operation before anything is sent. The default.
    #[default]
    Error,
    /// Write the first row of each key and drop the others.
    KeepFirst,
    /// Write the last row of each key and drop the others.
    KeepLast,
}
