//! What the database intends to do with a statement, and which index would make it do better.
//!
//! Advice that follows from a statement's text alone is wrong as often as not: the planner may prefer a
//! scan, the index may exist, or serve only half of the condition. So text only proposes
//! ([`candidates`]), and the planner decides: each candidate is shown to it as if it existed, and advice
//! is what it then uses at a cost that is at least halved. How an index is made to seem to exist is each
//! database's own matter and the only thing that a [`Planner`] answers.
//!
//! Nothing here runs a statement that it explains, and nothing makes an index that outlives the question.

mod advisor;
mod candidates;
mod explainer;
mod plan;
mod planner;

pub use advisor::{Advice, Advisor};
pub use candidates::Index;
pub use explainer::{Explainer, Explanation};
pub use plan::{Access, Plan, PlanFinding, Step};
pub use planner::Planner;
#[cfg(feature = "mysql")]
pub use planner::mysql::MySqlPlanner;
#[cfg(feature = "postgres")]
pub use planner::postgres::PostgresPlanner;
#[cfg(feature = "sqlite")]
pub use planner::sqlite::SqlitePlanner;
