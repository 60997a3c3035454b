use super::{Codec, CodecError};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read, Write};

/// Another codec's bytes, gzipped when that is worth it.
///
/// Values of at least `threshold` bytes (default 1,024) are compressed at gzip's level 1 and kept so if
/// that saves a tenth or more. Inflating stops at `limit` bytes (default 16 MiB), so a bomb of a few
/// kilobytes costs no more than that. One leading byte tells the two forms apart.
///
/// ```
/// use perf_core::{Codec, CodecError, Compressed, Json};
///
/// let bomb = Compressed::new(Json).encode(&" ".repeat(1 << 20))?;
/// let careful = Compressed::new(Json).with_limit(1 << 16);
/// assert!(matches!(careful.decode::<String>(&bomb), Err(CodecError::TooLarge { limit: 65_536 })));
/// # Ok::<(), CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Compressed<C> {
    inner: C,
    threshold: usize,
    limit: usize,
}

const PLAIN: u8 = 0;
const GZIP: u8 = 1;

impl<C: Codec> Compressed<C> {
    /// Compresses what `inner` writes.
    #[must_use]
    pub const fn new(inner: C) -> Self {
        Self {
            inner,
            threshold: 1_024,
            limit: 16 << 20,
        }
    }

    /// The size in bytes from which compression is tried.
    #[must_use]
    pub const fn with_threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// The largest decompressed size in bytes that decoding accepts.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    fn inflate(&self, packed: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut plain = Vec::new();
        // One byte beyond the limit tells "at the limit" from "above it".
        let bound = u64::try_from(self.limit)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        GzDecoder::new(packed)
            .take(bound)
            .read_to_end(&mut plain)
            .map_err(|error| CodecError::Decode(error.into()))?;
        if plain.len() > self.limit {
            return Err(CodecError::TooLarge { limit: self.limit });
        }
        Ok(plain)
    }
}

impl<C: Codec> Codec for Compressed<C> {
    const ID: u8 = C::ID | 0x80;

    fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let start = bytes.len();
        bytes.push(PLAIN);
        self.inner.encode_into(value, bytes)?;
        let plain = &bytes[start + 1..];
        if plain.len() < self.threshold {
            return Ok(());
        }
        let packed = deflate(plain).map_err(|error| CodecError::Encode(error.into()))?;
        if packed.len() <= plain.len() - plain.len() / 10 {
            bytes.truncate(start);
            bytes.push(GZIP);
            bytes.extend_from_slice(&packed);
        }
        Ok(())
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        match bytes.split_first() {
            Some((&PLAIN, plain)) => self.inner.decode(plain),
            Some((&GZIP, packed)) => self.inner.decode(&self.inflate(packed)?),
            Some((form, _)) => Err(CodecError::Decode(format!("unknown form {form}").into())),
            None => Err(CodecError::Decode("no bytes".into())),
        }
    }
}

fn deflate(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}
