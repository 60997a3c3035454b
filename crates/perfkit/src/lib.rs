//! Performance primitives for tokio services: cache, paginate, bulk, breaker, pool, profile.
