use crate::settings::PerformanceSettings;
use perf_bulk::BulkInsert;

impl PerformanceSettings {
    /// A bulk insert in chunks of this size.
    #[must_use]
    pub fn bulk_insert<'p>(&self, table: impl Into<String>) -> BulkInsert<'p> {
        BulkInsert::into(table).chunk_rows(self.bulk_insert_chunk_size)
    }
}
