use super::candidates::Reading;
use super::planner::advice_name;
use super::{Access, Index, Plan, Planner, Step};
use crate::ProfileError;
use parking_lot::Mutex;
use perf_core::{Clock, Dialect, Moment, SystemClock};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// From which expected cost on a statement is worth an index.
const MIN_COST: f64 = 100.0;
/// The most indexes advised for one statement.
const MAX_INDEXES: usize = 3;
/// How many statements' advice is remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Asks a database's planner which indexes would serve a statement. Clones share their memory.
///
/// One question is asked at a time, each for 2 s at most, and the same statement once an hour: meanwhile
/// the answer is remembered.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_profile::{Advisor, SqlitePlanner};
/// use sqlx::sqlite::SqlitePoolOptions;
///
/// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE flights (id INTEGER PRIMARY KEY, origin TEXT, dep_time INTEGER)")
///     .execute(&pool)
///     .await?;
///
/// let advisor = Advisor::new(SqlitePlanner::new(pool));
/// let sql = "SELECT * FROM flights WHERE origin = ? ORDER BY dep_time";
/// let advice = advisor.advise(sql).await?.ok_or("nothing to advise")?;
/// assert_eq!(
///     advice.ddl(),
///     [r#"CREATE INDEX "flights_origin_dep_time" ON "flights" ("origin", "dep_time")"#]
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Advisor {
    planner: Arc<dyn Planner>,
    question: Duration,
    remembered_for: Duration,
    turn: Arc<Semaphore>,
    memory: Arc<Mutex<Memory>>,
    clock: Arc<dyn Clock>,
}

type Memory = HashMap<String, (Moment, Option<Advice>)>;

/// Indexes that the planner uses, and what it then expects to save.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// The statement.
    pub statement: String,
    /// What is missing; the planner uses all of them together.
    pub indexes: Vec<Index>,
    /// The plan without them.
    pub before: Plan,
    /// The plan with them.
    pub after: Plan,
    #[serde(skip)]
    dialect: Dialect,
}

