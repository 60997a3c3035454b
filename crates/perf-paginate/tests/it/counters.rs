//! What databases count of their own work.

use sqlx::mysql::MySqlPool;

/// The buffers of a plan of PostgreSQL: the sum in its first line.
pub(crate) fn buffers(plan: &str) -> u64 {
    let line = plan
        .lines()
        .find(|line| line.contains("Buffers: shared"))
        .unwrap();
    line.split([' ', '='])
        .filter_map(|word| word.parse::<u64>().ok())
        .sum()
}

/// The entries that this session of MariaDB has read, and those that it looked at within an index and left there. The
/// pool must have one connection.
pub(crate) async fn reads(pool: &MySqlPool) -> u64 {
    let counters: Vec<(String, String)> =
        sqlx::query_as("SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Handler_icp_attempts'")
            .fetch_all(pool)
            .await
            .unwrap();
    counters
        .iter()
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum()
}
