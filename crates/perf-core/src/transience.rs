//! Whether trying again may help, decided from the code that a server or the system reported.
//!
//! The tables know codes and not drivers: a crate that owns a driver takes the code from its error and
//! asks here, so the judgement is made in one place for all crates.

use std::io;

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transience {
    /// The same request may succeed later: a deadlock, a lost connection, a server that starts.
    Transient,
    /// The same request will fail again.
    Permanent,
}

use Transience::{Permanent, Transient};

impl Transience {
    /// Whether trying again may help.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Transient)
    }

    /// Judges a five-letter SQLSTATE, as Postgres reports it.
    ///
    /// ```
    /// use perf_core::Transience;
    ///
    /// assert!(Transience::of_sqlstate("40001").is_transient()); // serialization failure
    /// assert!(!Transience::of_sqlstate("23505").is_transient()); // unique violation
    /// ```
    #[must_use]
    pub fn of_sqlstate(code: &str) -> Self {
        match code {
            // A constraint makes the transaction fail for good, unlike the rest of class 40.
            "40002" => Permanent,
            // Lock not available, cannot connect now, and the server's shutdown.
            "55P03" | "57P01" | "57P02" | "57P03" => Transient,
            // Connection exceptions, transaction rollback, insufficient resources.
            _ if ["08", "40", "53"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                Transient
            }
            _ => Permanent,
        }
    }

    /// Judges an error number of MySQL or MariaDB.
    #[must_use]
    pub const fn of_mysql_number(number: u16) -> Self {
        match number {
            // Too many connections (1040, 1203, 1226); shutdown (1053); out of memory (1037, 1038,
            // 1041); aborted connections (1152 to 1161); lock wait time-out, deadlock (1205, 1213);
            // connection lost (2002 to 2013); MariaDB's record changed since last read (1020).
            1020
            | 1037
            | 1038
            | 1040
            | 1041
            | 1053
            | 1152..=1161
            | 1203
            | 1205
            | 1213
            | 1226
            | 2002
            | 2003
            | 2006
            | 2013 => Transient,
            _ => Permanent,
        }
    }

    /// Judges a result code of SQLite, primary or extended.
    #[must_use]
    pub const fn of_sqlite_code(code: i32) -> Self {
        match code & 0xff {
            // BUSY, LOCKED, PROTOCOL (a race at opening a write-ahead log).
            5 | 6 | 15 => Transient,
            _ => Permanent,
        }
    }

    /// Judges the first word of a Redis error reply.
    #[must_use]
    pub fn of_redis_code(code: &str) -> Self {
        match code {
            "ASK" | "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MOVED" | "READONLY"
            | "TRYAGAIN" => Transient,
            _ => Permanent,
        }
    }

    /// Judges a failure of the system's input and output.
    #[must_use]
    pub const fn of_io(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::AddrNotAvailable
            | Kind::BrokenPipe
            | Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::NotConnected
            | Kind::ResourceBusy
            | Kind::TimedOut
            | Kind::UnexpectedEof
            | Kind::WouldBlock => Transient,
            _ => Permanent,
        }
    }
}
