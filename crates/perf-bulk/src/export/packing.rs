//! What happens to bytes on their way out.

use std::io;

/// Packs bytes. What is packed is taken out again, chunk by chunk.
pub(super) trait Packing: Send + Sync {
    /// Packs `bytes` and empties it.
    fn pack(&mut self, bytes: &mut Vec<u8>) -> io::Result<()>;
    /// Packs what is left inside.
    fn finish(&mut self) -> io::Result<()>;
    /// What is packed so far.
    fn packed(&mut self) -> &mut Vec<u8>;
}

/// Bytes as they are.
#[derive(Debug, Default)]
pub(super) struct Plain {
    bytes: Vec<u8>,
}

impl Packing for Plain {
    fn pack(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.bytes.append(bytes);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn packed(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
