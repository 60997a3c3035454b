use super::Export;
use super::packing::Packing;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

struct Gzip(GzEncoder<Vec<u8>>);

impl<F> Export<F> {
    /// Compresses by gzip at its fastest level.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::stream;
    /// use perf_bulk::Export;
    ///
    /// let rows = (0..10_000).map(|_| Ok::<_, std::io::Error>("JFK"));
    /// let mut file = Vec::new();
    /// Export::ndjson().gzip().write_to(&mut file, stream::iter(rows)).await?;
    /// assert!(file.len() < 1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gzip(mut self) -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        self.packing = Box::new(Gzip(encoder));
        self
    }
}

impl Packing for Gzip {
    fn pack(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.0.write_all(bytes)?;
        bytes.clear();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.try_finish()
    }

    fn packed(&mut self) -> &mut Vec<u8> {
        self.0.get_mut()
    }
}
