use super::keyword::Keyword;
use super::lexer::{Kind, Token};

/// What a statement does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verb {
    /// `SELECT`, also behind `WITH`.
    Select,
    /// `INSERT` or `REPLACE`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// Anything else: transactions, settings, definitions.
    #[default]
    Other,
}

/// The traits of a statement that lints ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Shape {
    /// What it does.
    pub verb: Verb,
    /// It selects `*` or `t.*`, other than in a subquery.
    pub star: bool,
    /// It reads a table: it has a `FROM`.
    pub table: bool,
    /// It has placeholders.
    pub parameters: bool,
    /// It locks rows: `FOR UPDATE` and its like.
    pub locks: bool,
    /// It has several rows of `VALUES`.
    pub many_rows: bool,
    /// It has a `WHERE`.
    pub filter: bool,
    /// A condition compares something with one value: `= ?` or `IN (?)`.
    pub key_lookup: bool,
    /// Such a value is a placeholder, so that each execution may have another.
    pub key_parameter: bool,
    /// A condition compares something with a list of values: `IN (?, ...)` or `= ANY(?)`.
    pub key_list: bool,
    /// Such a list has placeholders.
    pub list_parameter: bool,
    /// A condition compares something with a bound: `> ?`, `<= ?`, `BETWEEN`.
    pub range: bool,
    /// It has a `LIMIT` or `FETCH FIRST`.
    pub limit: bool,
    /// That limit is one row.
    pub single: bool,
    /// It has an `OFFSET`, or MySQL's `LIMIT ?, ?`.
    pub offset: bool,
    /// It aggregates or groups, so that it returns few rows whatever it reads.
    pub aggregate: bool,
}

/// Reads a statement's traits off its tokens.
#[derive(Default)]
pub(super) struct Observer {
    shape: Shape,
    /// The three tokens before the present one, the nearest first.
    before: [Seen; 3],
    list: List,
    /// Parentheses that are open.
    depth: u32,
    /// Whether comparisons are conditions: not so in a list of columns.
    conditions: bool,
}

/// A token as far as the next three need to know it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Other,
    /// `=`, or a parenthesis right after it: what is compared stands within.
    Equals,
    /// A word after `=`, which may be a function of what is compared.
    Equated,
    Less,
    Greater,
    Select,
    Distinct,
    Comma,
    Dot,
    Not,
    In,
    Open,
    Close,
    Limit,
    Value,
    Parameter,
    Aggregate,
}

/// How far into `IN (` the present token is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    Outside,
    Open,
    One {
        parameter: bool,
    },
    More {
        parameter: bool,
    },
}

impl Observer {
    #[inline]
    pub(super) fn observe(&mut self, token: Token<'_>) {
        if token.kind != Kind::Symbol || token.text == "(" {
            self.note_bound();
        }
        let seen = match token.kind {
            Kind::Word => self.word(token.keyword),
            Kind::Literal => self.value(token.text, Seen::Value),
            Kind::Parameter => {
                self.shape.parameters = true;
                self.value(token.text, Seen::Parameter)
            }
            Kind::Symbol => self.symbol(token.text),
            Kind::Quoted => self.operand(),
        };
        self.track_list(seen);
        self.before = [seen, self.before[0], self.before[1]];
    }

    pub(super) const fn finish(self) -> Shape {
        self.shape
    }

    /// Notes that the operator before the present operand bounds something, if it does.
    fn note_bound(&mut self) {
        let bound = match self.before {
            [Seen::Less, ..] => true,
            // `<>` excludes, it does not bound.
            [Seen::Greater, before, _] => before != Seen::Less,
            [Seen::Equals, ..] => self.is_bound(),
            _ => false,
        };
        self.shape.range |= bound && self.conditions;
    }

    /// Whether the `=` before the present token is that of `<=` or `>=`.
    const fn is_bound(&self) -> bool {
        matches!(self.before[1], Seen::Less | Seen::Greater)
    }

