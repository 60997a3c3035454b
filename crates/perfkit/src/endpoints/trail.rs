//! What the last minutes were like: a ring of points, so that a page which is opened late shows what was before.
//!
//! A point takes some two hundred bytes, however busy the service is; rates and percentiles are those of the last few
//! readings, of which the figures that they are taken from are kept as well.

use super::stats::Figures;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// Points that are kept: three minutes at a reading a second, and where they begin.
const KEPT: usize = 181;
/// Readings that a rate is taken over.
const SMOOTH: usize = 5;
/// After so many readings that nobody took, what was before is too long ago to stand beside what is now.
const GAP: f64 = 5.0;

/// What the charts show of one moment. Where there is nothing to show, it is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Point {
    /// Seconds since the start.
    pub(super) at: f64,
    latency: Percentiles,
    throughput: Throughput,
    hits: Hits,
    pools: PoolUse,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Throughput {
    requests: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Hits {
    all: Option<f64>,
}

/// Resources in use, their limit and who waits for one, over all pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct PoolUse {
    pub(super) used: Option<f64>,
    pub(super) limit: Option<f64>,
    pub(super) waiting: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Wait {
    mean: Option<f64>,
}

/// The points so far, the newest last.
#[derive(Debug, Default)]
pub(super) struct Trail {
    points: VecDeque<Point>,
    readings: VecDeque<Figures>,
}

impl Trail {
    /// The point of a reading, which is kept where one is due.
    pub(super) fn add(&mut self, reading: Figures, refresh: Duration) -> Point {
        let since = |last: &Point| (reading.at - last.at) / refresh.as_secs_f64();
        let since = self.points.back().map(since);
        if since.is_some_and(|refreshes| refreshes > GAP) {
            *self = Self::default();
        }
        let point = point(&reading, self.readings.front());
        // Readings that viewers ask for in between are theirs alone: the charts' steps are even.
        if since.is_none_or(|refreshes| refreshes > 0.95) {
            keep(&mut self.points, point, KEPT);
            keep(&mut self.readings, reading, SMOOTH);
        }
        point
    }

    /// All points as JSON.
    pub(super) fn json(&self) -> String {
        // Numbers can always be written.
        serde_json::to_string(&self.points).unwrap_or_default()
    }
}

fn keep<T>(ring: &mut VecDeque<T>, newest: T, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(newest);
}

/// The point of a reading, compared with that of a few readings ago.
fn point(now: &Figures, before: Option<&Figures>) -> Point {
    let mut point = Point {
        at: now.at,
        pools: now.pools,
        ..Point::default()
    };
    let Some(before) = before.filter(|before| before.at < now.at) else {
        return point;
    };
    match now.judged.filter(|_| !now.has_routes) {
        Some((rate, latency)) => {
            point.throughput.requests = Some(rate);
            point.latency = latency;
        }
        None => {
            let served = now.requests.saturating_sub(before.requests) as f64;
            point.throughput.requests = Some(served / (now.at - before.at));
            point.latency = percentiles(&now.latency, &before.latency);
        }
    }
    let (hits, misses) = (now.hits - before.hits, now.misses - before.misses);
    point.hits.all = (hits + misses > 0.0).then(|| hits / (hits + misses));
    let (waits, waited) = (now.waits - before.waits, now.waited - before.waited);
    point.wait.mean = (waits > 0.0).then(|| waited / waits);
    point
}

/// Those of the requests that have ended between two readings, both shortest first.
fn percentiles(now: &[(f64, u64)], before: &[(f64, u64)]) -> Percentiles {
    let mut earlier = before.iter().peekable();
    let fresh = now.iter().map(|(time, count)| {
        while earlier.next_if(|(other, _)| other < time).is_some() {}
        let known = earlier.peek().filter(|(other, _)| other == time);
        (
            *time,
            count.saturating_sub(known.map_or(0, |(_, count)| *count)),
        )
    });
    let fresh: Vec<_> = fresh.collect();
    let total: u64 = fresh.iter().map(|(_, count)| count).sum();
    let quantile = |permille: u64| {
        let rank = (total * permille).div_ceil(1_000);
        let mut seen = 0;
        let reached = fresh.iter().find(|(_, count)| {
            seen += count;
            total > 0 && seen >= rank
        });
        reached.map(|(time, _)| *time)
    };
    Percentiles {
        p50: quantile(500),
        p95: quantile(950),
        p99: quantile(990),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reading(second: u32, requests: u64) -> Figures {
        Figures {
            at: f64::from(second),
            requests,
            has_routes: true,
            latency: vec![(0.01, requests), (0.5, requests / 10)],
            hits: f64::from(second) * 3.0,
            misses: f64::from(second),
            ..Figures::default()
        }
    }

    #[test]
    fn it_holds_the_last_three_minutes_however_long_it_runs() {
        let mut trail = Trail::default();
        for second in 0..1_000 {
            let _point = trail.add(reading(second, u64::from(second) * 100), SECOND);
        }
        assert_eq!(trail.points.len(), KEPT);
        assert_eq!(trail.points[0].at, 819.0);
        let last = trail.points[KEPT - 1];
        assert_eq!(last.throughput.requests, Some(100.0));
        assert_eq!(last.hits.all, Some(0.75));
        assert_eq!(
            (last.latency.p50, last.latency.p99),
            (Some(0.01), Some(0.5))
        );
    }

    #[test]
    fn readings_in_between_are_told_and_not_kept() {
        let mut trail = Trail::default();
        for tenth in 0..100 {
            let mut between = reading(0, 0);
            between.at = f64::from(tenth) / 10.0;
            assert_eq!(trail.add(between, SECOND).at, f64::from(tenth) / 10.0);
        }
        assert_eq!(trail.points.len(), 10);
    }

    #[test]
    fn what_was_long_before_is_dropped() {
        let mut trail = Trail::default();
        for second in [0, 1, 2, 60, 61] {
            let _point = trail.add(reading(second, 0), SECOND);
        }
        assert_eq!(trail.points.len(), 2);
        assert_eq!(trail.points[0].throughput.requests, None, "of nothing");
    }

    #[test]
    fn percentiles_are_those_of_what_came_between() {
        let before = [(0.1, 5), (0.3, 7)];
        let now = [(0.1, 5), (0.2, 99), (0.3, 8), (0.4, 0)];
        let told = percentiles(&now, &before);
        assert_eq!(
            (told.p50, told.p95, told.p99),
            (Some(0.2), Some(0.2), Some(0.2))
        );
        assert_eq!(percentiles(&now, &now), Percentiles::default());
    }
}
