/// What a bare word means to whoever reads a statement without its grammar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keyword {
    /// An identifier, or a keyword that nobody asks for.
    #[default]
    None,
    /// The name of a function that aggregates, where a parenthesis follows.
    Aggregate,
    Any,
    Array,
    Between,
    Delete,
    Distinct,
    Fetch,
    For,
    From,
    Group,
    In,
    Insert,
    /// `LIKE` and its like, in front of a pattern.
    Like,
    Limit,
    Match,
    Not,
    Offset,
    On,
    /// Any other word that stands before an operand: `AND`, `BY`, `CASE`.
    Opening,
    Replace,
    Select,
    /// `TRUE` or `FALSE`.
    Truth,
    Update,
    Values,
    Where,
}

/// The length of the longest keyword.
const LONGEST: usize = 9;

impl Keyword {
    #[inline]
    pub(super) fn of(word: &str) -> Self {
        let mut folded = [0; LONGEST];
        let Some(folded) = folded.get_mut(..word.len()) else {
            return Self::None;
        };
        folded.copy_from_slice(word.as_bytes());
        folded.make_ascii_lowercase();
        match &*folded {
            b"sum" | b"min" | b"max" | b"avg" | b"count" => Self::Aggregate,
            b"any" => Self::Any,
            b"array" => Self::Array,
            b"between" => Self::Between,
            b"delete" => Self::Delete,
            b"distinct" => Self::Distinct,
            b"fetch" => Self::Fetch,
            b"for" => Self::For,
            b"from" => Self::From,
            b"group" => Self::Group,
            b"in" => Self::In,
            b"insert" => Self::Insert,
            b"glob" | b"ilike" | b"like" | b"regexp" => Self::Like,
            b"limit" => Self::Limit,
            b"match" => Self::Match,
            b"not" => Self::Not,
            b"offset" => Self::Offset,
            b"on" => Self::On,
            b"and" | b"by" | b"case" | b"else" | b"having" | b"is" | b"or" | b"returning"
            | b"then" | b"when" => Self::Opening,
            b"replace" => Self::Replace,
            b"select" => Self::Select,
            b"true" | b"false" => Self::Truth,
            b"update" => Self::Update,
            b"values" => Self::Values,
            b"where" => Self::Where,
            _ => Self::None,
        }
    }

    /// Whether a sign after it belongs to the number that follows.
    pub(super) const fn expects_operand(self) -> bool {
        matches!(
            self,
            Self::Between
                | Self::From
                | Self::In
                | Self::Like
                | Self::Limit
                | Self::Not
                | Self::Offset
                | Self::On
                | Self::Opening
                | Self::Select
                | Self::Values
                | Self::Where
        )
    }

    /// Whether it compares, so that what follows is likely a value.
    pub(super) const fn compares(self) -> bool {
        matches!(self, Self::Like | Self::Match)
    }
}
