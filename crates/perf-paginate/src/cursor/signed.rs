use super::CursorCodec;
use super::keys::{Key, KeyRing};
use super::lifetime::Lifetime;
use crate::error::{CursorFault, Error};
use hmac::{Hmac, KeyInit, Mac};
use perf_core::Clock;
use sha2::Sha256;
use std::fmt;
use std::time::Duration;

/// Cursors that can be read but not forged: HMAC-SHA256, of which 128 bits are kept.
///
/// ```
/// use perf_paginate::Signed;
///
/// # fn main() -> Result<(), perf_paginate::Error> {
/// let old = [7; 32];
/// let new = [8; 32];
/// let codec = Signed::new(&new)?.accepting(&old)?; // cursors of both keys are read, those of `new` written
/// # assert!(Signed::new(b"short").is_err());
/// # let _codec = codec;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Signed {
    keys: KeyRing<Hmac<Sha256>>,
    lifetime: Option<Lifetime>,
}

const TIMELESS: u8 = 0x11;
/// As [`TIMELESS`], with the second of its making before the payload.
const TIMED: u8 = 0x12;
const TAG: usize = 16;

impl Signed {
    /// Shortest key, in bytes.
    pub const MIN_KEY: usize = 32;

    /// Signs with `key`, which must be random and the same on every server.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when the key is shorter than [`Signed::MIN_KEY`].
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            keys: KeyRing::new(key)?,
            lifetime: None,
        })
    }

    /// Also verifies with `key`. To rotate: accept the new key everywhere, then sign with it while the
    /// old one is accepted, then drop the old one.
    ///
    /// # Errors
    ///
    /// As [`Signed::new`].
    pub fn accepting(self, key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            keys: self.keys.accepting(key)?,
            ..self
        })
    }

    /// Refuses cursors that `clock` saw made longer than `lifetime` ago, counted in whole seconds, and those
    /// that were made without a lifetime. 24 h suits most lists.
    #[must_use]
    pub fn expiring(mut self, lifetime: Duration, clock: impl Clock) -> Self {
        self.lifetime = Some(Lifetime::new(lifetime, clock));
        self
    }
}

impl Key for Hmac<Sha256> {
    const LABEL: &str = "perf-paginate key id";

    fn of(secret: &[u8]) -> Option<Self> {
        Self::new_from_slice(secret).ok()
    }
}

impl CursorCodec for Signed {
    fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let (id, mac) = self.keys.first();
        let mut token = Vec::with_capacity(1 + id.len() + 8 + payload.len() + TAG);
        token.push(if self.lifetime.is_some() {
            TIMED
        } else {
            TIMELESS
        });
        token.extend_from_slice(id);
        if let Some(lifetime) = &self.lifetime {
            token.extend_from_slice(&lifetime.now().to_be_bytes());
        }
        token.extend_from_slice(payload);
        let tag = mac.clone().chain_update(&token).finalize().into_bytes();
        token.extend_from_slice(&tag[..TAG]);
        token
    }

    fn open(&self, token: &[u8]) -> Result<Vec<u8>, CursorFault> {
        let header = *token.first().ok_or(CursorFault::Malformed)?;
        if !matches!(header, TIMELESS | TIMED) {
            return Err(CursorFault::UnsupportedVersion);
        }
        let (signed, tag) = token
            .split_last_chunk::<TAG>()
            .ok_or(CursorFault::Malformed)?;
        let content = signed.get(1..).ok_or(CursorFault::Malformed)?;
        let (id, content) = content
            .split_first_chunk::<4>()
            .ok_or(CursorFault::Malformed)?;
        let mac = self.keys.find(*id)?.clone().chain_update(signed);
        mac.verify_truncated_left(tag)
            .map_err(|_| CursorFault::BadSignature)?;
        Lifetime::check(self.lifetime.as_ref(), header == TIMED, content).map(<[u8]>::to_vec)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
