//! How a value is written to a far store.
//!
//! ```text
//! magic "PFC" | version 1 | seal 8 | codec 1 | schema 4 | stored at, Unix ms 8 | fresh for, ms 8
//! | load cost, µs 4 | tags 1 | tags × (length 2 | name | generation 8) | payload length 4 | payload
//! | CRC-32 of all before 4
//! ```
//!
//! Numbers are little-endian. The seal is random: the first twelve bytes tell one writing of a key from
//! every other, so a store can compare without moving the value. A lease is twelve bytes of its own
//! magic. The checksum finds damage, not forgery: whoever can write to the store is trusted not to lie.

/// The first bytes of whatever lies under a key: enough to tell it from anything else.
pub const SEAL_BYTES: usize = 12;

const MAGIC: [u8; 4] = *b"PFC\x01";
const LEASE_MAGIC: [u8; 4] = *b"PFL\x01";
const MAX_TAGS: usize = 255;

/// A value with what a reader must know before it trusts it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// Random; differs from that of every other writing of the key.
    pub seal: u64,
    /// The [`Codec::ID`](perf_core::Codec::ID) of the payload.
    pub codec: u8,
    /// The version of the value's type.
    pub schema: u32,
    /// Milliseconds since the Unix epoch, by the writer's clock.
    pub stored_at_ms: u64,
    /// For how many milliseconds from then the value is fresh.
    pub fresh_for_ms: u64,
    /// How many microseconds the load took.
    pub cost_us: u32,
    /// The value's tags, each with its generation from before the load.
    pub tags: Vec<(&'a str, u64)>,
    /// The encoded value.
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// The envelope as bytes. Of the tags the first 255 are written, and of each name 65,535 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.payload.len());
        bytes.extend(MAGIC);
        bytes.extend(self.seal.to_le_bytes());
        bytes.push(self.codec);
        bytes.extend(self.schema.to_le_bytes());
        bytes.extend(self.stored_at_ms.to_le_bytes());
        bytes.extend(self.fresh_for_ms.to_le_bytes());
        bytes.extend(self.cost_us.to_le_bytes());
        let tags = &self.tags[..self.tags.len().min(MAX_TAGS)];
        bytes.push(u8::try_from(tags.len()).unwrap_or(u8::MAX));
        for (name, generation) in tags {
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_le_bytes());
            bytes.extend(&name.as_bytes()[..usize::from(length)]);
            bytes.extend(generation.to_le_bytes());
        }
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.payload);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Reads an envelope; `None` for anything that is not exactly one, undamaged.
    ///
    /// ```
    /// use perf_cache::envelope::Envelope;
    ///
    /// assert_eq!(Envelope::decode(b"anything else"), None);
    /// ```
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (covered, checksum) = bytes.split_last_chunk::<4>()?;
        if !covered.starts_with(&MAGIC) || crc32fast::hash(covered) != u32::from_le_bytes(*checksum)
        {
            return None;
        }
        let mut reader = Reader(&covered[MAGIC.len()..]);
        let mut envelope = Self {
            seal: u64::from_le_bytes(reader.take()?),
            codec: u8::from_le_bytes(reader.take()?),
            schema: u32::from_le_bytes(reader.take()?),
            stored_at_ms: u64::from_le_bytes(reader.take()?),
            fresh_for_ms: u64::from_le_bytes(reader.take()?),
            cost_us: u32::from_le_bytes(reader.take()?),
            tags: Vec::new(),
            payload: &[],
        };
        envelope.tags = reader.tags()?;
        let length = u32::from_le_bytes(reader.take()?);
        envelope.payload = reader.slice(usize::try_from(length).ok()?)?;
        reader.0.is_empty().then_some(envelope)
    }
}

/// How much of a value's bytes holds its seal and, unless they are unusually long, its tags.
pub(crate) const HEAD_BYTES: usize = 512;
/// Codec, schema, the two times and the cost.
const MIDDLE_BYTES: usize = 1 + 4 + 8 + 8 + 4;

/// A tag and its generation.
pub(crate) type Tagged<'a> = (&'a str, u64);

/// The seal and the tags of an envelope whose beginning this is; none if they do not end within it.
///
/// It cannot see whether the rest is damaged.
pub(crate) fn head(bytes: &[u8]) -> Option<(u64, Vec<Tagged<'_>>)> {
    let mut reader = Reader(bytes.strip_prefix(&MAGIC)?);
    let seal = u64::from_le_bytes(reader.take()?);
    reader.slice(MIDDLE_BYTES)?;
    Some((seal, reader.tags()?))
}

