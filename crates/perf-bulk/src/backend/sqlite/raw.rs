//! The calls into SQLite's C interface. Nothing outside this file is `unsafe`.
//!
//! Every block relies on these invariants of [`Session`]:
//!
//! 1. `handle` is the connection's, and open: the lock guard borrows the connection that owns it.
//! 2. No other thread is inside SQLite with this handle: sqlx's worker thread waits for the guard's
//!    mutex, and every call here takes `&mut self` or has the only reference.
//! 3. `statements` were prepared on `handle`, are finalized once, in `drop`, and by then the guard is
//!    still held, because fields are dropped after it.
//! 4. What a statement has bound is borrowed for one call of [`Session::run`] or
//!    [`Session::run_returning`] only; a statement is never stepped unless that same call has bound all of
//!    its parameters anew.

#![allow(unsafe_code, reason = "SQLite's interface is C")]

use super::failure::Failure;
use super::value::SqliteValue;
use libsqlite3_sys as ffi;
use sqlx::SqliteConnection;
use sqlx::sqlite::LockedSqliteHandle;
use std::ffi::{CStr, c_int};
use std::fmt;
use std::ptr::{self, NonNull};

/// The connection's handle, lent by sqlx, with statements prepared on it.
pub(super) struct Session<'c> {
    statements: Vec<Statement>,
    handle: NonNull<ffi::sqlite3>,
    _guard: LockedSqliteHandle<'c>,
}

struct Statement {
    pointer: NonNull<ffi::sqlite3_stmt>,
    parameters: c_int,
}

// SAFETY: sqlx refuses an SQLite without threading support, so a handle and its statements may be used
// from any thread, one at a time; invariant 2 has it so.
unsafe impl Send for Session<'_> {}

impl<'c> Session<'c> {
    /// Takes the handle from the connection's worker and prepares `statements`.
    pub(super) async fn open(
        connection: &'c mut SqliteConnection,
        statements: &[String],
    ) -> Result<Self, Failure> {
        let mut guard = connection.lock_handle().await.map_err(|error| Failure {
            code: ffi::SQLITE_MISUSE,
            message: error.to_string(),
        })?;
        let mut session = Self {
            statements: Vec::with_capacity(statements.len()),
            handle: guard.as_raw_handle(),
            _guard: guard,
        };
        for sql in statements {
            let statement = session.prepare(sql)?;
            session.statements.push(statement);
        }
        Ok(session)
    }

