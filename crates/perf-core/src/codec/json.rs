use super::{Codec, CodecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// JSON: readable by people and by every other language, two to three times the size of
/// [`MessagePack`](super::MessagePack).
///
/// ```
/// use perf_core::{Codec, Json};
///
/// assert_eq!(Json.encode(&["EWR", "LGA"])?, br#"["EWR","LGA"]"#);
/// assert!(Json.decode::<Vec<String>>(b"[1]").is_err());
/// # Ok::<(), perf_core::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    const ID: u8 = 1;

    fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        serde_json::to_writer(bytes, value).map_err(|error| CodecError::Encode(error.into()))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| CodecError::Decode(error.into()))
    }
}
