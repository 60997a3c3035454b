use super::keyword::Keyword;
use super::lexer::{Kind, Token};

/// The longest text kept of a statement, in bytes. The fingerprint covers all of it.
const MAX_TEXT: usize = 4_096;
/// Deeper parentheses are written, but their lists are not collapsed.
const MAX_DEPTH: usize = 64;

/// Writes tokens without values: every literal and placeholder is `?`, and lists of them collapse, so
/// that neither values nor their number make a new statement.
///
/// `IN (1, 2, 3)` and `ARRAY[1, 2]` become `(?, ...)`; equal groups in a row, as multi-row `VALUES`
/// have them, become `(?, ?), ...`. A list of one stays `(?)`: batched and single lookups differ.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    hash: Fnv,
    open: Vec<Group>,
    /// Groups open beyond those in `open`.
    untracked: usize,
    /// The group that has just been closed, while nothing but a comma follows.
    closed: Option<Sibling>,
    previous: Previous,
    /// Whether something did not fit, so that nothing more is written.
    full: bool,
}

/// A place in the output to return to.
#[derive(Clone, Copy, Default)]
struct Mark {
    length: usize,
    hash: Fnv,
}

/// A parenthesis or bracket that is still open.
struct Group {
    start: usize,
    /// Whether it is a list of values, as after `IN`.
    list: bool,
    /// In such a list, the end of its first value while only values followed.
    values: Option<Elision>,
    /// The equal group that may stand right before it.
    sibling: Option<Sibling>,
}

/// A closed group and what has been left out after it.
struct Sibling {
    start: usize,
    end: usize,
    after: Elision,
    comma: bool,
}

#[derive(Clone, Copy)]
struct Elision {
    mark: Mark,
    done: bool,
}

/// Whether the fingerprint distinguishes upper case from lower.
#[derive(Clone, Copy)]
enum Case {
    Kept,
    Folded,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Previous {
    #[default]
    Start,
    /// `IN`, `ARRAY` or another word after which a group is a list of values.
    ListWord,
    Word,
    Value,
    Comma,
    /// An opening bracket, a dot or a colon: nothing follows at a distance.
    Tight,
    Symbol,
}

impl Writer {
    /// A writer of a statement of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        Self {
            text: String::with_capacity(length.min(MAX_TEXT)),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, token: Token<'_>) {
        match (token.kind, token.text) {
            (Kind::Literal | Kind::Parameter, _) => self.value(),
            (Kind::Symbol, "(" | "[") => self.open(token),
            (Kind::Symbol, ")" | "]") => self.close(token),
            (Kind::Symbol, ",") => self.comma(),
            (Kind::Symbol, _) => self.symbol(token),
            (Kind::Word, _) => self.word(token),
            (Kind::Quoted, _) => self.other(token.text, Case::Kept, Previous::Word, true),
        }
    }

    /// The fingerprint, the text, and whether that is all of it.
    pub(super) fn finish(self) -> (u64, String, bool) {
        (self.hash.0, self.text, !self.full)
    }

    fn value(&mut self) {
        self.closed = None;
        let repeated = self
            .open
            .last_mut()
            .filter(|_| self.previous == Previous::Comma);
        if let Some(elision) = repeated.and_then(|group| group.values.as_mut()) {
            let mut elision = *elision;
            self.elide(&mut elision);
            self.set_values(Some(elision));
            self.previous = Previous::Value;
            return;
        }
        let first = matches!(self.previous, Previous::Tight);
        self.write("?", Case::Kept, self.previous != Previous::Tight);
        self.previous = Previous::Value;
        let mark = self.mark();
        self.set_values(first.then_some(Elision { mark, done: false }));
    }

    fn set_values(&mut self, values: Option<Elision>) {
        if let Some(group) = self.open.last_mut().filter(|group| group.list) {
            group.values = values;
        }
    }

