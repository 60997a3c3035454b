use crate::CacheError;
use std::time::Duration;

/// What sets one entry apart from the cache's defaults.
///
/// Time to live and tags belong to the value and are kept with it: a call that finds the value, near or
/// far, changes neither. Name the same tags wherever a key is loaded.
///
/// ```
/// use perf_cache::EntryPolicy;
/// use std::time::Duration;
///
/// let policy = EntryPolicy::new().ttl(Duration::from_secs(30)).tag("user:7").tag("orders");
/// assert_eq!(policy.tags().collect::<Vec<_>>(), ["user:7", "orders"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPolicy {
    pub(crate) ttl: Option<Duration>,
    pub(crate) revalidate: Option<Duration>,
    pub(crate) error: Option<Duration>,
    pub(crate) tags: Vec<Box<str>>,
}

impl EntryPolicy {
    /// The cache's defaults, and no tags.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ttl: None,
            revalidate: None,
            error: None,
            tags: Vec::new(),
        }
    }

    /// How long the entry is fresh: at least 8.4 ms, at most 104 days, shortened by the cache's jitter.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long beyond its time to live this caller takes the value while a load runs for the next one.
    ///
    /// It concerns the call it is given to, and is not kept with the entry.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.revalidate = Some(window);
        self
    }

    /// How long beyond its time to live this caller takes the value when a load fails or takes too long.
    ///
    /// It concerns the call it is given to, and is not kept with the entry.
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.error = Some(window);
        self
    }

    /// A group the entry belongs to. An entry can carry three tags. None is empty: a group whose name was
    /// left out by mistake would be everyone's.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(tag.as_ref().into());
        self
    }

    pub(crate) fn validate(&self) -> Result<(), CacheError> {
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(CacheError::Setting {
                setting: "ttl",
                problem: "must be greater than zero",
            });
        }
        self.tags.iter().try_for_each(|tag| named(tag))
    }

    /// The groups it belongs to.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(AsRef::as_ref)
    }
}

/// Refuses a tag without a name: in the far tier everything carries it.
pub(crate) const fn named(tag: &str) -> Result<(), CacheError> {
    if tag.is_empty() {
        return Err(CacheError::Setting {
            setting: "tag",
            problem: "must have a name",
        });
    }
    Ok(())
}
