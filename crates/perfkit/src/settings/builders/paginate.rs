use crate::settings::PaginationSettings;
use perf_paginate::Limits;

impl PaginationSettings {
    /// What one request may ask for; everything but sizes as it is by default.
    ///
    /// ```
    /// use perfkit::settings::Settings;
    ///
    /// # fn main() -> Result<(), perfkit::settings::SettingsError> {
    /// let settings = Settings::loader().variables([("PAGINATION__MAX_SIZE", "10")]).load()?;
    /// let limits = settings.pagination.limits();
    /// assert_eq!((limits.default_size, limits.max_size), (10, 10));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            default_size: self.default_size,
            max_size: self.max_size,
            ..Limits::default()
        }
    }
}
