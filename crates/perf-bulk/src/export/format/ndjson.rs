use super::Format;
use crate::error::BoxError;
use serde::Serialize;

/// One JSON value a line.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Ndjson;

impl Format for Ndjson {
    fn row<T: Serialize>(&mut self, row: &T, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        serde_json::to_writer(&mut *bytes, row)?;
        bytes.push(b'\n');
        Ok(())
    }

    fn end(&mut self, rows: u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(format!("{{\"end\":{{\"rows\":{rows}}}}}\n").as_bytes());
    }
}