    /// Binds `values` to all parameters of the statement, and runs it to its first row or its end.
    /// Whether there was a row is the answer; the statement is reset then.
    pub(super) fn run<'v, 'r: 'v>(
        &mut self,
        statement: usize,
        values: impl IntoIterator<Item = &'v SqliteValue<'r>>,
    ) -> Result<bool, Failure> {
        let pointer = self.bind_all(statement, values)?;
        // SAFETY: the statement is valid (3), and what it has bound is alive until this call ends (4).
        let code = unsafe { ffi::sqlite3_step(pointer.as_ptr()) };
        let outcome = self.stepped(code);
        // SAFETY: as above. The code repeats the step's.
        unsafe { ffi::sqlite3_reset(pointer.as_ptr()) };
        outcome
    }

    /// As [`run`](Self::run), for the integer that the statement returns in its only row; `None` if it returns none.
    pub(super) fn run_returning<'v, 'r: 'v>(
        &mut self,
        statement: usize,
        values: impl IntoIterator<Item = &'v SqliteValue<'r>>,
    ) -> Result<Option<i64>, Failure> {
        let pointer = self.bind_all(statement, values)?;
        // SAFETY: the statement is valid (3), and what it has bound is alive until this call ends (4).
        let code = unsafe { ffi::sqlite3_step(pointer.as_ptr()) };
        let mut outcome = self.stepped(code).map(|_| None);
        if code == ffi::SQLITE_ROW {
            // SAFETY: the statement is valid (3) and stands on a row.
            let kind = unsafe { ffi::sqlite3_column_type(pointer.as_ptr(), 0) };
            outcome = if kind == ffi::SQLITE_INTEGER {
                // SAFETY: as above.
                Ok(Some(unsafe {
                    ffi::sqlite3_column_int64(pointer.as_ptr(), 0)
                }))
            } else {
                Err(Failure {
                    code: ffi::SQLITE_MISMATCH,
                    message: "the id is no integer".to_owned(),
                })
            };
            // SAFETY: as for the first step. The statement ends here, having returned its only row.
            let code = unsafe { ffi::sqlite3_step(pointer.as_ptr()) };
            outcome = self.stepped(code).and(outcome);
        }
        // SAFETY: as above. The code repeats the step's.
        unsafe { ffi::sqlite3_reset(pointer.as_ptr()) };
        outcome
    }

    /// The statement, with `values` bound to all of its parameters.
    fn bind_all<'v, 'r: 'v>(
        &mut self,
        statement: usize,
        values: impl IntoIterator<Item = &'v SqliteValue<'r>>,
    ) -> Result<NonNull<ffi::sqlite3_stmt>, Failure> {
        let Statement {
            pointer,
            parameters,
        } = self.statements[statement];
        let mut bound = 0;
        for value in values {
            bound += 1;
            let code = bind(pointer, bound, value);
            self.check(code)?;
        }
        if bound != parameters {
            return Err(Failure {
                code: ffi::SQLITE_RANGE,
                message: format!("{bound} values for {parameters} parameters"),
            });
        }
        Ok(pointer)
    }

    /// Whether a step ended on a row.
    fn stepped(&mut self, code: c_int) -> Result<bool, Failure> {
        match code {
            ffi::SQLITE_DONE => Ok(false),
            ffi::SQLITE_ROW => Ok(true),
            _ => self.check(code).map(|()| false),
        }
    }

    /// How many rows the connection has changed since it was opened, those by triggers included.
    pub(super) fn changes(&mut self) -> i64 {
        // SAFETY: the handle is open (1) and ours (2).
        unsafe { ffi::sqlite3_total_changes64(self.handle.as_ptr()) }
    }

    /// Whether the transaction is still open: some errors end it on SQLite's own accord.
    pub(super) fn in_transaction(&mut self) -> bool {
        // SAFETY: the handle is open (1) and ours (2).
        unsafe { ffi::sqlite3_get_autocommit(self.handle.as_ptr()) == 0 }
    }

    /// Opens an empty transaction in place of one that SQLite ended, for sqlx to roll back: it counts
    /// the depth itself, does not learn of the end, and would otherwise stay at a depth that is not.
    pub(super) fn restore_transaction(&mut self) {
        if !self.in_transaction() {
            // SAFETY: the handle is open (1) and ours (2); the text ends in a NUL; no callback is given.
            unsafe {
                ffi::sqlite3_exec(
                    self.handle.as_ptr(),
                    c"BEGIN".as_ptr(),
                    None,
                    ptr::null_mut(),
                    ptr::null_mut(),
                );
            }
        }
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, Failure> {
        let length = c_int::try_from(sql.len()).map_err(|_| Failure {
            code: ffi::SQLITE_TOOBIG,
            message: "the statement is too long".to_owned(),
        })?;
        let mut pointer = ptr::null_mut();
        // SAFETY: the handle is open (1) and ours (2); `sql` has `length` bytes; the tail is not asked for.
        let code = unsafe {
            ffi::sqlite3_prepare_v3(
                self.handle.as_ptr(),
                sql.as_ptr().cast(),
                length,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut pointer,
                ptr::null_mut(),
            )
        };
        self.check(code)?;
        let pointer = NonNull::new(pointer).ok_or_else(|| Failure {
            code: ffi::SQLITE_MISUSE,
            message: "an empty statement".to_owned(),
        })?;
        // SAFETY: the statement was prepared just now.
        let parameters = unsafe { ffi::sqlite3_bind_parameter_count(pointer.as_ptr()) };
        Ok(Statement {
            pointer,
            parameters,
        })
    }

    fn check(&mut self, code: c_int) -> Result<(), Failure> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: the handle is open (1) and ours (2), so the message stays unchanged until it is copied.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.handle.as_ptr())) };
        Err(Failure {
            code,
            message: message.to_string_lossy().into_owned(),
        })
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        for statement in &self.statements {
            // SAFETY: prepared on this handle, and finalized here only (3).
            unsafe { ffi::sqlite3_finalize(statement.pointer.as_ptr()) };
        }
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("statements", &self.statements.len())
            .finish_non_exhaustive()
    }
}

/// Binds without a copy: `None` as the destructor tells SQLite that the memory outlives the binding.
fn bind(statement: NonNull<ffi::sqlite3_stmt>, position: c_int, value: &SqliteValue<'_>) -> c_int {
    let statement = statement.as_ptr();
    // SAFETY: the caller is `run`, whose statement is valid (3) and not stepped beyond the value's
    // lifetime (4); each pointer comes with its own length, and Rust's empty slices are not null.
    unsafe {
        match value {
            SqliteValue::Null => ffi::sqlite3_bind_null(statement, position),
            SqliteValue::Integer(number) => ffi::sqlite3_bind_int64(statement, position, *number),
            SqliteValue::Real(number) => ffi::sqlite3_bind_double(statement, position, *number),
            SqliteValue::Text(text) => ffi::sqlite3_bind_text64(
                statement,
                position,
                text.as_ptr().cast(),
                text.len() as u64,
                None,
                UTF8,
            ),
            SqliteValue::Blob(blob) => ffi::sqlite3_bind_blob64(
                statement,
                position,
                blob.as_ptr().cast(),
                blob.len() as u64,
                None,
            ),
        }
    }
}

const UTF8: u8 = 1; // SQLITE_UTF8, as the type that the call takes
