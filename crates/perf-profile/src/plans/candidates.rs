//! Which indexes a statement might use, by its text.
//!
//! Deliberately generous: what the planner does not use is not advised, so a candidate too many costs a
//! question and one too few costs the advice. Only the rules that every B-tree shares are applied:
//! equalities first, then one range or the order of the result.

use crate::ProfileError;
use perf_core::Dialect;
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, ObjectName, OrderByKind, OrderBySort, Query, SetExpr,
    Statement, TableFactor, Visit, Visitor, visit_expressions,
};
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The most columns of a candidate.
const MAX_COLUMNS: usize = 4;
/// The most candidates of a statement.
const MAX_CANDIDATES: usize = 24;

/// A B-tree index that exists or might.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[non_exhaustive]
pub struct Index {
    /// The table.
    pub table: String,
    /// Its columns, and whether each is in descending order.
    pub columns: Vec<(String, bool)>,
}

impl Index {
    /// The statement that makes it, under `name`.
    ///
    /// On Postgres, `CREATE INDEX CONCURRENTLY` does it without keeping writers out.
    #[must_use]
    pub fn ddl(&self, dialect: Dialect, name: &str) -> String {
        let mut sql = String::from("CREATE INDEX ");
        dialect.push_identifier(&mut sql, name);
        sql.push_str(" ON ");
        dialect.push_identifier(&mut sql, &self.table);
        sql.push_str(" (");
        for (position, (column, descending)) in self.columns.iter().enumerate() {
            sql.push_str(if position > 0 { ", " } else { "" });
            dialect.push_identifier(&mut sql, column);
            sql.push_str(if *descending { " DESC" } else { "" });
        }
        sql.push(')');
        sql
    }

    /// A name that says what it is for, at most 63 bytes: `flights_origin_dep_time`.
    #[must_use]
    pub fn suggested_name(&self) -> String {
        let columns = self.columns.iter().map(|(column, _)| column.as_str());
        let parts: Vec<_> = std::iter::once(self.table.as_str())
            .chain(columns)
            .collect();
        let mut name = parts.join("_");
        name.truncate(name.floor_char_boundary(63));
        name
    }
}

/// A statement that only reads, taken apart.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) query: Box<Query>,
    /// What the statement calls each table, and the table.
    tables: BTreeMap<String, String>,
}

/// What of a table's columns a statement asks for.
#[derive(Debug, Default)]
struct Uses {
    equal: Vec<String>,
    ranges: Vec<String>,
    joined: Vec<String>,
    ordered: Vec<(String, bool)>,
    grouped: Vec<String>,
}

impl Reading {
    /// Takes a single query apart.
    pub(super) fn of(dialect: Dialect, sql: &str) -> Result<Self, ProfileError> {
        let grammar: &dyn Grammar = match dialect {
            Dialect::Postgres => &PostgreSqlDialect {},
            Dialect::Sqlite => &SQLiteDialect {},
            _ => &MySqlDialect {},
        };
        let refused = |reason: String| ProfileError::UnsupportedStatement { reason };
        let mut statements =
            Parser::parse_sql(grammar, sql).map_err(|error| refused(error.to_string()))?;
        let (Some(Statement::Query(query)), true) = (statements.pop(), statements.is_empty())
        else {
            return Err(refused("only a single query can be explained".into()));
        };
        if !only_reads(&query) {
            return Err(refused("the query writes".into()));
        }
        let mut tables = Tables::default();
        let _end = query.visit(&mut tables);
        Ok(Self {
            query,
            tables: tables.0,
        })
    }

