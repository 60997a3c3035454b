//! Which repeated lookups of a request should have been one query.
//!
//! Counting equal fingerprints is not enough: a retried query, a polled job, a batch in chunks, a page
//! walk and a deliberate fan-out repeat a fingerprint too. What makes an N+1 is a loop: one query
//! returned rows, and another was then sent for each of them, one after the other. So a repetition is
//! reported only if it is a loop of lookups,
//!
//! 1. the statement selects by one key, neither by a list nor page by page nor from a queue;
//! 2. the key varies: it is a placeholder, or the texts differ;
//! 3. the executions follow each other: those that overlap were meant to run at once;
//! 4. they follow closely: a pause between any two, longer than they take, is polling or a retry, and
//!    so is an execution after one that failed;
//! 5. between any two the same happens each time: what several parts of a program look up for
//!    themselves is no loop;
//!
//! and if there is evidence enough that it was over rows that could have been joined:
//!
//! - an earlier query returned about as many rows, or as many that each had the same number of lookups;
//! - or one returned more, of which some were looked up, and that took time worth saving;
//! - or the keys came from elsewhere, the loop is twice as long as would otherwise do, took time worth
//!   saving, and did little else.

use super::{Execution, Observation, Rule, Thresholds};
use crate::sql::{Fingerprint, Shape, Verb};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Pauses below this are a caller's own work on a row.
const PAUSE: Duration = Duration::from_millis(10);
/// How many lookups each row may have had: the two ends of a flight, the three names of a person.
const MAX_PER_ROW: u64 = 4;

/// The loops among one request's executions, in the order of their first.
pub(super) fn find(executions: &[Execution], thresholds: Thresholds) -> Vec<Observation> {
    let request = Request::new(executions);
    let mut found: Vec<(usize, Observation)> = request
        .groups
        .values()
        .filter_map(|group| Some((group[0], request.judge(group, thresholds)?)))
        .collect();
    found.sort_by_key(|(first, _)| *first);
    found
        .into_iter()
        .map(|(_, observation)| observation)
        .collect()
}

/// One request's executions in the order of their start. A group is the places of those of one statement.
struct Request<'a> {
    executions: Vec<&'a Execution>,
    groups: HashMap<Fingerprint, Vec<usize>>,
}

/// The query whose rows were looped over, and how many it returned.
type Cause = (Fingerprint, u64);

impl<'a> Request<'a> {
    fn new(executions: &'a [Execution]) -> Self {
        let mut executions: Vec<_> = executions
            .iter()
            .filter(|execution| !execution.failed)
            .collect();
        executions.sort_by_key(|execution| execution.started);
        let mut groups: HashMap<Fingerprint, Vec<usize>> = HashMap::new();
        for (place, execution) in executions.iter().enumerate() {
            groups.entry(execution.fingerprint).or_default().push(place);
        }
        Self { executions, groups }
    }

    fn judge(&self, group: &[usize], thresholds: Thresholds) -> Option<Observation> {
        let enough = u64::from(thresholds.repeats.get());
        if count(group) < enough || !self.is_loop_of_lookups(group, thresholds) {
            return None;
        }
        if let Some(cause) = self.cause(group, enough) {
            return Some(self.observe(group, Some(cause)));
        }
        let explained: Vec<_> = self
            .stretches(group)
            .filter(|stretch| count(stretch) >= enough)
            .filter_map(|stretch| Some((stretch, self.cause(stretch, enough)?)))
            .collect();
        if let Some((_, cause)) = explained.iter().max_by_key(|(stretch, _)| stretch.len()) {
            let stretches: Vec<_> = explained.iter().map(|(stretch, _)| *stretch).collect();
            return Some(self.observe(&stretches.concat(), Some(*cause)));
        }
        self.is_worth_it(group, thresholds)
            .then(|| self.observe(group, None))
    }

    fn is_loop_of_lookups(&self, group: &[usize], thresholds: Thresholds) -> bool {
        let shape = self.executions[group[0]].shape;
        looks_up_one_key(shape)
            && (shape.key_parameter || self.texts(group) >= u64::from(thresholds.repeats.get()))
            && !self.runs_at_once(group)
            && !self.pauses(group)
            && !self.varies(group)
    }

    fn texts(&self, group: &[usize]) -> u64 {
        let texts = group.iter().map(|&place| self.executions[place].text);
        texts.collect::<HashSet<_>>().len() as u64
    }

    fn time(&self, group: &[usize]) -> Duration {
        let times = group.iter().map(|&place| self.executions[place].duration());
        times.sum()
    }

    /// Whether the executions together took much longer than there was any of them.
    fn runs_at_once(&self, group: &[usize]) -> bool {
        let mut end = self.executions[group[0]].started;
        let mut covered = Duration::ZERO;
        for &place in group {
            let Execution { started, ended, .. } = *self.executions[place];
            covered += ended.since(started.max(end));
            end = end.max(ended);
        }
        2 * self.time(group) > 3 * covered
    }

