use super::reader::Section;

/// What each client may do. Of the three rates, those that are given hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitSettings {
    /// Whether there is a limit. Default: yes.
    pub enabled: bool,
    /// Calls a second, up to 1,000,000. Default: not said.
    pub per_second: Option<u32>,
    /// Calls a minute, up to 60,000,000. Default: 60 if no other rate is given.
    pub per_minute: Option<u32>,
    /// Calls an hour, up to 3,600,000,000. Default: not said.
    pub per_hour: Option<u32>,
    /// How many clients are remembered. Default: 100,000.
    pub max_clients: usize,
}

impl RateLimitSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let per_second = section.count("per_second", 1..=1_000_000);
        let per_minute = section.count("per_minute", 1..=60_000_000);
        let per_hour = section.count("per_hour", 1..=3_600_000_000);
        let is_open = per_second.is_none() && per_hour.is_none();
        Self {
            enabled: section.flag("enabled").unwrap_or(true),
            per_second,
            per_minute: per_minute.or_else(|| is_open.then_some(60)),
            per_hour,
            max_clients: section
                .count("max_clients", 1..=100_000_000)
                .unwrap_or(100_000),
        }
    }
}
