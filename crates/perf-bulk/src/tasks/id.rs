use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A task's identity: a version 7 UUID, so ids sort by the time of their making, to the millisecond.
///
/// ```
/// use perf_bulk::TaskId;
///
/// let id = TaskId::random();
/// assert_eq!(id.to_string().parse::<TaskId>()?, id);
/// assert!("flight".parse::<TaskId>().is_err());
/// # Ok::<(), perf_bulk::TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

impl TaskId {
    /// An id that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as a number, for backends of your own.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id that [`to_u128`](Self::to_u128) gave.
    #[must_use]
    pub const fn from_u128(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = crate::TaskError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::parse_str(text);
        id.map(Self)
            .map_err(|_| Self::Err::Config("not the id of a task"))
    }
}
