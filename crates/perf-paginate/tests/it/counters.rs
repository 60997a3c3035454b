//! What databases count of their own work.

use sqlx::mysql::MySqlPool;

/// The buffers that a plan of PostgreSQL was read from: the first line has their sum. Those that had to be written to
/// make room are not the statement's.
pub(crate) fn buffers(plan: &str) -> u64 {
    let shared = plan.split_once("Buffers: shared").unwrap().1;
    let shared = shared.split(['\n', ',']).next().unwrap();
    let counts = ["hit=", "read="].map(|name| {
        let count = shared.split_once(name);
        let count = count.map(|(_, count)| count.split(' ').next().unwrap());
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    });
    counts.iter().sum()
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
