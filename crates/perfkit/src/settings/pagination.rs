use super::reader::Section;

/// Sizes of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaginationSettings {
    /// Rows on a page when a request does not say, 1 to `max_size`. Default: 20, or `max_size` if that is less.
    pub default_size: u32,
    /// Most rows on a page, 1 to 100,000. Default: 100.
    pub max_size: u32,
}

impl PaginationSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let max_size = section.count("max_size", 1..=100_000).unwrap_or(100);
        Self {
            default_size: section
                .count("default_size", 1..=max_size)
                .unwrap_or_else(|| max_size.min(20)),
            max_size,
        }
    }
}