/// What holds the place of a value while one process loads it.
#[must_use]
pub fn lease(token: u64) -> [u8; SEAL_BYTES] {
    let mut bytes = [0; SEAL_BYTES];
    bytes[..4].copy_from_slice(&LEASE_MAGIC);
    bytes[4..].copy_from_slice(&token.to_le_bytes());
    bytes
}

/// Whether these bytes are a lease.
#[must_use]
pub fn is_lease(bytes: &[u8]) -> bool {
    bytes.len() == SEAL_BYTES && bytes.starts_with(&LEASE_MAGIC)
}

/// The bytes by which a store tells what lies under a key from anything else.
#[must_use]
pub fn seal_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SEAL_BYTES)]
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn tags(&mut self) -> Option<Vec<Tagged<'a>>> {
        let mut tags = Vec::new();
        for _ in 0..u8::from_le_bytes(self.take()?) {
            let length = u16::from_le_bytes(self.take()?);
            let name = std::str::from_utf8(self.slice(length.into())?).ok()?;
            tags.push((name, u64::from_le_bytes(self.take()?)));
        }
        Some(tags)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope<'a>(tags: &'a [(String, u64)], payload: &'a [u8]) -> Envelope<'a> {
        Envelope {
            seal: 1,
            codec: 2,
            schema: 3,
            stored_at_ms: 4,
            fresh_for_ms: 5,
            cost_us: 6,
            tags: tags
                .iter()
                .map(|(name, number)| (name.as_str(), *number))
                .collect(),
            payload,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            tags in proptest::collection::vec((".{0,20}", any::<u64>()), 0..5),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let envelope = envelope(&tags, &payload);
            let bytes = envelope.encode();
            prop_assert_eq!(Envelope::decode(&bytes), Some(envelope));
        }

        /// With a checksum that fits, so that the reader behind it is reached.
        #[test]
        fn anything_is_refused_or_reads_back_the_same(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
            edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
            begins_well in any::<bool>(),
        ) {
            if begins_well {
                let tags = [("tag".to_owned(), 9)];
                let mut whole = envelope(&tags, &bytes).encode();
                whole.truncate(whole.len() - 4);
                bytes = whole;
                for (at, byte) in edits {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
            }
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            if let Some(envelope) = Envelope::decode(&bytes) {
                prop_assert!(!is_lease(&bytes));
                prop_assert_eq!(envelope.encode(), bytes);
            }
        }

        #[test]
        fn damage_is_found(at in 0..60_usize, bit in 0..8_u32, cut in 0..60_usize) {
            let tags = [("tag".to_owned(), 9)];
            let bytes = envelope(&tags, b"payload").encode();
            let mut flipped = bytes.clone();
            let at = at % bytes.len();
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(Envelope::decode(&flipped), None);
            prop_assert_eq!(Envelope::decode(&bytes[..cut.min(bytes.len() - 1)]), None);
        }
    }

    #[test]
    fn the_form_of_version_1_stays_readable() {
        let tags = [("t".to_owned(), 7)];
        let golden = [
            80, 70, 67, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0,
            0, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 0, 116, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 255,
        ];
        let written = envelope(&tags, &[255]).encode();
        assert_eq!(written[..written.len() - 4], golden);
    }

    #[test]
    fn a_head_tells_seal_and_tags_or_nothing() {
        let tags = [("tag".to_owned(), 9), ("other".to_owned(), 8)];
        let bytes = envelope(&tags, &[7; 900]).encode();
        let expected = Some((1, vec![("tag", 9), ("other", 8)]));
        assert_eq!(head(&bytes[..HEAD_BYTES]), expected);
        let end = bytes.len() - 900 - 8;
        assert_eq!(head(&bytes[..end]), expected);
        assert!((0..end).all(|cut| head(&bytes[..cut]).is_none()));
        assert_eq!(head(&lease(5)), None);
    }

    #[test]
    fn a_lease_is_no_envelope() {
        assert!(is_lease(&lease(5)));
        assert_eq!(Envelope::decode(&lease(5)), None);
        assert_ne!(lease(5), lease(6));
    }
}
