//! What a statement is, whatever its values: fingerprint, text without literals, shape.
//!
//! [`Statement::parse`] reads SQL once, token by token, and never fails: text that no database would
//! accept still has a fingerprint. A full parser answers more, but refuses what it does not know, and
//! costs a hundred times as much on a path that every query takes; a chain of regular expressions
//! takes comments for code and stops at dollar quotes. The few questions that lints ask need no
//! syntax tree: which verb, is there a key lookup, a limit, an offset.

mod keyword;
mod lexer;
mod placeholders;
mod shape;
mod statement;
mod writer;

pub use shape::{Shape, Verb};
pub use statement::{Fingerprint, Statement};
