use std::fmt;

/// Everything that is wrong with the settings, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", join(.problems))]
pub struct SettingsError {
    problems: Vec<Problem>,
}

/// One thing that is wrong. Neither it nor its text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The setting, as `database.pool_size`; empty if a whole source cannot be read.
    pub key: String,
    /// Where its value came from: `environment variable DATABASE__POOL_SIZE`.
    pub source: String,
    /// What is wrong about it.
    pub message: String,
}

impl SettingsError {
    pub(super) const fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Each problem by itself, at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            source,
            message,
        } = self;
        if key.is_empty() {
            write!(f, "{source}: {message}")
        } else {
            write!(f, "{key} ({source}): {message}")
        }
    }
}

fn join(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
