//! Statements as services send them.

use criterion::Criterion;
use harness::Comparison;
use perf_core::Dialect;
use perf_profile::Statement;
use regex_lite::{Captures, Regex};
use std::hint::black_box;

const CORPUS: [&str; 10] = [
    "SELECT id, tailnum, carrier FROM flights WHERE origin = $1 ORDER BY id LIMIT $2",
    "SELECT model, seats FROM planes WHERE tailnum = 'N14228'",
    "SELECT * FROM weather WHERE origin IN ('EWR', 'JFK', 'LGA') AND time_hour BETWEEN 1357034400 AND 1357038000",
    "INSERT INTO flights (id, origin, dest, delay) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12)",
    "UPDATE planes SET seats = seats + 10, note = 'it''s larger now' WHERE tailnum = $1 AND version = 17",
    "DELETE FROM sessions WHERE expires < now() - INTERVAL '7 days'",
    "SELECT a.name, count(*) AS n, avg(f.delay) FROM flights f JOIN airlines a ON a.carrier = f.carrier\n\
     WHERE f.month = 1 AND f.day > 15\n GROUP BY a.name HAVING count(*) > 100 ORDER BY n DESC LIMIT 20 OFFSET 40",
    "WITH late AS (SELECT id FROM flights WHERE delay > 60.5) SELECT count(*) FROM late",
    "SELECT EXISTS (SELECT 1 FROM users WHERE email = 'someone@example.org' AND deleted_at IS NULL)",
    "COMMIT",
];

/// What hotpath 0.30 does, which keeps it to itself: six substitutions, one after the other.
struct Substitutions {
    string: Regex,
    dollar: Regex,
    question: Regex,
    number: Regex,
    list: Regex,
    blank: Regex,
}

impl Substitutions {
    fn new() -> Self {
        let regex = |pattern| Regex::new(pattern).expect("the pattern is valid");
        Self {
            string: regex(r"'(?:[^']|'')*'"),
            dollar: regex(r"\$\d+\b"),
            question: regex(r"\?\d+\b"),
            number: regex(r"\d+(?:\.\d+)?"),
            list: regex(r"(?i)\bIN\s*\(\s*\?(?:\s*,\s*\?)*\s*\)"),
            blank: regex(r"\s+"),
        }
    }

    fn apply(&self, sql: &str) -> String {
        let text = self.string.replace_all(sql, "?");
        let text = self.dollar.replace_all(&text, "?");
        let text = self.question.replace_all(&text, "?");
        // Digits within names stay.
        let numbers = self.number.replace_all(&text, |found: &Captures<'_>| {
            let number = found.get(0).expect("the whole match");
            let is_name = |letter: char| letter == '_' || letter.is_alphanumeric();
            let before = text[..number.start()].chars().next_back();
            let after = text[number.end()..].chars().next();
            let inside = before.is_some_and(is_name) || after.is_some_and(is_name);
            if inside {
                number.as_str().to_owned()
            } else {
                "?".to_owned()
            }
        });
        let text = self.list.replace_all(&numbers, "IN (?)");
        self.blank.replace_all(&text, " ").trim().to_owned()
    }
}

pub(crate) fn corpus(criterion: &mut Criterion) {
    let substitutions = Substitutions::new();
    let mut comparison = Comparison::new("profile/fingerprint/corpus");
    comparison.add("perfkit", || {
        for sql in CORPUS {
            let statement = Statement::parse(black_box(sql), Dialect::Postgres);
            assert!(!statement.text().contains('\''));
        }
    });
    comparison.add("hotpath", || {
        for sql in CORPUS {
            assert!(!substitutions.apply(black_box(sql)).contains('\''));
        }
    });
    comparison.run(criterion);
}
