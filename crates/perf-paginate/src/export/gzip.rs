use super::Export;
use super::encoder::{Encoder, no_json};
use super::recovery::{Line, Recovery, Scan};
use crate::error::Error;
use crate::source::PageSource;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufRead, BufReader, Read, Write as _};

impl<S: PageSource> Export<S> {
    /// Compresses with gzip, each stretch up to a checkpoint as a member of its own. Level 1 is fast, 9 small.
    #[must_use]
    pub fn gzip(self, level: u32) -> Self {
        Self {
            encoder: Box::new(Gzip::new(Compression::new(level.min(9)))),
            ..self
        }
    }
}

/// One gzip member after the other. Their headers name no time, so equal lines become equal bytes.
#[derive(Debug)]
struct Gzip {
    level: Compression,
    member: Option<GzEncoder<Vec<u8>>>,
    line: Vec<u8>,
    ready: Vec<u8>,
}

impl Gzip {
    const fn new(level: Compression) -> Self {
        Self {
            level,
            member: None,
            line: Vec::new(),
            ready: Vec::new(),
        }
    }
}

impl Encoder for Gzip {
    fn line(
        &mut self,
        write: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> Result<(), Error> {
        self.line.clear();
        write(&mut self.line).map_err(|_| no_json())?;
        self.line.push(b'\n');
        let (level, ready) = (self.level, &mut self.ready);
        let member = self
            .member
            .get_or_insert_with(|| GzEncoder::new(std::mem::take(ready), level));
        member.write_all(&self.line).map_err(impossible)
    }

    fn finish_member(&mut self) -> Result<(), Error> {
        if let Some(member) = self.member.take() {
            self.ready = member.finish().map_err(impossible)?;
        }
        Ok(())
    }

    fn ready(&self) -> usize {
        let ready = self.member.as_ref().map_or(&self.ready, GzEncoder::get_ref);
        ready.len()
    }

    fn take(&mut self) -> Vec<u8> {
        let ready = self
            .member
            .as_mut()
            .map_or(&mut self.ready, GzEncoder::get_mut);
        std::mem::take(ready)
    }
}

/// Writing to memory fails only where memory does.
fn impossible(error: io::Error) -> Error {
    Error::Backend {
        source: error.into(),
        transient: false,
    }
}

impl Recovery {
    /// As [`Recovery::read`], of what [`Export::gzip`] has written; lengths are of the compressed bytes.
    ///
    /// # Errors
    ///
    /// Those of `export`. Compressed bytes that end early or make no sense are no error: they are what is looked for.
    pub fn read_gzip(export: impl Read) -> io::Result<Self> {
        let mut counted = Counted {
            inner: BufReader::new(export),
            position: 0,
            failure: None,
        };
        let mut scan = Scan::default();
        while !counted.inner.fill_buf()?.is_empty() {
            let mut lines = BufReader::new(GzDecoder::new(&mut counted));
            let sound = member(&mut scan, &mut lines);
            // Whatever the member's lines say, its check sum has to say so too.
            let ended = sound && matches!(lines.read(&mut [0]), Ok(0));
            drop(lines);
            // To the decoder, an export that cannot be read is like one that makes no sense.
            if let Some(error) = counted.failure.take() {
                return Err(error);
            }
            if !ended || !scan.accept(counted.position) {
                break;
            }
        }
        Ok(scan.found())
    }
}

/// Whether the lines of one member end with a record that fits them.
fn member(scan: &mut Scan, lines: &mut impl BufRead) -> bool {
    loop {
        if scan.read(lines).is_err() {
            return false;
        }
        match scan.line() {
            Line::Row => {}
            Line::Record => return true,
            Line::Broken => return false,
        }
    }
}

/// Knows how many bytes were consumed, and why there are no more.
struct Counted<R> {
    inner: R,
    position: u64,
    failure: Option<io::Error>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Self { inner, failure, .. } = self;
        inner.fill_buf().map_err(|error| {
            let kind = error.kind();
            // That one is tried again.
            if kind != io::ErrorKind::Interrupted {
                *failure = Some(error);
            }
            kind.into()
        })
    }

    fn consume(&mut self, amount: usize) {
        self.position += u64::try_from(amount).unwrap_or(u64::MAX);
        self.inner.consume(amount);
    }
}
