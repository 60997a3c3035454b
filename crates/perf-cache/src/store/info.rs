/// What a far store tells of itself. A figure that it does not keep is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// Which store it is, and its version if it has one.
    pub kind: String,
    /// The memory it uses, in bytes.
    pub memory_bytes: Option<u64>,
    /// The memory it may use, in bytes; 0 if there is no limit.
    pub max_memory_bytes: Option<u64>,
    /// The keys it holds, others' included.
    pub keys: Option<u64>,
    /// The keys it gave up for lack of memory.
    pub evicted_keys: Option<u64>,
    /// Reads that found a key, others' included.
    pub hits: Option<u64>,
    /// Reads that did not.
    pub misses: Option<u64>,
}

impl StoreInfo {
    /// What is known of a store of that kind before it told anything.
    #[must_use]
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            ..Self::default()
        }
    }

    /// The share of reads that found a key, in per cent, if the store counts them and there were any.
    ///
    /// ```
    /// use perf_cache::store::StoreInfo;
    ///
    /// let mut info = StoreInfo::new("memory");
    /// assert_eq!(info.hit_rate_percent(), None);
    /// (info.hits, info.misses) = (Some(3), Some(1));
    /// assert_eq!(info.hit_rate_percent(), Some(75.0));
    /// ```
    #[must_use]
    pub fn hit_rate_percent(&self) -> Option<f64> {
        let (hits, misses) = (self.hits?, self.misses?);
        let reads = hits.checked_add(misses).filter(|reads| *reads > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more")]
        Some(hits as f64 / reads as f64 * 100.0)
    }
}
