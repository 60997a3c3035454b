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
    /// A column is compared with one value: `= ?` or `IN (?)`.
    pub key_lookup: bool,
    /// A column is compared with a list of values: `IN (?, ...)` or `= ANY(?)`.
    pub key_list: bool,
    /// A column is compared with a bound: `> ?`, `<= ?`, `BETWEEN`.
    pub range: bool,
    /// It has a `LIMIT` or `FETCH FIRST`.
    pub limit: bool,
    /// It has an `OFFSET`, or MySQL's `LIMIT ?, ?`.
    pub offset: bool,
    /// It aggregates or groups, so that it returns few rows whatever it reads.
    pub aggregate: bool,
}

/// Reads a statement's traits off its tokens.
#[derive(Default)]
pub(super) struct Observer {
    shape: Shape,
    /// The two tokens before the present one, the nearer first.
    before: [Seen; 2],
    list: List,
    /// Parentheses that are open.
    depth: u32,
}

/// A token as far as the next two need to know it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Other,
    Equals,
    Less,
    Greater,
    Select,
    Distinct,
    Comma,
    Dot,
    In,
    Open,
    Close,
    Limit,
    Value,
    Aggregate,
}

/// How far into `IN (` the present token is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    Outside,
    Open,
    One,
    More,
}

impl Observer {
    pub(super) fn observe(&mut self, token: Token<'_>) {
        let seen = match token.kind {
            Kind::Word => self.word(token.text),
            Kind::Literal => self.value(),
            Kind::Parameter => {
                self.shape.parameters = true;
                self.value()
            }
            Kind::Symbol => self.symbol(token.text),
            Kind::Quoted => Seen::Other,
        };
        self.track_list(seen, token.text);
        self.before = [seen, self.before[0]];
    }

    pub(super) const fn finish(self) -> Shape {
        self.shape
    }

    fn word(&mut self, word: &str) -> Seen {
        let shape = &mut self.shape;
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        match word.len() {
            2 if is("in") => return Seen::In,
            3 if is("any") => shape.key_list = true,
            3 | 5
                if ["sum", "min", "max", "avg", "count"]
                    .iter()
                    .any(|name| is(name)) =>
            {
                return Seen::Aggregate;
            }
            3 if is("for") => shape.locks |= shape.verb == Verb::Select && shape.table,
            4 if is("from") => shape.table = true,
            5 if is("where") => shape.filter = true,
            5 if is("group") => shape.aggregate = true,
            5 if is("limit") => {
                shape.limit = true;
                return Seen::Limit;
            }
            5 if is("fetch") => shape.limit = true,
            6 if is("select") => {
                shape.verb = shape.verb.or(Verb::Select);
                return Seen::Select;
            }
            6 if is("insert") => shape.verb = shape.verb.outranked(Verb::Insert),
            7 if is("replace") && shape.verb == Verb::Other => shape.verb = Verb::Insert,
            6 if is("update") => shape.verb = shape.verb.or(Verb::Update),
            6 if is("delete") => shape.verb = shape.verb.or(Verb::Delete),
            6 if is("offset") => shape.offset = true,
            7 if is("between") => shape.range = true,
            8 if is("distinct") => return Seen::Distinct,
            _ => {}
        }
        Seen::Other
    }

    fn value(&mut self) -> Seen {
        match self.before {
            // `<>` excludes a key, `>=` and `<=` bound it.
            [Seen::Equals, Seen::Less | Seen::Greater] | [Seen::Less, _] => self.shape.range = true,
            [Seen::Greater, before] if before != Seen::Less => self.shape.range = true,
            [Seen::Equals, _] => self.shape.key_lookup = true,
            _ => {}
        }
        Seen::Value
    }

    fn symbol(&mut self, symbol: &str) -> Seen {
        match (symbol, self.before[0]) {
            ("*", Seen::Select | Seen::Distinct | Seen::Dot) => self.shape.star |= self.depth == 0,
            ("(", Seen::Aggregate) => self.shape.aggregate = true,
            ("(", Seen::Comma) if self.before[1] == Seen::Close && self.depth == 0 => {
                self.shape.many_rows |= self.shape.verb == Verb::Insert;
            }
            (",", Seen::Value) if self.before[1] == Seen::Limit => self.shape.offset = true,
            _ => {}
        }
        match symbol {
            "=" | "<=>" => Seen::Equals,
            "<" => Seen::Less,
            ">" => Seen::Greater,
            "," => Seen::Comma,
            "." => Seen::Dot,
            "(" => {
                self.depth = self.depth.saturating_add(1);
                Seen::Open
            }
            ")" => {
                self.depth = self.depth.saturating_sub(1);
                Seen::Close
            }
            _ => Seen::Other,
        }
    }

    /// Tells `IN (?)` from `IN (?, ...)`.
    fn track_list(&mut self, seen: Seen, text: &str) {
        self.list = match (self.list, seen) {
            (_, Seen::Open) if self.before[0] == Seen::In => List::Open,
            (List::Open, Seen::Value) => List::One,
            (List::One, Seen::Comma) => List::More,
            (List::More, Seen::Comma | Seen::Value) => List::More,
            (List::One, _) if text == ")" => {
                self.shape.key_lookup = true;
                List::Outside
            }
            (List::More, _) if text == ")" => {
                self.shape.key_list = true;
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
