use crate::Profiler;
use crate::queries::{Asked, Observed};
use perf_core::Moment;

/// A statement that may be run. Request and function are those that ask for it, as with sqlx's own events.
pub(super) struct Ticket {
    profiler: Profiler,
    asked: Asked,
}

/// A statement under way; dropping it ends it.
pub(super) struct Underway {
    ticket: Ticket,
    number: u64,
    started: Moment,
    observed: Observed,
}

impl Ticket {
    pub(super) fn new(profiler: &Profiler, sql: &str) -> Self {
        Self {
            asked: Asked::new(profiler.shared(), sql),
            profiler: profiler.clone(),
        }
    }

    pub(super) fn begin(self) -> Underway {
        let started = self.now();
        let book = &self.profiler.shared().book;
        Underway {
            number: book.begin(self.asked.running(), started),
            started,
            observed: Observed {
                text: self.asked.text,
                function: self.asked.function,
                ..Observed::default()
            },
            ticket: self,
        }
    }

    fn now(&self) -> Moment {
        self.profiler.shared().settings.clock.now()
    }
}

impl Underway {
    pub(super) fn row(&mut self) {
        if self.observed.rows_returned == 0 {
            let after = self.ticket.now().since(self.started);
            self.ticket.asked.entry.saw_first_row(after);
        }
        self.observed.rows_returned += 1;
    }

    pub(super) const fn fail(&mut self) {
        self.observed.failed = true;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Ticket { profiler, asked } = &self.ticket;
        let shared = profiler.shared();
        shared.book.end(self.number);
        if self.observed.failed {
            asked.entry.failed();
        }
        self.observed.elapsed = self.ticket.now().since(self.started);
        let request = asked.request.as_deref();
        shared
            .book
            .record(&asked.entry, self.observed, request, &shared.settings);
    }
}
