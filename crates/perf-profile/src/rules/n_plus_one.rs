//! Which repeated lookups of a request should have been one query.
//!
//! Counting equal fingerprints is not enough: a retried query, a polled job, a batch in chunks, a page
//! walk and a deliberate fan-out repeat a fingerprint too. What makes an N+1 is that one query returned
//! about as many rows as another was then sent, one after the other, each for a single key. So a
//! repetition is reported only if
//!
//! 1. the statement selects by one key, neither by a list nor by a range with a limit nor by offset;
//! 2. its executions follow each other: those that overlap were meant to run at once;
//! 3. they follow closely: a pause between any two, longer than they take, is polling or a retry;
//! 4. an earlier query returned about that many rows; or, when the keys came from elsewhere, the
//!    repetition is twice as long as would otherwise do and took time worth saving.

use super::{Execution, Observation, Rule, Thresholds};
use crate::sql::{Fingerprint, Shape, Verb};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

/// Pauses below this are a caller's own work on a row.
const PAUSE: Duration = Duration::from_millis(10);

/// The loops among one request's executions, in the order of their first.
pub(super) fn find(executions: &[Execution], thresholds: Thresholds) -> Vec<Observation> {
    let mut sorted: Vec<&Execution> = executions.iter().collect();
    sorted.sort_by_key(|execution| execution.started);
    let mut groups: HashMap<Fingerprint, Vec<usize>> = HashMap::new();
    for (index, execution) in sorted.iter().enumerate() {
        groups.entry(execution.fingerprint).or_default().push(index);
    }
    let mut found: Vec<(usize, Observation)> = groups
        .values()
        .filter_map(|group| Some((group[0], judge(&sorted, group, thresholds)?)))
        .collect();
    found.sort_by_key(|(first, _)| *first);
    found
        .into_iter()
        .map(|(_, observation)| observation)
        .collect()
}

fn judge(sorted: &[&Execution], group: &[usize], thresholds: Thresholds) -> Option<Observation> {
    let first = sorted[group[0]];
    let enough = u64::from(thresholds.repeats.get());
    let repeats = group.len() as u64;
    if repeats < enough || !looks_up_one_key(first.shape) || overlaps(sorted, group) {
        return None;
    }
    if pauses(sorted, group) {
        return None;
    }
    let time = group.iter().map(|&index| sorted[index].duration()).sum();
    let rows = group.iter().map(|&index| sorted[index].rows).sum();
    let cause = cause(sorted, group);
    let worth_it = repeats >= 2 * enough && time >= thresholds.unexplained;
    (cause.is_some() || worth_it).then_some(Observation {
        rule: Rule::NPlusOne,
        fingerprint: first.fingerprint,
        repeats,
        rows,
        time,
        cause,
    })
}

fn looks_up_one_key(shape: Shape) -> bool {
    let walks = shape.offset || (shape.range && shape.limit);
    shape.verb == Verb::Select && shape.key_lookup && !shape.key_list && !walks
}

/// Whether most executions started before their predecessor was half done.
fn overlaps(sorted: &[&Execution], group: &[usize]) -> bool {
    let early = group.windows(2).filter(|pair| {
        let (earlier, later) = (sorted[pair[0]], sorted[pair[1]]);
        earlier.ended.since(later.started) > earlier.duration().min(later.duration()) / 2
    });
    2 * early.count() >= group.len()
}

/// Whether the caller usually waited between two executions, for something other than queries.
fn pauses(sorted: &[&Execution], group: &[usize]) -> bool {
    let long = group.windows(2).filter(|pair| {
        let (earlier, later) = (sorted[pair[0]], sorted[pair[1]]);
        let between = &sorted[pair[0] + 1..pair[1]];
        let queried = between.iter().map(|execution| execution.duration()).sum();
        let pause = later.started.since(earlier.ended).saturating_sub(queried);
        pause > PAUSE.max(5 * earlier.duration())
    });
    2 * long.count() >= group.len()
}

/// The query whose rows were looped over: of those that returned about as many rows as the statement
/// was repeated, the closest in number, and of equally close ones the last.
fn cause(sorted: &[&Execution], group: &[usize]) -> Option<(Fingerprint, u64)> {
    let (first, last) = (group[0], group[group.len() - 1]);
    let repeats = group.len() as u64;
    let mut candidates: HashMap<Fingerprint, Candidate> = HashMap::new();
    for (index, execution) in sorted[..last].iter().enumerate() {
        if execution.shape.verb == Verb::Select {
            let candidate = candidates.entry(execution.fingerprint).or_default();
            candidate.first = candidate.first.or(Some(index));
            candidate.executions += 1;
            candidate.rows += execution.rows;
        }
    }
    candidates
        .into_iter()
        // What ran about as often was in the same loop.
        .filter(|(_, candidate)| {
            candidate.first < Some(first) && 2 * candidate.executions <= repeats
        })
        .filter(|(_, candidate)| is_about(repeats, candidate.rows))
        .min_by_key(|(_, candidate)| (candidate.rows.abs_diff(repeats), Reverse(candidate.first)))
        .map(|(fingerprint, candidate)| (fingerprint, candidate.rows))
}

/// A query that may be a loop's cause. In a loop of loops it has run several times, and its rows add up.
#[derive(Default)]
struct Candidate {
    first: Option<usize>,
    executions: u64,
    rows: u64,
}

/// Not all rows have a key to look up, and a loop may end early; more lookups than rows are another's.
const fn is_about(repeats: u64, rows: u64) -> bool {
    rows >= 2 && repeats <= rows && repeats >= rows / 2
}

#[cfg(test)]
mod corpus;