    fn open(&mut self, token: Token<'_>) {
        let sibling = self.closed.take().filter(|sibling| sibling.comma);
        self.set_values(None);
        // `count(` stays together, and so does `a[`, as far as the source has them so.
        let apart = match self.previous {
            Previous::Tight | Previous::Start => false,
            Previous::Word | Previous::ListWord => token.spaced,
            _ => true,
        };
        let list = self.previous == Previous::ListWord;
        self.write(token.text, Case::Kept, apart);
        if self.open.len() < MAX_DEPTH {
            self.open.push(Group {
                start: self.text.len().saturating_sub(1),
                list,
                values: None,
                sibling,
            });
        } else {
            self.untracked += 1;
        }
        self.previous = Previous::Tight;
    }

    fn close(&mut self, token: Token<'_>) {
        self.closed = None;
        self.write(token.text, Case::Kept, false);
        self.previous = Previous::Word;
        if self.untracked > 0 {
            self.untracked -= 1;
            return;
        }
        let Some(group) = self.open.pop() else { return };
        self.closed = Some(match group.sibling {
            Some(sibling) if self.repeats(&sibling, group.start) => {
                let mut sibling = sibling;
                self.elide(&mut sibling.after);
                Sibling {
                    comma: false,
                    ..sibling
                }
            }
            _ => Sibling {
                start: group.start,
                end: self.text.len(),
                after: Elision {
                    mark: self.mark(),
                    done: false,
                },
                comma: false,
            },
        });
    }

    /// Whether the group from `start` to the end reads as its sibling does.
    fn repeats(&self, sibling: &Sibling, start: usize) -> bool {
        let earlier = self.text.get(sibling.start..sibling.end);
        !self.full && earlier.is_some() && earlier == self.text.get(start..)
    }

    /// Takes back what follows the first of equal things, and says once that more followed.
    fn elide(&mut self, elision: &mut Elision) {
        self.text.truncate(elision.mark.length);
        self.hash = elision.mark.hash;
        if !elision.done {
            self.write(",", Case::Kept, false);
            self.write("...", Case::Kept, true);
            *elision = Elision {
                mark: self.mark(),
                done: true,
            };
        }
    }

    fn comma(&mut self) {
        let adjacent = self.previous == Previous::Word;
        if let Some(closed) = self.closed.as_mut().filter(|_| adjacent) {
            closed.comma = true;
        }
        self.write(",", Case::Kept, false);
        self.previous = Previous::Comma;
    }

    fn symbol(&mut self, token: Token<'_>) {
        let tight = matches!(token.text, "." | ":");
        let joined = self.previous == Previous::Symbol && !token.spaced;
        let apart = !(tight || joined || token.text == ";");
        let previous = if tight {
            Previous::Tight
        } else {
            Previous::Symbol
        };
        self.other(token.text, Case::Kept, previous, apart);
    }

    fn word(&mut self, token: Token<'_>) {
        let previous = match token.keyword {
            Keyword::In | Keyword::Array | Keyword::Any => Previous::ListWord,
            _ => Previous::Word,
        };
        // Databases compare bare words without regard to case.
        self.other(token.text, Case::Folded, previous, true);
    }

    fn other(&mut self, text: &str, case: Case, previous: Previous, apart: bool) {
        self.closed = None;
        self.set_values(None);
        self.write(text, case, apart && self.previous != Previous::Tight);
        self.previous = previous;
    }

    fn write(&mut self, text: &str, case: Case, apart: bool) {
        self.hash.token(text, case);
        let blank = if apart && !self.text.is_empty() {
            " "
        } else {
            ""
        };
        self.full |= self.text.len() + blank.len() + text.len() > MAX_TEXT;
        if !self.full {
            self.text.push_str(blank);
            self.text.push_str(text);
        }
    }

    const fn mark(&self) -> Mark {
        Mark {
            length: self.text.len(),
            hash: self.hash,
        }
    }
}

/// FNV-1a of 64 bits, because a fingerprint must be the same in every process and version.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn token(&mut self, token: &str, case: Case) {
        for byte in token.bytes() {
            self.byte(match case {
                Case::Kept => byte,
                Case::Folded => byte.to_ascii_lowercase(),
            });
        }
        // A byte that no UTF-8 text contains keeps `ab c` apart from `a bc`.
        self.byte(0xff);
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}
