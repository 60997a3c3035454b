use super::key::list_length;
use super::{Bind, Writer};
use crate::aggregate::Measure;
use crate::condition::Node;
use crate::filter::FilterOp;
use crate::order::OrderKey;
use crate::seek::SeekForm;
use crate::value::{Kind, Value};
use perf_core::Dialect;

impl Writer<'_> {
    /// The key has the value that a whole segment shares.
    pub(super) fn shared(&mut self, key: &OrderKey, value: &Value) {
        self.field(key.field);
        if value.is_null() {
            self.push(" IS NULL");
        } else {
            self.compared("=", value);
        }
    }

    /// The keys come after the values.
    pub(super) fn after(
        &mut self,
        keys: &[OrderKey],
        values: &[Value],
        form: SeekForm,
        inclusive: bool,
    ) {
        match (keys, form) {
            ([key], _) => self.beyond(key, &values[0], inclusive),
            (_, SeekForm::GuardedOr) => self.guarded(keys, values, inclusive),
            (_, SeekForm::RowValue | SeekForm::Segments) => {
                self.push("(");
                self.list(", ", keys, |writer, key| writer.field(key.field));
                self.push(") ");
                self.push(after_sign(&keys[0], inclusive));
                self.push(" (");
                self.list(", ", values, |writer, value| writer.bind(value.clone()));
                self.push(")");
            }
        }
    }

    /// `a >= x AND (a > x OR (a = x AND b > y))`: the guard is implied by what follows it, and it is
    /// what the planner seeks by when it can't take the disjunction apart.
    fn guarded(&mut self, keys: &[OrderKey], values: &[Value], inclusive: bool) {
        self.beyond(&keys[0], &values[0], true);
        self.push(" AND (");
        self.list(" OR ", 0..keys.len(), |writer, last| {
            writer.push(if last == 0 { "" } else { "(" });
            for (key, value) in keys.iter().zip(values).take(last) {
                writer.shared(key, value);
                writer.push(" AND ");
            }
            let inclusive = inclusive && last + 1 == keys.len();
            writer.beyond(&keys[last], &values[last], inclusive);
            writer.push(if last == 0 { "" } else { ")" });
        });
        self.push(")");
    }

    fn beyond(&mut self, key: &OrderKey, value: &Value, inclusive: bool) {
        self.field(key.field);
        self.compared(after_sign(key, inclusive), value);
    }

    fn compared(&mut self, sign: &str, value: &Value) {
        self.push(" ");
        self.push(sign);
        self.push(" ");
        self.bind(value.clone());
    }

    pub(super) fn condition(&mut self, node: &Node) {
        match node {
            Node::All(nodes) if nodes.is_empty() => self.push("1 = 1"),
            Node::Any(nodes) if nodes.is_empty() => self.push("1 = 0"),
            Node::All(nodes) => self.group(" AND ", nodes),
            Node::Any(nodes) => self.group(" OR ", nodes),
            Node::Not(node) => {
                self.push("NOT (");
                self.condition(node);
                self.push(")");
            }
            Node::Compare {
                field,
                operator,
                operands,
            } => {
                self.comparison(*field, *operator, operands);
            }
        }
    }

    /// A figure, as the type that every database reads alike.
    pub(super) fn measure(&mut self, measure: Measure, field: usize) {
        let kind = measure.kind(self.shape.layout.kind(field));
        self.push(match measure {
            Measure::Sum => "SUM(",
            Measure::Min => "MIN(",
            Measure::Max => "MAX(",
            Measure::Avg => "AVG(",
        });
        self.field(field);
        self.push(match (self.shape.dialect, measure, kind) {
            (Dialect::Postgres, Measure::Sum, Kind::Decimal) => ")::numeric",
            (Dialect::Postgres, Measure::Sum | Measure::Avg, _) => ")::float8",
            (Dialect::MySql | Dialect::MariaDb, Measure::Avg, _) => ") + 0e0",
            _ => ")",
        });
    }

    fn group(&mut self, separator: &str, nodes: &[Node]) {
        self.push("(");
        self.list(separator, nodes, Self::condition);
        self.push(")");
    }

    fn comparison(&mut self, field: usize, operator: FilterOp, operands: &[Value]) {
        let sign = match operator {
            FilterOp::In | FilterOp::NotIn => return self.membership(field, operator, operands),
            FilterOp::Contains | FilterOp::StartsWith | FilterOp::EndsWith => {
                return self.pattern(field, operator, &operands[0]);
            }
            FilterOp::IsNull => {
                self.field(field);
                return self.push(" IS NULL");
            }
            FilterOp::NotNull => {
                self.field(field);
                return self.push(" IS NOT NULL");
            }
            FilterOp::Between => {
                self.field(field);
                self.compared("BETWEEN", &operands[0]);
                return self.compared_next(&operands[1]);
            }
            FilterOp::Eq => "=",
            FilterOp::Ne => "<>",
            FilterOp::Lt => "<",
            FilterOp::Lte => "<=",
            FilterOp::Gt => ">",
            FilterOp::Gte => ">=",
        };
        self.field(field);
        self.compared(sign, &operands[0]);
    }

    fn compared_next(&mut self, value: &Value) {
        self.push(" AND ");
        self.bind(value.clone());
    }

    /// A list is one parameter where the database can take it apart, else padded to the next power of
    /// two, so that lists of all lengths share a few texts.
    pub(super) fn membership(&mut self, field: usize, operator: FilterOp, operands: &[Value]) {
        if self.is_merged(operands) {
            return self.merged_item(field);
        }
        let within = operator == FilterOp::In;
        let kind = self.shape.layout.kind(field);
        if operands.is_empty() {
            return self.push(if within { "1 = 0" } else { "1 = 1" });
        }
        self.field(field);
        match (self.shape.dialect, json_list(kind, operands)) {
            (Dialect::Postgres, _) => {
                self.push(if within { " = ANY(" } else { " <> ALL(" });
                self.bind_any(Bind::List(kind, operands.to_vec()));
                self.push(")");
            }
            (Dialect::Sqlite, Some(json)) => {
                self.push(if within { " IN " } else { " NOT IN " });
                self.push("(SELECT value FROM json_each(");
                self.bind(Value::Text(json));
                self.push("))");
            }
            _ => {
                self.push(if within { " IN (" } else { " NOT IN (" });
                let last = operands.len() - 1;
                let padded = (0..list_length(operands.len())).map(|i| &operands[i.min(last)]);
                self.list(", ", padded, |writer, value| writer.bind(value.clone()));
                self.push(")");
            }
        }
    }

    /// Text is matched with case wherever the column's collation tells case apart; SQLite's `LIKE`
    /// never does, so `GLOB` stands in for it.
    fn pattern(&mut self, field: usize, operator: FilterOp, operand: &Value) {
        let Value::Text(text) = operand else {
            return self.push("1 = 0");
        };
        let glob = self.shape.dialect == Dialect::Sqlite;
        let any = if glob { "*" } else { "%" };
        let literal = if glob {
            escaped_glob(text)
        } else {
            escaped_like(text)
        };
        let before = if operator == FilterOp::StartsWith {
            ""
        } else {
            any
        };
        let after = if operator == FilterOp::EndsWith {
            ""
        } else {
            any
        };
        self.field(field);
        self.compared(
            if glob { "GLOB" } else { "LIKE" },
            &format!("{before}{literal}{after}").as_str().into(),
        );
        if !glob {
            self.push(" ESCAPE '!'");
        }
    }
}

