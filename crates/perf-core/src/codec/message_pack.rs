use super::{Codec, CodecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// MessagePack with named fields: compact, and safe against reordered or added fields.
///
/// ```
/// use perf_core::{Codec, MessagePack};
///
/// let bytes = MessagePack.encode(&("EWR", 1_545))?;
/// assert_eq!(MessagePack.decode::<(String, u16)>(&bytes)?, ("EWR".to_owned(), 1_545));
/// # Ok::<(), perf_core::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl Codec for MessagePack {
    const ID: u8 = 0;

    fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        rmp_serde::encode::write_named(bytes, value)
            .map_err(|error| CodecError::Encode(error.into()))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        let mut rest = bytes;
        let value =
            rmp_serde::from_read(&mut rest).map_err(|error| CodecError::Decode(error.into()))?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(CodecError::TrailingBytes(rest.len()))
        }
    }
}
