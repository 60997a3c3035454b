use super::CursorCodec;
use super::keys::{Key, KeyRing};
use super::lifetime::Lifetime;
use crate::error::{CursorFault, Error};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use perf_core::Clock;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// Cursors that can be neither read nor forged: AES-256-GCM.
///
/// Choose it where a row at a page boundary may hold what its reader must not see. The nonce is a keyed hash of
/// what is sealed, so no randomness can run out and equal positions have equal cursors. That, and how long the sort values are, is all they tell.
///
/// ```
/// use perf_paginate::Sealed;
///
/// # fn main() -> Result<(), perf_paginate::Error> {
/// let codec = Sealed::new(&[8; 32])?.accepting(&[7; 32])?; // cursors of both keys are read
/// # let _codec = codec;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sealed {
    keys: KeyRing<Secrets>,
    lifetime: Option<Lifetime>,
}

#[derive(Clone)]
struct Secrets {
    cipher: Aes256Gcm,
    nonces: Hmac<Sha256>,
}

const TIMELESS: u8 = 0x13;
/// As [`TIMELESS`], with the second of its making before the payload.
const TIMED: u8 = 0x14;
/// What is not secret, but authentic: header and key.
const HEAD: usize = 5;
const NONCE: usize = 12;

impl Sealed {
    /// Seals with `key`, which must be random, at least [`Signed::MIN_KEY`](super::Signed::MIN_KEY) bytes, and the same on every server.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when the key is too short.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            keys: KeyRing::new(key)?,
            lifetime: None,
        })
    }

    /// Also opens with `key`. Keys are rotated as those of [`Signed::accepting`](super::Signed::accepting).
    ///
    /// # Errors
    ///
    /// As [`Sealed::new`].
    pub fn accepting(self, key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            keys: self.keys.accepting(key)?,
            ..self
        })
    }

    /// As [`Signed::expiring`](super::Signed::expiring).
    #[must_use]
    pub fn expiring(mut self, lifetime: Duration, clock: impl Clock) -> Self {
        self.lifetime = Some(Lifetime::new(lifetime, clock));
        self
    }
}

impl Key for Secrets {
    const LABEL: &str = "perf-paginate sealing key id";

    fn of(secret: &[u8]) -> Option<Self> {
        let derived = |purpose: &str| {
            Sha256::new()
                .chain_update(purpose)
                .chain_update(secret)
                .finalize()
        };
        Some(Self {
            cipher: Aes256Gcm::new_from_slice(&derived("perf-paginate sealing key")).ok()?,
            nonces: Hmac::new_from_slice(&derived("perf-paginate sealing nonce")).ok()?,
        })
    }
}

impl CursorCodec for Sealed {
    fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let (id, secrets) = self.keys.first();
        let header = if self.lifetime.is_some() {
            TIMED
        } else {
            TIMELESS
        };
        let mut content = Vec::with_capacity(8 + payload.len());
        if let Some(lifetime) = &self.lifetime {
            content.extend_from_slice(&lifetime.now().to_be_bytes());
        }
        content.extend_from_slice(payload);
        let mut token = Vec::with_capacity(HEAD + NONCE + content.len() + 16);
        token.push(header);
        token.extend_from_slice(id);
        let keyed = secrets
            .nonces
            .clone()
            .chain_update(&token)
            .chain_update(&content);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&keyed.finalize().into_bytes()[..NONCE]);
        let secret = Payload {
            msg: &content,
            aad: &token,
        };
        // It fails only for a content of 64 GiB. A cursor without content is none, and is refused.
        let sealed = secrets
            .cipher
            .encrypt(&Nonce::from(nonce), secret)
            .unwrap_or_default();
        token.extend_from_slice(&nonce);
        token.extend_from_slice(&sealed);
        token
    }

    fn open(&self, token: &[u8]) -> Result<Vec<u8>, CursorFault> {
        let header = *token.first().ok_or(CursorFault::Malformed)?;
        if !matches!(header, TIMELESS | TIMED) {
            return Err(CursorFault::UnsupportedVersion);
        }
        let (head, rest) = token
            .split_first_chunk::<HEAD>()
            .ok_or(CursorFault::Malformed)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(CursorFault::Malformed)?;
        let [_, id @ ..] = *head;
        let secrets = self.keys.find(id)?;
        let secret = Payload {
            msg: sealed,
            aad: head,
        };
        let content = secrets.cipher.decrypt(&Nonce::from(*nonce), secret);
        let content = content.map_err(|_| CursorFault::BadSignature)?;
        Lifetime::check(self.lifetime.as_ref(), header == TIMED, &content).map(<[u8]>::to_vec)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
