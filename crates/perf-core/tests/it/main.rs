//! The behaviour that siblings rely on, one module per theme.

mod backoff;
mod clock;
mod codec;
mod histogram;
mod inspect;
mod transience;
