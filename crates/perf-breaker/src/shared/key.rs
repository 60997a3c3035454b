use crate::store::LONGEST_KEY;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A limiter's key as the store has it: `name:key`, or `name#sha256` for keys too long for a store.
///
/// Names have neither sign, so no two limiters and no two forms meet.
pub(super) struct Key(Vec<u8>);

/// Leaves room for a digest.
pub(super) const LONGEST_NAME: usize = LONGEST_KEY / 2;

impl Key {
    pub(super) fn of(name: &str, key: &[u8]) -> Self {
        if name.len() + 1 + key.len() <= LONGEST_KEY {
            return Self([name.as_bytes(), b":", key].concat());
        }
        let mut digest = format!("{name}#");
        for byte in Sha256::digest(key) {
            let _infallible = write!(digest, "{byte:02x}");
        }
        Self(digest.into_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn short_keys_stand_as_they_are_and_long_ones_as_their_digest() {
        assert_eq!(Key::of("api", b"alice").as_bytes(), b"api:alice");
        let stands = |length| Key::of("api", &vec![b'x'; length]).as_bytes().len();
        assert_eq!((stands(196), stands(197)), (200, 4 + 64));
        let name = "n".repeat(LONGEST_NAME);
        for length in [LONGEST_KEY - LONGEST_NAME - 1, 100, 1 << 20] {
            let key = Key::of(&name, &vec![b'x'; length]);
            assert!(key.as_bytes().len() <= LONGEST_KEY);
        }
        let digest = "api#b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        let long = "hello world".repeat(20);
        assert_eq!(
            Key::of("api", long.as_bytes()).as_bytes().len(),
            digest.len()
        );
        assert_ne!(
            Key::of("api", long.as_bytes()).as_bytes(),
            Key::of("api", &long.as_bytes()[1..]).as_bytes()
        );
    }
}
