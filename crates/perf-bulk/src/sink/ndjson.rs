//! Dead letters in a file of lines.
//!
//! The file is a journal: a line for each letter, and a line for each call that discards some. A line is
//! whole when its line break is there; a torn last line, as a crash leaves it, is cut off when the file is
//! opened. When nothing is kept any more the file is emptied.

use super::{DeadLetter, DeadLetterSink, KeptLetter, LetterId};
use crate::error::BulkError;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Dead letters in a file, one JSON object a line, synced to the disk before [`keep`](DeadLetterSink::keep)
/// returns.
///
/// One process may have the file open at a time. Letters that are kept are in memory too.
#[derive(Debug)]
pub struct NdjsonDeadLetters {
    journal: Arc<Mutex<Journal>>,
}

#[derive(Debug)]
struct Journal {
    file: File,
    kept: BTreeMap<u64, DeadLetter>,
    last: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line<'a> {
    Kept {
        id: u64,
        #[serde(flatten)]
        letter: std::borrow::Cow<'a, DeadLetter>,
    },
    Discarded {
        discarded: Vec<u64>,
    },
}

impl NdjsonDeadLetters {
    /// Opens the file at `path`, or creates it. Blocks while it reads what is there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_bulk::NdjsonDeadLetters;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let sink = NdjsonDeadLetters::open(folder.path().join("dead.ndjson"))?;
    /// # drop(sink);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BulkError::DeadLetters`] when the file cannot be opened or a whole line of it is no dead letter.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BulkError> {
        let journal = Journal::open(path.as_ref()).map_err(BulkError::dead_letters)?;
        Ok(Self {
            journal: Arc::new(Mutex::new(journal)),
        })
    }

    /// Works on the journal on a thread that may block.
    async fn write(
        &self,
        work: impl FnOnce(&mut Journal) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BulkError> {
        let journal = Arc::clone(&self.journal);
        let written = spawn_blocking(move || work(&mut journal.lock())).await;
        written
            .map_err(io::Error::other)
            .flatten()
            .map_err(BulkError::dead_letters)
    }
}

#[async_trait]
impl DeadLetterSink for NdjsonDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError> {
        let letters = letters.to_vec();
        self.write(|journal| journal.keep(letters)).await
    }

    async fn read(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(narrow(id)));
        let journal = self.journal.lock();
        let kept = journal.kept.range((from, Bound::Unbounded)).take(limit);
        Ok(kept
            .map(|(id, letter)| KeptLetter::new(LetterId(u128::from(*id)), letter.clone()))
            .collect())
    }

    async fn discard(&self, ids: &[LetterId]) -> Result<(), BulkError> {
        let ids = ids.iter().copied().map(narrow).collect();
        self.write(|journal| journal.discard(ids)).await
    }
}

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut journal = Self {
            file,
            kept: BTreeMap::new(),
            last: 0,
        };
        let whole = journal.load()?;
        journal.file.set_len(whole)?;
        Ok(journal)
    }

    /// Reads the lines; how many bytes of them are whole.
    fn load(&mut self) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut lines = BufReader::new(self.file.try_clone()?);
        let (mut whole, mut line) = (0, Vec::new());
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole += line.len() as u64;
            match serde_json::from_slice(&line)? {
                Line::Kept { id, letter } => {
                    self.last = self.last.max(id);
                    self.kept.insert(id, letter.into_owned());
                }
                Line::Discarded { discarded } => self.forget(&discarded),
            }
            line.clear();
        }
        Ok(whole)
    }

    fn keep(&mut self, letters: Vec<DeadLetter>) -> io::Result<()> {
        let letters: Vec<_> = (self.last + 1..).zip(letters).collect();
        let mut bytes = Vec::new();
        for (id, letter) in &letters {
            let letter = std::borrow::Cow::Borrowed(letter);
            push_line(&mut bytes, &Line::Kept { id: *id, letter })?;
        }
        self.append(&bytes)?;
        self.last += letters.len() as u64;
        self.kept.extend(letters);
        Ok(())
    }

    fn discard(&mut self, discarded: Vec<u64>) -> io::Result<()> {
        if discarded.iter().all(|id| !self.kept.contains_key(id)) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        push_line(
            &mut bytes,
            &Line::Discarded {
                discarded: discarded.clone(),
            },
        )?;
        self.append(&bytes)?;
        self.forget(&discarded);
        if self.kept.is_empty() {
            self.file.set_len(0)?;
        }
        Ok(())
    }

    fn forget(&mut self, ids: &[u64]) {
        for id in ids {
            self.kept.remove(id);
        }
    }

    /// Appends whole lines, or none: what a failed write leaves is cut off.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.file.seek(SeekFrom::End(0))?;
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.file.set_len(end)?;
        }
        written
    }
}

/// Ids of this sink fit; any other names no letter of it.
fn narrow(id: LetterId) -> u64 {
    u64::try_from(id.0).unwrap_or(u64::MAX)
}

fn push_line(bytes: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, line)?;
    bytes.push(b'\n');
    Ok(())
}