    /// The tables that it reads, each once.
    pub(super) fn tables(&self) -> Vec<&str> {
        let mut tables: Vec<_> = self.tables.values().map(String::as_str).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// The table and column that `expression` is; by `columns`, the columns of each table, where it is not
    /// qualified.
    pub(super) fn column(
        &self,
        expression: &Expr,
        columns: &BTreeMap<String, Vec<String>>,
    ) -> Option<(String, String)> {
        match expression {
            Expr::Nested(inner) => self.column(inner, columns),
            Expr::Identifier(name) => {
                let name = unquoted(name);
                let mut having = columns
                    .iter()
                    .filter(|(_, columns)| columns.contains(&name));
                let (table, _) = having.next()?;
                having.next().is_none().then(|| (table.clone(), name))
            }
            Expr::CompoundIdentifier(path) => {
                let [.., table, name] = path.as_slice() else {
                    return None;
                };
                let table = self.tables.get(&unquoted(table))?.clone();
                let name = unquoted(name);
                let known = columns
                    .get(&table)
                    .is_some_and(|columns| columns.contains(&name));
                known.then_some((table, name))
            }
            _ => None,
        }
    }

    /// The indexes that it might use, the most promising first.
    pub(super) fn candidates(&self, columns: &BTreeMap<String, Vec<String>>) -> Vec<Index> {
        let mut uses: BTreeMap<String, Uses> = BTreeMap::new();
        let _end: ControlFlow<()> = visit_expressions(&self.query, |expression| {
            self.compare(expression, columns, &mut uses);
            ControlFlow::Continue(())
        });
        self.arrange(columns, &mut uses);
        let mut candidates: Vec<Index> = Vec::new();
        for (table, uses) in uses {
            for columns in uses.candidates() {
                let table = table.clone();
                candidates.push(Index { table, columns });
            }
        }
        candidates.truncate(MAX_CANDIDATES);
        candidates
    }

    fn compare(
        &self,
        expression: &Expr,
        columns: &BTreeMap<String, Vec<String>>,
        uses: &mut BTreeMap<String, Uses>,
    ) {
        let column = |expression: &Expr| self.column(expression, columns);
        let mut add = |expression: &Expr, list: fn(&mut Uses) -> &mut Vec<String>| {
            if let Some((table, name)) = column(expression) {
                push_once(list(uses.entry(table).or_default()), name);
            }
        };
        match expression {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => {
                let joins = column(left).is_some() && column(right).is_some();
                for side in [left, right] {
                    add(
                        side,
                        if joins {
                            |uses| &mut uses.joined
                        } else {
                            |uses| &mut uses.equal
                        },
                    );
                }
            }
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Lt
                    | BinaryOperator::LtEq
                    | BinaryOperator::Gt
                    | BinaryOperator::GtEq,
                right,
            } => {
                add(left, |uses| &mut uses.ranges);
                add(right, |uses| &mut uses.ranges);
            }
            Expr::InList {
                expr,
                negated: false,
                ..
            }
            | Expr::InSubquery {
                expr,
                negated: false,
                ..
            }
            | Expr::IsNull(expr) => add(expr, |uses| &mut uses.equal),
            Expr::AnyOp { left, .. } => add(left, |uses| &mut uses.equal),
            Expr::Between {
                expr,
                negated: false,
                ..
            }
            | Expr::Like {
                expr,
                negated: false,
                ..
            } => {
                add(expr, |uses| &mut uses.ranges);
            }
            _ => {}
        }
    }

    /// Notes what the result is ordered and grouped by, where that is columns of one table.
    fn arrange(&self, columns: &BTreeMap<String, Vec<String>>, uses: &mut BTreeMap<String, Uses>) {
        if let Some(OrderByKind::Expressions(keys)) =
            self.query.order_by.as_ref().map(|order| &order.kind)
        {
            let keys = keys.iter().map(|key| {
                let descending = matches!(key.options.sort, Some(OrderBySort::Desc));
                self.column(&key.expr, columns)
                    .map(|(table, name)| (table, (name, descending)))
            });
            if let Some((table, keys)) = of_one_table(keys) {
                uses.entry(table).or_default().ordered = keys;
            }
        }
        if let SetExpr::Select(select) = &*self.query.body
            && let GroupByExpr::Expressions(keys, _) = &select.group_by
        {
            let keys = keys.iter().map(|key| self.column(key, columns));
            if let Some((table, keys)) = of_one_table(keys) {
                uses.entry(table).or_default().grouped = keys;
            }
        }
    }
}

impl Uses {
    /// Lists of columns worth asking about, without repetition.
    fn candidates(&self) -> Vec<Vec<(String, bool)>> {
        let ascending = |names: &[String]| {
            names
                .iter()
                .map(|name| (name.clone(), false))
                .collect::<Vec<_>>()
        };
        let equal = ascending(&self.equal);
        let joined = ascending(&self.joined);
        let grouped = ascending(&self.grouped);
        let mut lists = vec![
            [&equal[..], &joined, &self.ordered].concat(),
            [&equal[..], &self.ordered].concat(),
            [&joined[..], &equal].concat(),
            [&equal[..], &grouped].concat(),
            self.ordered.clone(),
            grouped,
            equal.clone(),
        ];
        for range in ascending(&self.ranges) {
            lists.push([&equal[..], std::slice::from_ref(&range)].concat());
            lists.push([&joined[..], &equal, std::slice::from_ref(&range)].concat());
            lists.push(vec![range]);
        }
        lists.extend(
            equal
                .iter()
                .chain(&joined)
                .map(|column| vec![column.clone()]),
        );
        let mut distinct: Vec<Vec<(String, bool)>> = Vec::new();
        for mut list in lists {
            let mut seen = Vec::new();
            list.retain(|(name, _)| push_once(&mut seen, name.clone()));
            list.truncate(MAX_COLUMNS);
            if !list.is_empty() && !distinct.contains(&list) {
                distinct.push(list);
            }
        }
        distinct
    }
}