impl Advisor {
    /// Asks `planner`.
    #[must_use]
    pub fn new(planner: impl Planner + 'static) -> Self {
        Self {
            planner: Arc::new(planner),
            question: Duration::from_secs(2),
            remembered_for: Duration::from_secs(3_600),
            turn: Arc::new(Semaphore::new(1)),
            memory: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// How long one question to the planner may take. Default: 2 s.
    #[must_use]
    pub const fn question_timeout(mut self, limit: Duration) -> Self {
        self.question = limit;
        self
    }

    /// How long an answer is remembered. Default: 1 hour.
    #[must_use]
    pub const fn remember_for(mut self, duration: Duration) -> Self {
        self.remembered_for = duration;
        self
    }

    /// Where it reads the time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What the database intends to do with `sql`, without running it.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnsupportedStatement`] unless `sql` is a single query that writes nothing and that the
    /// parser knows; [`ProfileError::PlannerFailed`] and [`ProfileError::UnreadablePlan`] from the
    /// database; [`ProfileError::PlannerTimedOut`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    pub async fn explain(&self, sql: &str) -> Result<Plan, ProfileError> {
        Reading::of(self.planner.dialect(), sql)?;
        let _turn = self.turn.acquire().await;
        self.ask(sql, &[]).await
    }

    /// The indexes that would at least halve what `sql` is expected to cost; `None` when there are none, or
    /// it is cheap already.
    ///
    /// SQLite tells no cost: there, an index is advised that does away with a scan or a sort.
    ///
    /// # Errors
    ///
    /// As [`Advisor::explain`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind, and nothing remembered.
    pub async fn advise(&self, sql: &str) -> Result<Option<Advice>, ProfileError> {
        let reading = Reading::of(self.planner.dialect(), sql)?;
        let _turn = self.turn.acquire().await;
        let now = self.clock.now();
        if let Some((at, advice)) = self.memory.lock().get(sql)
            && now.since(*at) < self.remembered_for
        {
            return Ok(advice.clone());
        }
        let advice = self.search(sql, &reading).await?;
        let mut memory = self.memory.lock();
        if memory.len() >= MAX_REMEMBERED {
            memory.retain(|_, (at, _)| now.since(*at) < self.remembered_for);
        }
        if memory.len() < MAX_REMEMBERED {
            memory.insert(sql.into(), (now, advice.clone()));
        }
        Ok(advice)
    }

    /// Adds the best index to those chosen for as long as each improves the plan.
    async fn search(&self, sql: &str, reading: &Reading) -> Result<Option<Advice>, ProfileError> {
        let mut columns = BTreeMap::new();
        for table in reading.tables() {
            let known = self.within(self.planner.columns(table)).await?;
            columns.insert(table.to_owned(), known);
        }
        let candidates = reading.candidates(&columns);
        let before = self.ask(sql, &[]).await?;
        let (mut indexes, mut after) = (Vec::new(), before.clone());
        while indexes.len() < MAX_INDEXES
            && let Some((index, plan)) = self.best(sql, &indexes, &after, &candidates).await?
        {
            indexes.push(index);
            after = plan;
        }
        let advice = Advice {
            statement: sql.into(),
            indexes,
            before,
            after,
            dialect: self.dialect(),
        };
        Ok((!advice.indexes.is_empty()).then_some(advice))
    }

    async fn best(
        &self,
        sql: &str,
        chosen: &[Index],
        plan: &Plan,
        candidates: &[Index],
    ) -> Result<Option<(Index, Plan)>, ProfileError> {
        let mut best: Option<(Index, Plan)> = None;
        for candidate in candidates
            .iter()
            .filter(|candidate| !chosen.contains(candidate))
        {
            let indexes = [chosen, std::slice::from_ref(candidate)].concat();
            let with = self.ask(sql, &indexes).await?;
            let used = (0..indexes.len()).all(|position| with.uses(&advice_name(position)));
            let better = best.as_ref().is_none_or(|(index, best)| {
                compare(&with, best)
                    .then(candidate.columns.len().cmp(&index.columns.len()))
                    .is_lt()
            });
            if used && better && improves(plan, &with) {
                best = Some((candidate.clone(), with));
            }
        }
        Ok(best)
    }

    async fn ask(&self, sql: &str, indexes: &[Index]) -> Result<Plan, ProfileError> {
        self.within(self.planner.explain(sql, indexes)).await
    }

    /// The answer to one question, if it comes in time.
    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, ProfileError>>,
    ) -> Result<T, ProfileError> {
        match tokio::time::timeout(self.question, answer).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(ProfileError::PlannerTimedOut),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.planner.dialect()
    }

    pub(super) const fn remembered_for(&self) -> Duration {
        self.remembered_for
    }
}

impl Advice {
    /// The statements that make the indexes, in names made from their columns.
    #[must_use]
    pub fn ddl(&self) -> Vec<String> {
        let ddl = |index: &Index| index.ddl(self.dialect, &index.suggested_name());
        self.indexes.iter().map(ddl).collect()
    }
}

/// Whether an index is worth having for what it changes.
fn improves(before: &Plan, after: &Plan) -> bool {
    match (before.cost, after.cost) {
        (Some(before), Some(after)) => before >= MIN_COST && after <= before / 2.0,
        _ => {
            let no_worse = after.scans() <= before.scans() && after.sorts() <= before.sorts();
            no_worse && compare(after, before).is_lt()
        }
    }
}

fn compare(left: &Plan, right: &Plan) -> Ordering {
    match (left.cost, right.cost) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => {
            // An index read from end to end saves a sort, and is no match for a place in one.
            let index_scans = |step: &&Step| step.access == Access::IndexScan;
            let work = |plan: &Plan| {
                let index_scans = plan.steps.iter().filter(index_scans).count();
                (plan.scans(), index_scans, plan.sorts())
            };
            work(left).cmp(&work(right))
        }
    }
}

impl fmt::Debug for Advisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisor")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Missing index for {}", self.statement)?;
        for finding in self.before.findings() {
            writeln!(f, "  now     {finding}")?;
        }
        if let (Some(before), Some(after)) = (self.before.cost, self.after.cost) {
            writeln!(
                f,
                "  cost    {before:.0} now, {after:.0} with it, as the planner expects"
            )?;
        }
        for ddl in self.ddl() {
            writeln!(f, "  cure    {ddl}")?;
        }
        Ok(())
    }
}
