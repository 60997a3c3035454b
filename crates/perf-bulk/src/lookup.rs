//! Rows that are found by their keys: to be changed, removed or read.

mod delete;
mod read;
mod report;
mod update;

pub use delete::BulkDelete;
pub use read::BulkRead;
pub use report::MatchReport;
pub use update::BulkUpdate;
