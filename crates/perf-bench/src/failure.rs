use perf_profile::ProfileError;
use std::io;
use std::path::PathBuf;

/// Why the program does not end with 0. Its message is one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An assertion does not hold, requests failed that should not, or a metric regressed.
    #[error("{0}")]
    Verdict(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nobody is there to be tested.
    #[error("{0}")]
    Unreachable(String),
    /// A baseline that does not exist, cannot be read or cannot be written.
    #[error("{0}")]
    Baseline(ProfileError),
    /// A report that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Output {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused something.
    #[error("database: {0}")]
    Database(String),
}

impl Failure {
    /// 1 for a verdict, 2 for usage (as clap's own), 3 for what cannot be reached, 4 for baselines, 5 for
    /// output.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Verdict(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) | Self::Database(_) => 3,
            Self::Baseline(_) => 4,
            Self::Output { .. } => 5,
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::TargetUnreachable { .. } => Self::Unreachable(error.to_string()),
            ProfileError::BaselineNotFound { .. }
            | ProfileError::BaselineNotSaved { .. }
            | ProfileError::BaselineSchema { .. }
            | ProfileError::BaselineUnreadable { .. } => Self::Baseline(error),
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.to_string())
    }
}