/// Adds `name` unless it is there; whether it was added.
fn push_once(names: &mut Vec<String>, name: String) -> bool {
    let is_new = !names.contains(&name);
    if is_new {
        names.push(name);
    }
    is_new
}

/// The keys, if all are columns of one table.
fn of_one_table<K>(keys: impl Iterator<Item = Option<(String, K)>>) -> Option<(String, Vec<K>)> {
    let keys: Vec<(String, K)> = keys.collect::<Option<_>>()?;
    let table = keys.first()?.0.clone();
    let same = keys.iter().all(|(other, _)| *other == table);
    same.then(|| (table, keys.into_iter().map(|(_, key)| key).collect()))
}

fn only_reads(query: &Query) -> bool {
    struct Writes;
    impl Visitor for Writes {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let reads = matches!(
                &*query.body,
                SetExpr::Select(_)
                    | SetExpr::Query(_)
                    | SetExpr::SetOperation { .. }
                    | SetExpr::Values(_)
            );
            let keeps = !matches!(&*query.body, SetExpr::Select(select) if select.into.is_some());
            if reads && keeps && query.locks.is_empty() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        }

        fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
            match statement {
                Statement::Query(_) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        }
    }
    query.visit(&mut Writes).is_continue()
}

/// Collects what a statement calls its tables.
#[derive(Default)]
struct Tables(BTreeMap<String, String>);

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
            && let Some(table) = last_part(name)
        {
            let called = alias
                .as_ref()
                .map_or_else(|| table.clone(), |alias| unquoted(&alias.name));
            self.0.insert(called, table);
        }
        ControlFlow::Continue(())
    }
}

fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(unquoted)
}

/// A name as catalogues spell it. Unquoted names are folded to lower case, as Postgres does; the others
/// do not mind.
fn unquoted(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(sql: &str) -> Vec<String> {
        let columns = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let columns = BTreeMap::from([
            (
                "flights".to_owned(),
                columns(&["id", "origin", "dest", "tailnum", "dep_time"]),
            ),
            ("planes".to_owned(), columns(&["tailnum", "model", "seats"])),
        ]);
        let reading = Reading::of(Dialect::Postgres, sql).unwrap();
        let candidates = reading.candidates(&columns);
        let text = |index: &Index| {
            let columns = index
                .columns
                .iter()
                .map(|(name, descending)| match descending {
                    true => format!("-{name}"),
                    false => name.clone(),
                });
            format!("{}({})", index.table, columns.collect::<Vec<_>>().join(","))
        };
        candidates.iter().map(text).collect()
    }

    #[test]
    fn equalities_come_before_ranges_and_order() {
        let sql = "SELECT * FROM flights WHERE origin = $1 AND dest IN ($2, $3) ORDER BY dep_time DESC LIMIT 9";
        assert_eq!(candidates(sql)[0], "flights(origin,dest,-dep_time)");
        let sql = "SELECT * FROM flights f WHERE f.dep_time > $1 AND $2 = f.origin";
        assert!(candidates(sql).contains(&"flights(origin,dep_time)".to_owned()));
    }

    #[test]
    fn both_sides_of_a_join_are_proposed() {
        let sql =
            "SELECT * FROM flights f JOIN planes p ON p.tailnum = f.tailnum WHERE seats > 100";
        let found = candidates(sql);
        for expected in [
            "flights(tailnum)",
            "planes(tailnum)",
            "planes(tailnum,seats)",
        ] {
            assert!(
                found.contains(&expected.to_owned()),
                "{expected} in {found:?}"
            );
        }
    }

    #[test]
    fn ambiguous_and_unknown_columns_propose_nothing() {
        let sql = "SELECT 1 FROM flights, planes WHERE tailnum = $1 AND nothing = 2";
        assert_eq!(candidates(sql), [""; 0]);
    }

    #[test]
    fn what_writes_or_is_no_query_is_refused() {
        let refused = [
            "DELETE FROM flights",
            "INSERT INTO flights VALUES (1)",
            "WITH gone AS (DELETE FROM flights RETURNING *) SELECT * FROM gone",
            "SELECT * INTO copy FROM flights",
            "SELECT * FROM flights FOR UPDATE",
            "SELECT 1; SELECT 2",
            "CREATE INDEX i ON flights (origin)",
            "EXPLAIN ANALYZE SELECT 1",
            "SELEC",
            "",
        ];
        for sql in refused {
            let error = Reading::of(Dialect::Postgres, sql).map(|_| ()).unwrap_err();
            assert!(
                matches!(error, ProfileError::UnsupportedStatement { .. }),
                "{sql}"
            );
        }
    }
}
