use super::{Advice, Advisor, Plan};
use crate::profiler::{Profiler, Shared};
use crate::queries::Slowest;
use crate::sql::{Fingerprint, Statement};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Asks an [`Advisor`] about statements that were slow, in the background.
///
/// A statement is asked about once it has been slow three times, then once an hour at most, and no two
/// within ten seconds; the advisor limits the time of each question. Nothing is executed, and no value is
/// needed: statements are explained with placeholders for their values. What comes of it is in
/// [`Snapshot::explanations`](crate::Snapshot::explanations) and in every report.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sqlx::Result<()> {
/// use perf_profile::{Advisor, Explainer, Profiler, SqlitePlanner};
/// use sqlx::sqlite::SqlitePoolOptions;
/// use std::time::Duration;
///
/// let dialect = perf_core::Dialect::Sqlite;
/// let profiler = Profiler::builder().dialect(dialect).slow_query(Duration::ZERO).build();
/// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// sqlx::raw_sql("CREATE TABLE flights (id INTEGER PRIMARY KEY, origin TEXT)").execute(&pool).await?;
/// for origin in ["EWR", "JFK", "LGA"] {
///     let query = sqlx::query("SELECT id FROM flights WHERE origin = ?").bind(origin);
///     query.fetch_all(profiler.executor(&pool)).await?;
/// }
///
/// let explainer = Explainer::new(&profiler, Advisor::new(SqlitePlanner::new(pool)));
/// tokio::spawn(explainer.run());
/// while profiler.snapshot().explanations().is_empty() {
///     tokio::task::yield_now().await;
/// }
/// let advice = profiler.snapshot().explanations()[0].advice.clone();
/// assert_eq!(
///     advice.map(|advice| advice.ddl()),
///     Some(vec![r#"CREATE INDEX "flights_origin" ON "flights" ("origin")"#.to_owned()])
/// );
/// # Ok(())
/// # }
/// ```
#[must_use = "an explainer does nothing until it runs"]
pub struct Explainer {
    profiler: Weak<Shared>,
    advisor: Advisor,
    after: NonZeroU64,
    interval: Duration,
}

/// What was found out about a statement that was slow.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What identifies the statement.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub statement: String,
    /// How often it had been slow.
    pub slow: u64,
    /// What the database intends to do with it; none if that could not be found out.
    pub plan: Option<Plan>,
    /// The index that is missing.
    pub advice: Option<Advice>,
    /// Why there is no plan, or no advice.
    pub failure: Option<String>,
}

impl Explainer {
    /// Asks `advisor` about the slow statements of `profiler`, as long as a handle of that lives.
    pub fn new(profiler: &Profiler, advisor: Advisor) -> Self {
        Self {
            profiler: Arc::downgrade(profiler.shared()),
            advisor,
            after: NonZeroU64::MIN.saturating_add(2),
            interval: Duration::from_secs(10),
        }
    }

    /// How often a statement must have been slow to be asked about. Default: 3.
    pub const fn after(mut self, executions: NonZeroU64) -> Self {
        self.after = executions;
        self
    }

    /// The time between two statements, at least 1 ms. Default: 10 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Asks until the profiler is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the asking; what was found out stays.
    pub async fn run(self) {
        while let Some(shared) = self.profiler.upgrade() {
            let clock = Arc::clone(&shared.settings.clock);
            let again = self.advisor.remembered_for();
            let slowest = shared.book.slowest(self.after.get(), again, clock.now());
            if let Some(slowest) = slowest {
                let explanation = self.explain(&slowest).await;
                slowest.explain(explanation, clock.now());
            }
            drop(shared);
            clock
                .sleep(self.interval.max(Duration::from_millis(1)))
                .await;
        }
    }

    async fn explain(&self, slowest: &Slowest) -> Explanation {
        let statement = slowest.statement();
        let mut explanation = Explanation {
            fingerprint: statement.fingerprint(),
            statement: statement.text().to_owned(),
            slow: slowest.times(),
            plan: None,
            advice: None,
            failure: None,
        };
        if let Err(failure) = self.ask(statement, &mut explanation).await {
            explanation.failure = Some(failure);
        }
        explanation
    }

    async fn ask(&self, statement: &Statement, into: &mut Explanation) -> Result<(), String> {
        let sql = statement.with_placeholders(self.advisor.dialect());
        let sql = sql.ok_or("its text was too long to keep")?;
        let plan = self.advisor.explain(&sql).await;
        into.plan = Some(plan.map_err(|error| error.to_string())?);
        let advice = self.advisor.advise(&sql).await;
        into.advice = advice.map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl fmt::Debug for Explainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainer")
            .field("advisor", &self.advisor)
            .finish_non_exhaustive()
    }
}
