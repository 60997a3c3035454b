//! Circuit breaker, rate limiter and guards with exact accounting.
