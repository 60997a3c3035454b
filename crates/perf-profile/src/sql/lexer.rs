use super::keyword::Keyword;
use perf_core::Dialect;

/// What a token is, as far as fingerprints care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a bare identifier.
    Word,
    /// An identifier in quotes or brackets.
    Quoted,
    /// A string, a number with its sign and prefix, or a truth value.
    Literal,
    /// A placeholder.
    Parameter,
    /// One byte of punctuation or of an operator, or an operator that its bytes would misrepresent.
    Symbol,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// What a bare word means.
    pub(super) keyword: Keyword,
    /// Whether blanks or comments stood before it.
    pub(super) spaced: bool,
}

/// Cuts SQL into tokens, dropping blanks and comments. What is not closed ends with the text.
///
/// Tokens begin and end at ASCII bytes or at the text's end, so they are whole characters.
pub(super) struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    dialect: Dialect,
    /// Whether the last token ends an operand, so that a sign after it is an operator.
    operand: bool,
    /// Whether the last token compares, so that what follows is likely a value.
    compares: bool,
    /// How many parentheses are open since `IN` or `VALUES`; `None` elsewhere.
    values: Option<u32>,
}

/// Operators that are no comparison although a byte of them is, and `!=`.
const OPERATORS: [&str; 6] = ["->>", "->", "!=", "#>>", "#>", "@>"];

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let spaced = self.skip_blanks();
        let start = self.at;
        let kind = self.scan(self.peek(0)?);
        let text = self.sql.get(start..self.at).unwrap_or_default();
        let (kind, keyword) = match kind {
            Kind::Word => match Keyword::of(text) {
                Keyword::Truth => (Kind::Literal, Keyword::None),
                keyword => (Kind::Word, keyword),
            },
            other => (other, Keyword::None),
        };
        self.operand = match kind {
            Kind::Word => !keyword.expects_operand(),
            Kind::Symbol => matches!(text, ")" | "]"),
            Kind::Quoted | Kind::Literal | Kind::Parameter => true,
        };
        self.compares = match kind {
            Kind::Word => keyword.compares(),
            Kind::Symbol => matches!(text, "=" | "<" | ">" | "!="),
            _ => false,
        };
        self.values = self.values_after(keyword, text);
        Some(Token {
            kind,
            text,
            keyword,
            spaced,
        })
    }
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self {
            sql,
            at: 0,
            dialect,
            operand: false,
            compares: false,
            values: None,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    const fn is_mysql(&self) -> bool {
        matches!(self.dialect, Dialect::MySql | Dialect::MariaDb)
    }

    const fn is_postgres(&self) -> bool {
        matches!(self.dialect, Dialect::Postgres)
    }

    const fn is_sqlite(&self) -> bool {
        matches!(self.dialect, Dialect::Sqlite)
    }

    /// Reads one token, at least one byte.
    fn scan(&mut self, first: u8) -> Kind {
        match first {
            b'\'' => self.string(self.is_mysql()),
            b'"' if self.is_mysql() => self.string(true),
            b'"' if self.is_sqlite() => self.quoted_or_value(),
            b'"' => self.quoted(b'"'),
            b'`' if !self.is_postgres() => self.quoted(b'`'),
            b'[' if self.is_sqlite() => self.quoted(b']'),
            b'$' if self.is_postgres() => self.dollar(),
            b'?' if !self.is_postgres() || self.is_placeholder() => self.parameter(),
            b':' | b'@' | b'$' if self.is_sqlite() && self.peek(1).is_some_and(is_word) => {
                self.parameter()
            }
            b'0'..=b'9' => self.number(),
            b'.' if !self.operand && self.digit_follows(1) => self.number(),
            b'-' | b'+' if !self.operand && self.digit_follows(1) => self.number(),
            _ if is_word(first) => self.word(),
            _ => {
                self.at += self.operator();
                Kind::Symbol
            }
        }
    }

    /// The length of the operator here.
    fn operator(&self) -> usize {
        let rest = &self.sql[self.at..];
        let own = match self.dialect {
            Dialect::Postgres => "<@",
            Dialect::MySql | Dialect::MariaDb => "<=>",
            _ => "!=",
        };
        let mut operators = OPERATORS.iter().chain([&own]);
        let whole = operators.find(|operator| rest.starts_with(**operator));
        whole.map_or(1, |operator| operator.len())
    }

    /// Whether a `?` to Postgres, whose own placeholders are numbered, is one all the same: its
    /// operators `?`, `?|` and `?&` stand between operands, and `@?` is one operator.
    fn is_placeholder(&self) -> bool {
        let operator = matches!(self.peek(1), Some(b'|' | b'&' | b'-' | b'#'));
        !self.operand && !operator && self.byte_before() != Some(b'@')
    }

    /// The byte before the present one.
    fn byte_before(&self) -> Option<u8> {
        let at = self.at.checked_sub(1)?;
        Some(self.sql.as_bytes()[at])
    }

    /// Whether the next token is in the list of `IN` or `VALUES`, and how deep.
    fn values_after(&self, keyword: Keyword, text: &str) -> Option<u32> {
        match (keyword, text, self.values) {
            (Keyword::In | Keyword::Values, ..) => Some(0),
            (Keyword::Select, ..) => None,
            (_, "(", Some(depth)) => Some(depth.saturating_add(1)),
            (_, ")", Some(depth)) => Some(depth.saturating_sub(1)),
            (_, ",", values) => values,
            (_, _, Some(0)) => None,
            (_, _, values) => values,
        }
    }

    fn digit_follows(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|byte| byte.is_ascii_digit())
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        loop {
            let before = self.at;
            self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            match (self.peek(0), self.peek(1)) {
                (Some(b'-'), Some(b'-')) if !self.is_mysql() || self.ends_mysql_dashes() => {
                    self.skip_while(|byte| byte != b'\n');
                }
                (Some(b'#'), _) if self.is_mysql() => self.skip_while(|byte| byte != b'\n'),
                (Some(b'/'), Some(b'*')) => self.skip_block_comment(),
                _ => {}
            }
            if self.at == before {
                return before > start;
            }
        }
    }

    /// MySQL takes `--` for a comment only before a blank or the end: `1--1` is a subtraction.
    fn ends_mysql_dashes(&self) -> bool {
        self.peek(2)
            .is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) if depth == 0 || self.is_postgres() => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    /// A string at its opening quote; a doubled quote stands for one, and so may an escaped one.
    fn string(&mut self, escapes: bool) -> Kind {
        let quote = self.peek(0);
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at = (self.at + 1).min(self.sql.len());
            } else if Some(byte) == quote {
                if self.peek(0) != quote {
                    break;
                }
                self.at += 1;
            }
        }
        Kind::Literal
    }

    /// An identifier at its opening quote, up to `close`.
    fn quoted(&mut self, close: u8) -> Kind {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == close {
                if self.peek(0) != Some(close) || close == b']' {
                    break;
                }
                self.at += 1;
            }
        }
        Kind::Quoted
    }

    /// SQLite takes text in double quotes for a string where it knows no such column, so where a value
    /// is likely and no table's name stands beside it, it may be one.
    fn quoted_or_value(&mut self) -> Kind {
        let value = self.compares || self.values.is_some_and(|depth| depth > 0);
        let of_table = self.byte_before() == Some(b'.');
        let name = self.quoted(b'"');
        if value && !of_table && self.peek(0) != Some(b'.') {
            Kind::Literal
        } else {
            name
        }
    }

    fn parameter(&mut self) -> Kind {
        self.at += 1;
        self.skip_while(is_word);
        Kind::Parameter
    }

    /// `$1`, or a string between two equal `$tag$`.
    fn dollar(&mut self) -> Kind {
        if self.digit_follows(1) {
            return self.parameter();
        }
        let rest = &self.sql[self.at..];
        let tag_end = rest[1..].find(|c: char| !(c == '_' || c.is_alphanumeric()));
        match tag_end.filter(|end| rest.as_bytes()[end + 1] == b'$') {
            Some(end) => {
                let tag = &rest[..end + 2];
                let body = &rest[tag.len()..];
                let length = body.find(tag).map_or(body.len(), |close| close + tag.len());
                self.at += tag.len() + length;
                Kind::Literal
            }
            None => {
                self.at += 1;
                Kind::Symbol
            }
        }
    }

    fn number(&mut self) -> Kind {
        self.at += 1;
        loop {
            let previous = self.sql.as_bytes()[self.at - 1];
            match self.peek(0) {
                Some(b'+' | b'-') if matches!(previous, b'e' | b'E') && self.digit_follows(1) => {}
                Some(byte) if byte == b'.' || (is_word(byte) && byte.is_ascii()) => {}
                _ => return Kind::Literal,
            }
            self.at += 1;
        }
    }

    /// A word, or the string that it prefixes.
    fn word(&mut self) -> Kind {
        let start = self.at;
        self.skip_while(is_word);
        let word = &self.sql.as_bytes()[start..self.at];
        match (word, self.peek(0)) {
            ([b'e' | b'E'], Some(b'\'')) if self.is_postgres() => self.string(true),
            ([b'b' | b'B' | b'x' | b'X' | b'n' | b'N'], Some(b'\'')) => {
                self.string(self.is_mysql())
            }
            ([b'u' | b'U'], Some(b'&')) if self.is_postgres() && self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.string(false)
            }
            _ => Kind::Word,
        }
    }
}