const fn after_sign(key: &OrderKey, inclusive: bool) -> &'static str {
    match (key.descending, inclusive) {
        (false, false) => ">",
        (false, true) => ">=",
        (true, false) => "<",
        (true, true) => "<=",
    }
}

/// The list as JSON, if JSON holds its values exactly.
fn json_list(kind: Kind, operands: &[Value]) -> Option<String> {
    let values: Option<Vec<serde_json::Value>> = operands
        .iter()
        .map(|value| match value {
            Value::Bool(value) => Some(u8::from(*value).into()),
            Value::Int(value) => Some((*value).into()),
            Value::UInt(value) => Some((*value).into()),
            Value::Text(text) => Some(text.as_str().into()),
            _ => None,
        })
        .collect();
    values
        .filter(|_| kind != Kind::Float)
        .map(|values| serde_json::Value::from(values).to_string())
}

/// `!` escapes, because a backslash means different things to different servers and modes.
fn escaped_like(text: &str) -> String {
    let escape = |letter| matches!(letter, '%' | '_' | '!').then_some('!');
    text.chars()
        .flat_map(|letter| escape(letter).into_iter().chain([letter]))
        .collect()
}

/// A set of one letter is how `GLOB` writes a letter that would otherwise mean something.
fn escaped_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[') {
            escaped.extend(['[', letter, ']']);
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_would_interpret_is_escaped() {
        assert_eq!(escaped_like("50%_!\\'"), "50!%!_!!\\'");
        assert_eq!(escaped_glob("a*b?c[d]"), "a[*]b[?]c[[]d]");
    }
}
