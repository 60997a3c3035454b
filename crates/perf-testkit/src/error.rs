use std::io;
use std::path::PathBuf;

/// Why a server, a proxy or a data set is not there for a test.
///
/// None of these is a reason to skip a test: each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A server's program is not installed.
    #[error("`{program}` is not installed: run `cargo xtask setup`")]
    ProgramMissing {
        /// The program that was looked for on `PATH` and in Debian's folders.
        program: &'static str,
    },
    /// A program ran and reported failure.
    #[error("`{program}` failed: {output}")]
    ProgramFailed {
        /// The program that failed.
        program: String,
        /// What it wrote before it ended.
        output: String,
    },
    /// A server ended, or was not ready within the limit.
    #[error("{server} did not become ready; the end of its log: {log}")]
    NotReady {
        /// The server's name.
        server: &'static str,
        /// The last lines of its log.
        log: String,
    },
    /// A server answered its set-up with an error.
    #[error("the server refused `{command}`: {answer}")]
    Refused {
        /// What it was asked.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system reported.
        source: io::Error,
    },
    /// A row of a data set does not have the expected form.
    #[error("{} does not hold the expected rows", path.display())]
    Data {
        /// The data set's file.
        path: PathBuf,
        /// What the reader reported, with the row's position.
        source: csv::Error,
    },
    /// A process or a socket could not be set up.
    #[error("the system refused")]
    System(#[from] io::Error),
}

impl Error {
    /// Whether the same call may succeed when it is made again.
    ///
    /// Another process may have taken the port of a server that was not ready; everything else stays.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotReady { .. })
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
