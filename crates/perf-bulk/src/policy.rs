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

/// The way that rows take to Postgres.
///
/// The other databases have one way that is best for every number of rows, and take it whatever is chosen
/// here. A way that cannot be taken gives way to the next slower one: `Copy` and `Staged` inside a
/// transaction of the caller's, where an interrupted COPY would end the connection under it, and
/// `Unnest` for columns of arrays and of types that the database has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// What is fastest for this number of rows and columns over this transport. The default.
    #[default]
    Auto,
    /// `VALUES`, with a parameter for every value.
    Values,
    /// `unnest`, with a parameter for every column.
    Unnest,
    /// A binary COPY into the table itself. An upsert takes the staged one instead.
    Copy,
    /// A binary COPY into a temporary table, and one statement from there. An insert needs no such
    /// detour and takes the plain one.
    Staged,
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
