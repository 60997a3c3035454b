//! A breaker written for clarity alone: every call kept in a list, every rule read off it.

use perf_breaker::State;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) window: Window,
    pub(crate) failure_rate: Option<(u64, u64)>,
    pub(crate) slow: Option<(Duration, (u64, u64))>,
    pub(crate) consecutive: usize,
    pub(crate) min_calls: usize,
    pub(crate) open_for: Duration,
    pub(crate) probes: usize,
    pub(crate) needed: usize,
    pub(crate) lease: Duration,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    Calls(usize),
    Time { bucket: Duration, buckets: u128 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Failure,
    Ignore,
    OpenFor(Duration),
    Dropped,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    at: Duration,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit {
    generation: usize,
    started: Duration,
}

#[derive(Debug)]
pub(crate) struct Reference {
    settings: Settings,
    pub(crate) state: State,
    generation: usize,
    calls: Vec<Call>,
    row: usize,
    rounds: u32,
    until: Duration,
    /// When the probes of this generation were given out, and how many generations before it hung.
    issued: Vec<Duration>,
    hung: u32,
    in_flight: usize,
    successes: usize,
    failures: usize,
}

/// The breaker's resolution of deadlines.
const UNIT: u128 = 1 << 20;

fn rounded_up(time: Duration) -> Duration {
    let nanos = time.as_nanos().div_ceil(UNIT) * UNIT;
    Duration::from_nanos(u64::try_from(nanos).unwrap())
}

impl Reference {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed,
            generation: 0,
            calls: Vec::new(),
            row: 0,
            rounds: 0,
            until: Duration::ZERO,
            issued: Vec::new(),
            hung: 0,
            in_flight: 0,
            successes: 0,
            failures: 0,
        }
    }

    pub(crate) fn admit(&mut self, now: Duration) -> Result<Permit, Duration> {
        match self.state {
            State::Open if now < self.until => return Err(self.until - now),
            State::Open => self.probe(now, 0),
            State::HalfOpen => {
                let taken = self.in_flight + self.successes + self.failures;
                let last = self.issued.iter().map(|at| self.overdue(*at)).max();
                match last {
                    Some(last) if taken >= self.settings.probes && now < last => {
                        return Err(last - now);
                    }
                    _ if taken >= self.settings.probes => self.probe(now, self.hung + 1),
                    _ => {
                        self.in_flight += 1;
                        self.issued.push(now);
                    }
                }
            }
            _ => {}
        }
        Ok(Permit {
            generation: self.generation,
            started: now,
        })
    }

    pub(crate) fn settle(&mut self, permit: Permit, end: End, now: Duration) {
        if permit.generation != self.generation {
            return;
        }
        let age = now - permit.started;
        let over = |limit: Option<Duration>| limit.is_some_and(|limit| age >= limit);
        let slow = over(self.settings.slow.map(|(limit, _)| limit));
        let (failed, open_for) = match end {
            End::Success => (false, None),
            End::Failure => (true, None),
            End::Ignore => return self.ignore(),
            End::OpenFor(time) => (true, Some(time)),
            End::Dropped if over(self.settings.timeout) => (true, None),
            End::Dropped if slow => (false, None),
            End::Dropped => return self.ignore(),
        };
        if self.state == State::HalfOpen {
            self.settle_probe(failed || slow, open_for, now);
        } else {
            self.settle_call(failed, slow, open_for, now);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.begin(State::Closed);
        self.rounds = 0;
    }

    pub(crate) fn counts(&self, now: Duration) -> (usize, usize, usize) {
        let window = self.window(now);
        let count = |holds: fn(&Call) -> bool| window.iter().filter(|call| holds(call)).count();
        (
            window.len(),
            count(|call| call.failed),
            count(|call| call.slow),
        )
    }

    fn ignore(&mut self) {
        if self.state == State::HalfOpen {
            self.in_flight -= 1;
        }
    }

    fn settle_call(&mut self, failed: bool, slow: bool, open_for: Option<Duration>, now: Duration) {
        self.calls.push(Call {
            at: now,
            failed,
            slow,
        });
        self.row = if failed { self.row + 1 } else { 0 };
        if let Some(time) = open_for {
            return self.open(time, now);
        }
        let (calls, failures, slow_calls) = self.counts(now);
        let full = matches!(self.settings.window, Window::Calls(size) if self.calls.len() > size);
        let reaches_minimum = calls == self.settings.min_calls && !full;
        if !failed && !slow && !reaches_minimum {
            return;
        }
        let reached = |rate: Option<(u64, u64)>, part: usize| {
            rate.is_some_and(|(over, under)| part as u64 * under >= over * calls as u64)
        };
        let rates = self.settings.failure_rate.is_some() || self.settings.slow.is_some();
        let trips = if rates && calls >= self.settings.min_calls {
            reached(self.settings.failure_rate, failures)
                || reached(self.settings.slow.map(|(_, rate)| rate), slow_calls)
        } else {
            let row = match self.settings.window {
                Window::Calls(_) => self.row,
                Window::Time { .. } => self.row.min(calls),
            };
            self.settings.consecutive > 0 && row >= self.settings.consecutive
        };
        if trips {
            self.open(self.settings.open_for, now);
        }
    }

    fn settle_probe(&mut self, failed: bool, open_for: Option<Duration>, now: Duration) {
        self.in_flight -= 1;
        if failed {
            self.failures += 1
        } else {
            self.successes += 1
        }
        if open_for.is_some() || self.failures > self.settings.probes - self.settings.needed {
            self.rounds = (self.rounds + 1).min(15);
            let doubled =
                (self.settings.open_for * (1 << self.rounds)).min(Duration::from_secs(60));
            self.open(open_for.unwrap_or(doubled), now);
        } else if self.successes >= self.settings.needed {
            self.reset();
        }
    }

    fn open(&mut self, time: Duration, now: Duration) {
        self.begin(State::Open);
        self.until = rounded_up(now + time);
    }

    fn probe(&mut self, now: Duration, hung: u32) {
        self.begin(State::HalfOpen);
        self.hung = hung;
        self.issued.push(now);
        self.in_flight = 1;
    }

    /// When a probe that was given out at `at` counts as hanging.
    fn overdue(&self, at: Duration) -> Duration {
        let doubled = self.settings.lease * 2_u32.pow(self.hung);
        rounded_up(at + doubled.min(Duration::from_secs(3600)))
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.calls.clear();
        self.issued.clear();
        (self.row, self.in_flight, self.successes, self.failures) = (0, 0, 0, 0);
    }

    fn window(&self, now: Duration) -> &[Call] {
        match self.settings.window {
            Window::Calls(size) => &self.calls[self.calls.len().saturating_sub(size)..],
            Window::Time { bucket, buckets } => {
                let epoch = |at: Duration| at.as_nanos() / bucket.as_nanos();
                let stays = |call: &Call| epoch(call.at) + buckets > epoch(now);
                let first = self
                    .calls
                    .iter()
                    .position(stays)
                    .unwrap_or(self.calls.len());
                &self.calls[first..]
            }
        }
    }
}
