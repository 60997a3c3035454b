//! Values to bytes and back, where the bytes may have been written by anyone.
//!
//! Decoding hostile bytes returns an error: it never panics, and it never allocates more than the
//! bytes' own size allows, or than the bound of [`Compressed`] for compressed ones.
//!
//! [`MessagePack`] writes structs as maps with named fields. The positional form is a third smaller,
//! but reordering two fields of one type then decodes silently into the wrong ones.

mod compressed;
mod json;
mod message_pack;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;

pub use compressed::Compressed;
pub use json::Json;
pub use message_pack::MessagePack;

/// A way to write a value as bytes and to read it again.
///
/// ```
/// use perf_core::{Codec, Compressed, MessagePack};
///
/// # fn main() -> Result<(), perf_core::CodecError> {
/// let codec = Compressed::new(MessagePack);
/// let bytes = codec.encode(&vec!["JFK"; 1_000])?;
/// assert!(bytes.len() < 100);
/// assert_eq!(codec.decode::<Vec<String>>(&bytes)?.len(), 1_000);
/// # Ok(())
/// # }
/// ```
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// Tells formats apart in stored bytes. Values 0 to 15 are this crate's own.
    const ID: u8;

    /// Appends `value` to `bytes`.
    ///
    /// # Errors
    ///
    /// When the value has no form in this format, a map with structs as keys in JSON for instance.
    /// `bytes` may then hold a part of it.
    fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError>;

    /// Reads a value from exactly these bytes.
    ///
    /// # Errors
    ///
    /// When the bytes are not one whole value of this type in this format, or exceed a bound.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// Writes `value` to fresh bytes.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode_into`].
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        self.encode_into(value, &mut bytes)?;
        Ok(bytes)
    }
}

/// Why a value could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value has no form in the format.
    #[error("the value cannot be encoded")]
    Encode(#[source] Box<dyn Error + Send + Sync>),
    /// The bytes are not a value of the type.
    #[error("the bytes cannot be decoded")]
    Decode(#[source] Box<dyn Error + Send + Sync>),
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    TrailingBytes(usize),
    /// The decompressed value is larger than allowed.
    #[error("the decompressed value exceeds {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
}
