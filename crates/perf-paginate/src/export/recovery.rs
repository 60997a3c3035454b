use super::{Checkpoint, RECORD, Record};
use std::io::{self, BufRead, BufReader, Read};

/// What there is of an export: all of it, or how much of it is of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether nothing is missing: the end is there, and as many rows as it says.
    pub is_complete: bool,
    /// The bytes to keep: all up to the checkpoint, or to the end.
    pub length: u64,
    /// The rows in them.
    pub rows: u64,
    /// Where to [`resume`](super::Export::resume). `None` when it is complete, or to be begun anew.
    pub checkpoint: Option<Checkpoint>,
}

impl Recovery {
    /// Reads an export, or what there is of one, line by line. However long a line is, memory holds 64 KiB of it.
    ///
    /// # Errors
    ///
    /// Those of `export`. Lines that are damaged or missing are no error: they are what is looked for.
    pub fn read(export: impl Read) -> io::Result<Self> {
        let mut lines = BufReader::new(export);
        let mut scan = Scan::default();
        let mut position = 0;
        loop {
            position += scan.read(&mut lines)?;
            let goes_on = match scan.line() {
                Line::Row => true,
                Line::Record => scan.accept(position),
                Line::Broken => false,
            };
            if !goes_on {
                return Ok(scan.found());
            }
        }
    }
}

/// What one line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Row,
    Record,
    /// Not a whole line, or one that contradicts those before.
    Broken,
}

/// Counts rows, and believes a record only if it counted as many.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The last line, or its start.
    line: Vec<u8>,
    rows: u64,
    record: Option<Record>,
    found: Recovery,
}

/// The longest record, in bytes: a cursor's length is bounded by what a URL bears. Of a row its first bytes are enough.
const LONGEST: usize = 64 << 10;

impl Scan {
    /// Reads the next line, of which it keeps no more than a record has; how many bytes there were.
    pub(super) fn read(&mut self, lines: &mut impl BufRead) -> io::Result<u64> {
        self.line.clear();
        let mut bytes = 0;
        loop {
            let there = match lines.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            let end = there.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(there.len(), |end| end + 1);
            let content = &there[..end.unwrap_or(taken)];
            let room = LONGEST.saturating_sub(self.line.len());
            self.line
                .extend_from_slice(&content[..content.len().min(room)]);
            lines.consume(taken);
            bytes += u64::try_from(taken).unwrap_or(u64::MAX);
            if end.is_some() {
                self.line.push(b'\n');
            }
            if end.is_some() || taken == 0 {
                return Ok(bytes);
            }
        }
    }

    /// What the line is that was read last.
    pub(super) fn line(&mut self) -> Line {
        let Some(line) = self.line.strip_suffix(b"\n") else {
            return Line::Broken;
        };
        if !line.starts_with(RECORD) {
            self.rows += 1;
            return Line::Row;
        }
        let rows = self.rows;
        match serde_json::from_slice(line) {
            Ok(record) if counted(&record) == Some(rows) => {
                self.record = Some(record);
                Line::Record
            }
            _ => Line::Broken,
        }
    }

    /// Takes the last record for true; whether more may follow.
    pub(super) fn accept(&mut self, position: u64) -> bool {
        let is_complete = matches!(self.record, Some(Record::End { .. }));
        let checkpoint = match self.record.take() {
            Some(Record::Checkpoint(checkpoint)) => Some(checkpoint),
            _ => None,
        };
        self.found = Recovery {
            is_complete,
            length: position,
            rows: self.rows,
            checkpoint,
        };
        !is_complete
    }

    pub(super) fn found(self) -> Recovery {
        self.found
    }
}

/// The rows that a record says precede it; `None` for one that ends a failed export.
const fn counted(record: &Record) -> Option<u64> {
    match record {
        Record::Checkpoint(checkpoint) => Some(checkpoint.rows),
        Record::End { rows } => Some(*rows),
        Record::Error { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &str = "{\"$checkpoint\":{\"rows\":2,\"cursor\":\"c\"}}\n";

    fn read(text: &str) -> Recovery {
        Recovery::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_a_record_confirms_is_kept() {
        let whole = format!("1\n2\n{CHECKPOINT}3\n{{\"$end\":{{\"rows\":3}}}}\n");
        let at_checkpoint = 4 + CHECKPOINT.len();
        for length in 0..=whole.len() {
            let found = read(&whole[..length]);
            assert_eq!(found.is_complete, length == whole.len(), "{length}");
            let kept = match length {
                _ if found.is_complete => whole.len(),
                _ if length >= at_checkpoint => at_checkpoint,
                _ => 0,
            };
            assert_eq!(found.length, u64::try_from(kept).unwrap());
            assert_eq!(found.checkpoint.is_some(), kept == at_checkpoint);
        }
    }

    #[test]
    fn a_line_of_any_length_is_read_in_little_memory() {
        let long = "x".repeat(10 * LONGEST);
        let whole = format!("{long}\n2\n{CHECKPOINT}");
        assert_eq!(read(&whole).rows, 2);
        let endless = Read::take(io::repeat(b'{'), 1 << 24);
        let mut scan = Scan::default();
        let read = scan.read(&mut BufReader::new(endless)).unwrap();
        assert_eq!((read, scan.line.capacity() <= 2 * LONGEST), (1 << 24, true));
        assert_eq!(scan.line(), Line::Broken);
        let record = format!("{{\"$checkpoint\":{{\"rows\":0,\"cursor\":\"{long}\"}}}}\n");
        assert_eq!(self::read(&record), Recovery::default());
    }

    #[test]
    fn a_hole_is_found_by_counting() {
        assert_eq!(read(&format!("1\n{CHECKPOINT}")), Recovery::default());
        assert!(!read(&format!("1\n2\n{CHECKPOINT}{{\"$end\":{{\"rows\":3}}}}\n")).is_complete);
        let failed = "1\n{\"$error\":{\"rows\":1,\"transient\":true}}\n{\"$end\":{\"rows\":1}}\n";
        assert_eq!(read(failed), Recovery::default());
    }
}
