//! Bulk writes, batching, batch loading and durable tasks.
