//! Telling workers of all processes that tasks have arrived.

use super::super::sql::failed;
use crate::error::TaskError;
use perf_core::{Clock, SystemClock};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool, query};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The least time between two notifications from this process.
const PAUSE: Duration = Duration::from_millis(5);
/// How long to wait before a lost connection for listening is made anew.
const RECONNECT: Duration = Duration::from_secs(1);

/// Rung when tasks were added; heard by the workers of this process at once, and by those of others.
#[derive(Debug)]
pub(super) struct Bell {
    pool: PgPool,
    table: String,
    arrivals: watch::Sender<()>,
    /// Whether a notification is about to be sent, which will speak for tasks added until then.
    ringing: Arc<AtomicBool>,
    listening: Arc<AtomicBool>,
}

/// One channel for all tables of a database; the payload names the table.
const CHANNEL: &str = "perf_tasks";
const NOTIFY: &str = "SELECT pg_notify('perf_tasks', $1)";

impl Bell {
    pub(super) fn new(pool: PgPool, table: &str) -> Self {
        Self {
            pool,
            table: table.to_owned(),
            arrivals: watch::Sender::new(()),
            ringing: Arc::default(),
            listening: Arc::default(),
        }
    }

    /// Rings, now for this process and within 5 ms for others.
    pub(super) fn ring(&self) {
        self.arrivals.send_replace(());
        if self.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, table) = (self.pool.clone(), self.table.clone());
        let ringing = Lowered(Arc::clone(&self.ringing));
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            SystemClock.sleep(PAUSE).await;
            // Lowered first: who adds a task from here on rings again.
            drop(ringing);
            let notified = query(NOTIFY).bind(table);
            if let Err(error) = notified.execute(&pool).await {
                // Workers look by themselves every so often.
                tracing::debug!(error = &error as &dyn Error, "no notification");
            }
        });
    }

    /// Rings when the transaction commits.
    pub(super) async fn ring_in(&self, connection: &mut PgConnection) -> Result<(), TaskError> {
        let notify = query(NOTIFY).bind(&self.table);
        notify.execute(connection).await.map_err(failed)?;
        Ok(())
    }

    /// Changes whenever the bell rings anywhere. The first call starts to listen.
    pub(super) fn listen(&self) -> watch::Receiver<()> {
        let heard = self.arrivals.subscribe();
        if let (Ok(runtime), false) = (
            Handle::try_current(),
            self.listening.swap(true, Ordering::AcqRel),
        ) {
            let ear = Ear {
                pool: self.pool.clone(),
                table: self.table.clone(),
                arrivals: self.arrivals.clone(),
                listening: Lowered(Arc::clone(&self.listening)),
            };
            runtime.spawn(ear.listen());
        }
        heard
    }
}

/// Listens as long as someone wants to hear.
struct Ear {
    pool: PgPool,
    table: String,
    arrivals: watch::Sender<()>,
    listening: Lowered,
}

/// A flag that is lowered when its task ends, be it with its runtime: one in another runtime can take over.
#[derive(Debug)]
struct Lowered(Arc<AtomicBool>);

impl Drop for Lowered {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Ear {
    async fn listen(self) {
        // A connection beside the pool's: a small pool must not be emptied by one that only waits.
        let options = PgPoolOptions::new().max_connections(1);
        let own = options.connect_lazy_with((*self.pool.connect_options()).clone());
        loop {
            tokio::select! {
                () = self.arrivals.closed() => {
                    if self.is_over() {
                        return;
                    }
                }
                () = self.pool.close_event() => return,
                error = self.relay(&own) => {
                    tracing::warn!(error = &error as &dyn Error, "not listening for tasks");
                    SystemClock.sleep(RECONNECT).await;
                }
            }
        }
    }

    /// Ends, unless someone began to hear while nobody did; they found us listening still.
    fn is_over(&self) -> bool {
        self.listening.0.store(false, Ordering::SeqCst);
        self.arrivals.is_closed() || self.listening.0.swap(true, Ordering::SeqCst)
    }

    /// Relays until the connection fails.
    async fn relay(&self, pool: &PgPool) -> sqlx::Error {
        let mut listener = match PgListener::connect_with(pool).await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        if let Err(error) = listener.listen(CHANNEL).await {
            return error;
        }
        // Whatever arrived before somebody listened.
        self.arrivals.send_replace(());
        loop {
            match listener.recv().await {
                Ok(heard) if heard.payload() == self.table => {
                    self.arrivals.send_replace(());
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    fn a_runtime_that_ends_leaves_the_bell_to_the_next() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let bell = runtime.block_on(async {
            let pool = PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none");
            let bell = Bell::new(pool.unwrap(), "tasks");
            bell.ring();
            let _heard = bell.listen();
            bell
        });
        assert!(bell.ringing.load(Ordering::Acquire) && bell.listening.load(Ordering::Acquire));
        drop(runtime);
        assert!(!bell.ringing.load(Ordering::Acquire) && !bell.listening.load(Ordering::Acquire));
    }
}