/// Bytes of identifiers; those outside ASCII belong to letters of other scripts.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str, dialect: Dialect) -> String {
        let kinds = Lexer::new(sql, dialect).map(|token| match token.kind {
            Kind::Word => 'w',
            Kind::Quoted => 'q',
            Kind::Literal => 'l',
            Kind::Parameter => 'p',
            Kind::Symbol => 's',
        });
        kinds.collect()
    }

    #[test]
    fn each_dialect_quotes_its_own_way() {
        use Dialect::{MySql, Postgres, Sqlite};
        let cases = [
            ("E'it\\'s' x", Postgres, "lw"),
            ("'it\\' x", Postgres, "lw"),
            ("'it\\'s' x", MySql, "lw"),
            ("\"it's\" x", MySql, "lw"),
            ("\"a\"\"b\" x", Postgres, "qw"),
            ("$tag$ '$1' $$ $tag$ x", Postgres, "lw"),
            ("$1 $2::int", Postgres, "ppssw"),
            ("= ? AND a ? 'k' ?| b @? '$'", Postgres, "spwwslsswssl"),
            (
                "a = \"b\" OR a IN (\"c\", \"t\".\"d\"), \"e\"",
                Sqlite,
                "wslwwwslsqsqssq",
            ),
            ("`a` [b c] \"d\"", Sqlite, "qqq"),
            ("?1 :name @name $name", Sqlite, "pppp"),
            ("a[1]", Postgres, "wsls"),
            ("U&'d\\0061t' X'1F' B'01'", Postgres, "lll"),
        ];
        for (sql, dialect, expected) in cases {
            assert_eq!(kinds(sql, dialect), expected, "{sql}");
        }
    }

    #[test]
    fn comments_are_blanks() {
        assert_eq!(
            kinds("a /* x /* y */ z */ b -- c\n d", Dialect::Postgres),
            "www"
        );
        assert_eq!(
            kinds("a /* x /* y */ b # c\n d -- e", Dialect::MySql),
            "www"
        );
        assert_eq!(kinds("1--1", Dialect::MySql), "lsl");
        assert_eq!(kinds("a /* open", Dialect::Sqlite), "w");
    }

    #[test]
    fn signs_belong_to_numbers_unless_they_subtract() {
        assert_eq!(kinds("= -1.5e-3", Dialect::Sqlite), "sl");
        assert_eq!(kinds("a -1", Dialect::Sqlite), "wsl");
        assert_eq!(kinds("LIMIT -1", Dialect::Sqlite), "wl");
        assert_eq!(kinds("0xFF,.5,1.,1_000", Dialect::Postgres), "lslslsl");
        assert_eq!(kinds("t1.c2", Dialect::Postgres), "wsw");
    }
}
