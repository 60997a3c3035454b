use crate::error::Error;

/// What lines become on their way out.
pub(super) trait Encoder: Send {
    /// Adds what `write` writes, as a line.
    fn line(&mut self, write: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>)
    -> Result<(), Error>;

    /// Ends a stretch that can be read by itself.
    fn finish_member(&mut self) -> Result<(), Error>;

    /// How many bytes are ready to go out.
    fn ready(&self) -> usize;

    /// What is ready to go out.
    fn take(&mut self) -> Vec<u8>;
}

/// Lines as they are.
#[derive(Debug, Default)]
pub(super) struct Verbatim(Vec<u8>);

impl Encoder for Verbatim {
    fn line(
        &mut self,
        write: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> Result<(), Error> {
        let start = self.0.len();
        if write(&mut self.0).is_err() {
            // Half a row would swallow the line that says why there is no more.
            self.0.truncate(start);
            return Err(no_json());
        }
        self.0.push(b'\n');
        Ok(())
    }

    fn finish_member(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn ready(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self) -> Vec<u8> {
        // The next piece will be about as long.
        let capacity = self.0.len() + self.0.len() / 8;
        std::mem::replace(&mut self.0, Vec::with_capacity(capacity))
    }
}

pub(super) fn no_json() -> Error {
    Error::Configuration("an item has no form in JSON, or that of a record".into())
}
