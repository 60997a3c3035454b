#![doc = include_str!("../README.md")]

mod batcher;
mod error;
mod export;
mod loader;
mod parallel;
mod sink;
pub mod tasks;
mod wall;

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod backend;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod chunk;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod course;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod insert;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod lookup;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod map;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod policy;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod progress;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod report;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod retry;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod row;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod table;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod upsert;

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use backend::Backend;
#[cfg(feature = "mysql")]
pub use backend::mysql::MySqlCells;
#[cfg(feature = "postgres")]
pub use backend::postgres::PgCells;
#[cfg(feature = "sqlite")]
pub use backend::sqlite::{SqliteCells, SqliteValue};
pub use batcher::{
    BatchHandler, Batcher, BatcherBuilder, Handled, Refusal, Refused, Submit, Ticket, WhenFull,
};
pub use error::{
    BatchError, BoxError, BulkError, ConstraintKind, ExportError, LoadError, TaskError,
};
#[cfg(feature = "csv")]
pub use export::Csv;
pub use export::{Export, ExportReport, Exported, Format, Ndjson};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use insert::BulkInsert;
pub use loader::{BatchLoader, BatchLoaderBuilder, Load, Loaded, Loader, RequestCache};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use lookup::{BulkDelete, BulkRead, BulkUpdate, MatchReport};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use map::{BulkMap, JsonValue};
pub use parallel::{Adaptive, Chunked, ParMap, chunked, par_map};
#[cfg(feature = "rayon")]
pub use parallel::{ParMapCpu, par_map_cpu};
#[cfg(feature = "macros")]
pub use perf_macros::BulkRow;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use policy::{Atomicity, DuplicateKeys, Strategy};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use progress::Progress;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use report::{BulkReport, FailedRow, UpsertReport, Upserted};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use row::{BulkRow, BulkValue};
#[cfg(feature = "postgres")]
pub use sink::PostgresDeadLetters;
#[cfg(feature = "redis")]
pub use sink::RedisDeadLetters;
#[cfg(feature = "sqlite")]
pub use sink::SqliteDeadLetters;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use sink::keep_failed_rows;
pub use sink::{
    DeadLetter, DeadLetterSink, KeptLetter, LetterId, MemoryDeadLetters, NdjsonDeadLetters,
    Replayed, replay,
};
#[cfg(feature = "postgres")]
pub use tasks::PostgresTasks;
#[cfg(feature = "sqlite")]
pub use tasks::SqliteTasks;
pub use tasks::{
    Enqueue, Job, Lease, MemoryTasks, Permanent, Schedule, Task, TaskHandle, TaskId, TaskQueue,
    TaskQueueBuilder, TaskRecord, TaskStatus, Worker, WorkerBuilder,
};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use upsert::BulkUpsert;

/// What the macros' output and the sealed parts of public traits name. No part of the API.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "mysql")]
    pub use crate::backend::mysql::Session as MySqlSession;
    #[cfg(feature = "postgres")]
    pub use crate::backend::postgres::Session as PgSession;
    pub use crate::backend::{Backend, Conflict, Rejection, Scope, Target};
    pub use crate::error::BoxError;
    pub use crate::progress::Meter;
    pub use crate::row::{BulkRow, BulkValue};
}
