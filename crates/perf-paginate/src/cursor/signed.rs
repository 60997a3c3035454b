use super::CursorCodec;
use crate::error::{CursorFault, Error};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

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
    /// The first signs; all verify.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: [u8; 4],
    mac: Hmac<Sha256>,
}

const HEADER: u8 = 0x11;
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
            keys: vec![Key::new(key)?],
        })
    }

    /// Also verifies with `key`. To rotate: accept the new key everywhere, then sign with it while the
    /// old one is accepted, then drop the old one.
    ///
    /// # Errors
    ///
    /// As [`Signed::new`].
    pub fn accepting(mut self, key: &[u8]) -> Result<Self, Error> {
        self.keys.push(Key::new(key)?);
        Ok(self)
    }
}

impl Key {
    fn new(key: &[u8]) -> Result<Self, Error> {
        let weak = || Error::Configuration("a signing key needs at least 32 bytes".into());
        if key.len() < Signed::MIN_KEY {
            return Err(weak());
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| weak())?;
        let digest = Sha256::new()
            .chain_update(b"perf-paginate key id")
            .chain_update(key)
            .finalize();
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        Ok(Self { id, mac })
    }
}

impl CursorCodec for Signed {
    fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let mut token = Vec::with_capacity(1 + key.id.len() + payload.len() + TAG);
        token.push(HEADER);
        token.extend_from_slice(&key.id);
        token.extend_from_slice(payload);
        let tag = key.mac.clone().chain_update(&token).finalize().into_bytes();
        token.extend_from_slice(&tag[..TAG]);
        token
    }

    fn open(&self, token: &[u8]) -> Result<Vec<u8>, CursorFault> {
        match token.first() {
            Some(&HEADER) => {}
            Some(_) => return Err(CursorFault::UnsupportedVersion),
            None => return Err(CursorFault::Malformed),
        }
        let (signed, tag) = token
            .split_last_chunk::<TAG>()
            .ok_or(CursorFault::Malformed)?;
        let (id, payload) = signed[1..]
            .split_first_chunk::<4>()
            .ok_or(CursorFault::Malformed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == *id)
            .ok_or(CursorFault::UnknownKey)?;
        let mac = key.mac.clone().chain_update(signed);
        mac.verify_truncated_left(tag)
            .map_err(|_| CursorFault::BadSignature)?;
        Ok(payload.to_vec())
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
