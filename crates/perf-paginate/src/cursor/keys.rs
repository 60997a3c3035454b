//! Keys of a codec, and how they are rotated.

use super::signed::Signed;
use crate::error::{CursorFault, Error};
use sha2::{Digest, Sha256};

/// What a token calls its key.
pub(super) type KeyId = [u8; 4];

/// What a codec makes of a secret.
pub(super) trait Key: Sized {
    /// Part of its identity, so that codecs call the same secret by different names.
    const LABEL: &str;

    /// The key, unless the secret does not suit.
    fn of(secret: &[u8]) -> Option<Self>;
}

/// The keys that a codec reads with. It writes with the first.
#[derive(Clone)]
pub(super) struct KeyRing<K> {
    first: (KeyId, K),
    others: Vec<(KeyId, K)>,
}

impl<K: Key> KeyRing<K> {
    pub(super) fn new(secret: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            first: identified(secret)?,
            others: Vec::new(),
        })
    }

    pub(super) fn accepting(mut self, secret: &[u8]) -> Result<Self, Error> {
        self.others.push(identified(secret)?);
        Ok(self)
    }
}

impl<K> KeyRing<K> {
    pub(super) const fn first(&self) -> &(KeyId, K) {
        &self.first
    }

    pub(super) fn find(&self, id: KeyId) -> Result<&K, CursorFault> {
        let mut keys = [&self.first].into_iter().chain(&self.others);
        let found = keys.find(|(known, _)| *known == id);
        found.map(|(_, key)| key).ok_or(CursorFault::UnknownKey)
    }

    pub(super) const fn len(&self) -> usize {
        1 + self.others.len()
    }
}

fn identified<K: Key>(secret: &[u8]) -> Result<(KeyId, K), Error> {
    let weak = || Error::Configuration("a cursor's key needs at least 32 bytes".into());
    if secret.len() < Signed::MIN_KEY {
        return Err(weak());
    }
    let digest = Sha256::new()
        .chain_update(K::LABEL)
        .chain_update(secret)
        .finalize();
    let mut id = KeyId::default();
    id.copy_from_slice(&digest[..4]);
    Ok((id, K::of(secret).ok_or_else(weak)?))
}
