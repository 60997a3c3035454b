//! Rules that judge one statement at a time.

use super::{Execution, Observation, Rule, Thresholds};
use crate::sql::{Fingerprint, Shape, Verb};
use std::collections::HashMap;
use std::time::Duration;

/// A list of so many rows should have had a limit.
const LONG: u64 = 1_000;

/// What all executions of one statement, or of one text of it, have in common.
#[derive(Clone, Copy)]
struct Group {
    shape: Shape,
    repeats: u64,
    rows: u64,
    /// The most rows that one execution returned.
    longest: u64,
    time: Duration,
}

/// Observations in the order of fingerprints.
pub(super) fn find(executions: &[Execution], thresholds: Thresholds) -> Vec<Observation> {
    let mut statements: HashMap<Fingerprint, Group> = HashMap::new();
    let mut texts: HashMap<(Fingerprint, u64), Group> = HashMap::new();
    for execution in executions {
        let statement = statements.entry(execution.fingerprint);
        statement
            .or_insert_with(|| Group::new(execution.shape))
            .add(execution);
        let text = texts.entry((execution.fingerprint, execution.text));
        text.or_insert_with(|| Group::new(execution.shape))
            .add(execution);
    }
    let enough = u64::from(thresholds.repeats.get());
    let identical = texts
        .iter()
        .filter(|(_, group)| group.repeats >= enough && reads_the_same(group.shape))
        .map(|((fingerprint, _), group)| group.observe(Rule::IdenticalReads, *fingerprint));
    let judged = statements.iter().flat_map(|(fingerprint, group)| {
        group
            .judge(enough)
            .map(|rule| group.observe(rule, *fingerprint))
    });
    let mut found: Vec<_> = identical.chain(judged).collect();
    found.sort_by_key(|observation| (observation.fingerprint, observation.rule));
    found
}

/// A table read without parameters; a query without a table may ask for the time or a new number.
const fn reads_the_same(shape: Shape) -> bool {
    matches!(shape.verb, Verb::Select) && shape.table && !shape.parameters && !shape.locks
}

impl Group {
    const fn new(shape: Shape) -> Self {
        Self {
            shape,
            repeats: 0,
            rows: 0,
            longest: 0,
            time: Duration::ZERO,
        }
    }

    fn add(&mut self, execution: &Execution) {
        self.repeats += 1;
        self.rows += execution.rows;
        self.longest = self.longest.max(execution.rows);
        self.time += execution.duration();
    }

    fn judge(&self, enough: u64) -> impl Iterator<Item = Rule> + use<> {
        let Shape {
            verb,
            star,
            table,
            limit,
            offset,
            aggregate,
            key_lookup,
            many_rows,
            ..
        } = self.shape;
        let select = verb == Verb::Select;
        let insert = verb == Verb::Insert && !many_rows && !table;
        let repeated = self.repeats >= enough;
        [
            (insert && repeated, Rule::RowWiseInsert),
            (select && offset && repeated, Rule::OffsetWalk),
            (
                select && !limit && !aggregate && !key_lookup && self.longest >= LONG,
                Rule::MissingLimit,
            ),
            (select && star && table, Rule::SelectStar),
        ]
        .into_iter()
        .filter_map(|(applies, rule)| applies.then_some(rule))
    }

    const fn observe(&self, rule: Rule, fingerprint: Fingerprint) -> Observation {
        Observation {
            rule,
            fingerprint,
            repeats: self.repeats,
            rows: self.rows,
            time: self.time,
            cause: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Statement;
    use perf_core::{Dialect, Moment};
    use std::num::NonZeroU32;

    const THRESHOLDS: Thresholds = Thresholds {
        repeats: NonZeroU32::new(5).unwrap(),
        unexplained: Duration::from_millis(50),
    };

    /// A statement, how often one request ran it, how many rows each execution returned, what that breaks.
    const CASES: [(&str, u64, u64, &[Rule]); 20] = [
        (
            "SELECT name, value FROM settings",
            5,
            3,
            &[Rule::IdenticalReads],
        ),
        ("SELECT name, value FROM settings", 4, 3, &[]),
        (
            "SELECT value FROM settings WHERE name = 'theme'",
            5,
            1,
            &[Rule::IdenticalReads],
        ),
        ("SELECT value FROM settings WHERE name = $1", 5, 1, &[]),
        (
            "SELECT id FROM jobs WHERE due < now() LIMIT 1 FOR UPDATE SKIP LOCKED",
            5,
            1,
            &[],
        ),
        ("SELECT nextval('numbers')", 50, 1, &[]),
        (
            "INSERT INTO log (flight) VALUES ($1)",
            5,
            0,
            &[Rule::RowWiseInsert],
        ),
        ("INSERT INTO log (flight) VALUES ($1)", 4, 0, &[]),
        ("INSERT INTO log (flight) VALUES ($1), ($2)", 9, 0, &[]),
        (
            "INSERT INTO log (flight) SELECT id FROM flights WHERE id > $1",
            9,
            0,
            &[],
        ),
        (
            "SELECT id FROM flights ORDER BY id LIMIT $1 OFFSET $2",
            5,
            50,
            &[Rule::OffsetWalk],
        ),
        (
            "SELECT id FROM flights ORDER BY id LIMIT $1 OFFSET $2",
            2,
            50,
            &[],
        ),
        (
            "SELECT id FROM flights WHERE id > $1 ORDER BY id LIMIT $2",
            9,
            50,
            &[],
        ),
        ("SELECT id FROM flights", 1, 1_000, &[Rule::MissingLimit]),
        ("SELECT id FROM flights", 1, 999, &[]),
        ("SELECT id FROM flights LIMIT 5000", 1, 5_000, &[]),
        (
            "SELECT carrier, count(*) FROM flights GROUP BY carrier",
            1,
            2_000,
            &[],
        ),
        (
            "SELECT * FROM planes WHERE tailnum = $1",
            1,
            1,
            &[Rule::SelectStar],
        ),
        ("SELECT count(*) FROM planes", 1, 1, &[]),
        (
            "SELECT 1 FROM a WHERE EXISTS (SELECT * FROM b WHERE b.x = a.x LIMIT 1)",
            1,
            1,
            &[],
        ),
    ];

    /// The rules that `repeats` executions break, each of `rows` rows. `text` tells texts apart.
    fn broken(sql: &str, repeats: u64, rows: u64, text: impl Fn(u64) -> u64) -> Vec<Rule> {
        let statement = Statement::parse(sql, Dialect::Postgres);
        let executions: Vec<_> = (0..repeats)
            .map(|index| Execution {
                fingerprint: statement.fingerprint(),
                text: text(index),
                shape: statement.shape(),
                started: Moment::from_nanos(index * 1_000),
                ended: Moment::from_nanos(index * 1_000 + 500),
                rows,
                failed: false,
                function: None,
            })
            .collect();
        find(&executions, THRESHOLDS)
            .iter()
            .map(|observation| observation.rule)
            .collect()
    }

    #[test]
    fn each_rule_has_what_breaks_it_and_what_comes_close() {
        for (sql, repeats, rows, expected) in CASES {
            assert_eq!(
                broken(sql, repeats, rows, |_| 0),
                expected,
                "{repeats} x {sql}"
            );
        }
    }

    #[test]
    fn reads_of_different_values_are_not_identical() {
        let sql = "SELECT value FROM settings WHERE name = 'theme'";
        assert_eq!(broken(sql, 8, 1, |index| index), []);
        assert_eq!(broken(sql, 8, 1, |index| index / 5), [Rule::IdenticalReads]);
    }
}