    fn word(&mut self, keyword: Keyword) -> Seen {
        let shape = &mut self.shape;
        match keyword {
            Keyword::Aggregate => return Seen::Aggregate,
            Keyword::Any => {
                shape.key_list = true;
                shape.list_parameter = true;
                return Seen::Other;
            }
            Keyword::Between => shape.range = true,
            Keyword::Delete => shape.verb = shape.verb.or(Verb::Delete),
            Keyword::Distinct => return Seen::Distinct,
            Keyword::Fetch => shape.limit = true,
            Keyword::For => shape.locks |= shape.verb == Verb::Select && shape.table,
            Keyword::From => shape.table = true,
            Keyword::Group => shape.aggregate = true,
            Keyword::In if self.before[0] != Seen::Not => return Seen::In,
            Keyword::Insert => shape.verb = shape.verb.outranked(Verb::Insert),
            Keyword::Limit => {
                shape.limit = true;
                return Seen::Limit;
            }
            Keyword::Not => return Seen::Not,
            Keyword::Offset => shape.offset = true,
            Keyword::On => self.conditions = true,
            Keyword::Replace if shape.verb == Verb::Other => shape.verb = Verb::Insert,
            Keyword::Select => {
                shape.verb = shape.verb.or(Verb::Select);
                return Seen::Select;
            }
            Keyword::Update => shape.verb = shape.verb.or(Verb::Update),
            Keyword::Where => {
                shape.filter = true;
                self.conditions = true;
            }
            _ => {}
        }
        self.operand()
    }

    /// A word that may be compared, or a function of what is.
    const fn operand(&self) -> Seen {
        match self.before[0] {
            Seen::Equals if !self.is_bound() => Seen::Equated,
            _ => Seen::Other,
        }
    }

    fn value(&mut self, text: &str, seen: Seen) -> Seen {
        match self.before[0] {
            // After a word, a value of a type that is named: `= DATE '2013-01-01'`.
            Seen::Equals | Seen::Equated if self.conditions && !self.is_bound() => {
                self.shape.key_lookup = true;
                self.shape.key_parameter |= seen == Seen::Parameter;
            }
            Seen::Limit => self.shape.single = text == "1",
            _ => {}
        }
        seen
    }

    fn symbol(&mut self, symbol: &str) -> Seen {
        let before = self.before[0];
        match symbol {
            "=" | "<=>" => Seen::Equals,
            "<" => Seen::Less,
            ">" => Seen::Greater,
            "," => {
                let limited = self.before[1] == Seen::Limit;
                self.shape.offset |= limited && matches!(before, Seen::Value | Seen::Parameter);
                Seen::Comma
            }
            "." => Seen::Dot,
            "*" => {
                let all = matches!(before, Seen::Select | Seen::Distinct | Seen::Dot);
                self.shape.star |= all && self.depth == 0;
                Seen::Other
            }
            "(" => {
                self.shape.aggregate |= before == Seen::Aggregate;
                let another_row = before == Seen::Comma && self.before[1] == Seen::Close;
                let inserts = self.shape.verb == Verb::Insert && self.depth == 0;
                self.shape.many_rows |= another_row && inserts;
                self.depth = self.depth.saturating_add(1);
                match before {
                    Seen::Equated => Seen::Equals,
                    Seen::Equals if !self.is_bound() => Seen::Equals,
                    _ => Seen::Open,
                }
            }
            ")" => {
                self.depth = self.depth.saturating_sub(1);
                Seen::Close
            }
            _ => Seen::Other,
        }
    }

    /// Tells `IN (?)` from `IN (?, ...)`.
    fn track_list(&mut self, seen: Seen) {
        let is_parameter = seen == Seen::Parameter;
        self.list = match (self.list, seen) {
            (_, Seen::Open) if self.before[0] == Seen::In => List::Open,
            (List::Open, Seen::Value | Seen::Parameter) => List::One {
                parameter: is_parameter,
            },
            // The values of a row that is one of several.
            (List::Open, Seen::Open) => List::More { parameter: false },
            (List::One { parameter } | List::More { parameter }, Seen::Comma) => {
                List::More { parameter }
            }
            (List::More { parameter }, Seen::Value | Seen::Parameter | Seen::Open) => List::More {
                parameter: parameter || is_parameter,
            },
            (List::One { parameter }, Seen::Close) => {
                self.shape.key_lookup |= self.conditions;
                self.shape.key_parameter |= self.conditions && parameter;
                List::Outside
            }
            (List::More { parameter }, Seen::Close) => {
                self.shape.key_list |= self.conditions;
                self.shape.list_parameter |= self.conditions && parameter;
                List::Outside
            }
            _ => List::Outside,
        };
    }
}

impl Verb {
    /// The first verb decides, as in `SELECT … FOR UPDATE`.
    const fn or(self, later: Self) -> Self {
        if matches!(self, Self::Other) {
            later
        } else {
            self
        }
    }

    /// `WITH rows AS (SELECT …) INSERT INTO …` inserts.
    const fn outranked(self, later: Self) -> Self {
        if matches!(self, Self::Other | Self::Select) {
            later
        } else {
            self
        }
    }
}