    /// Whether the caller usually waited between two executions, for something other than queries.
    fn pauses(&self, group: &[usize]) -> bool {
        let long = group.windows(2).filter(|pair| {
            let earlier = self.executions[pair[0]];
            self.pause(pair) > PAUSE.max(5 * earlier.duration())
        });
        2 * long.count() >= group.len()
    }

    /// The time between two executions in which no query ran.
    fn pause(&self, pair: &[usize]) -> Duration {
        let (earlier, later) = (self.executions[pair[0]], self.executions[pair[1]]);
        let between = &self.executions[pair[0] + 1..pair[1]];
        let queried = between.iter().map(|execution| execution.duration()).sum();
        later.started.since(earlier.ended).saturating_sub(queried)
    }

    /// Whether most of what stands between two executions occurs nowhere else.
    fn varies(&self, group: &[usize]) -> bool {
        let once = |execution: &&Execution| self.groups[&execution.fingerprint].len() == 1;
        let different = group.windows(2).filter(|pair| {
            let between = &self.executions[pair[0] + 1..pair[1]];
            between.iter().any(once)
        });
        2 * different.count() >= group.len()
    }

    /// The parts of a loop between which another list was read.
    fn stretches<'b>(&self, group: &'b [usize]) -> impl Iterator<Item = &'b [usize]> {
        group.chunk_by(|&earlier, &later| {
            let mut between = self.executions[earlier + 1..later].iter();
            let is_list = |execution: &&Execution| {
                2 * self.groups[&execution.fingerprint].len() <= group.len() && execution.rows > 1
            };
            !between.any(is_list)
        })
    }

    /// The query whose rows were looped over: of those whose rows match the number of lookups, the
    /// closest, and of equally close ones the last.
    fn cause(&self, group: &[usize], enough: u64) -> Option<Cause> {
        let repeats = count(group);
        self.sources(group)
            .filter(|(_, _, rows)| matches(repeats, *rows, enough))
            .min_by_key(|(first, _, rows)| (rows.abs_diff(repeats), Reverse(*first)))
            .map(|(_, fingerprint, rows)| (fingerprint, rows))
    }

    /// The queries that may have given a loop its rows, each with the place of its first execution. Rows
    /// are those of the last one before the loop, or those of all: in a loop of loops they add up.
    fn sources(&self, group: &[usize]) -> impl Iterator<Item = (usize, Fingerprint, u64)> {
        let (first, last, repeats) = (group[0], group[group.len() - 1], group.len());
        self.groups.iter().flat_map(move |(fingerprint, places)| {
            let before = &places[..places.partition_point(|&place| place < last)];
            let nearest = before.iter().rfind(|&&place| place < first);
            // What ran about as often was in the same loop.
            let outside = nearest.filter(|_| 2 * before.len() <= repeats);
            outside.into_iter().flat_map(move |&nearest| {
                let all = before
                    .iter()
                    .map(|&place| self.executions[place].rows)
                    .sum();
                [self.executions[nearest].rows, all].map(|rows| (before[0], *fingerprint, rows))
            })
        })
    }

    /// Whether a loop whose source is not certain is worth a report.
    fn is_worth_it(&self, group: &[usize], thresholds: Thresholds) -> bool {
        let (time, repeats) = (self.time(group), count(group));
        let of_some_rows = || self.sources(group).any(|(_, _, rows)| rows > repeats);
        let long = || {
            let pauses: Duration = group.windows(2).map(|pair| self.pause(pair)).sum();
            repeats >= 2 * u64::from(thresholds.repeats.get()) && pauses <= time
        };
        time >= thresholds.unexplained && (of_some_rows() || long())
    }

    fn observe(&self, group: &[usize], cause: Option<Cause>) -> Observation {
        let executions = || group.iter().map(|&place| self.executions[place]);
        Observation {
            rule: Rule::NPlusOne,
            fingerprint: self.executions[group[0]].fingerprint,
            repeats: count(group),
            rows: executions().map(|execution| execution.rows).sum(),
            time: self.time(group),
            cause,
        }
    }
}

const fn count(group: &[usize]) -> u64 {
    group.len() as u64
}

fn looks_up_one_key(shape: Shape) -> bool {
    let batch = if shape.parameters {
        shape.list_parameter
    } else {
        shape.key_list
    };
    // A page of one row is the newest of something; a locked one is taken from a queue.
    let page = shape.limit && (shape.locks || (shape.range && !shape.single));
    shape.verb == Verb::Select && shape.key_lookup && !batch && !page && !shape.offset
}

/// Whether so many lookups may have been those of so many rows. Not all rows have a key to look up, and a
/// loop may end early; more lookups than rows are a loop's if each row had the same number of them.
const fn matches(repeats: u64, rows: u64, enough: u64) -> bool {
    let some = rows >= 2 && repeats <= rows && 2 * repeats >= rows;
    let several = rows >= enough && repeats.is_multiple_of(rows) && repeats / rows <= MAX_PER_ROW;
    some || several
}

#[cfg(test)]
mod corpus;
