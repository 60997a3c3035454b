//! What every backend owes its queues, as a suite of assertions.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), perf_bulk::TaskError> {
//! use perf_bulk::MemoryTasks;
//! use perf_bulk::tasks::conformance;
//!
//! conformance::suite(&MemoryTasks::new()).await?;
//! conformance::agrees_with_memory(&MemoryTasks::new(), 1, 100).await?;
//! # Ok(())
//! # }
//! ```

mod differential;
mod ends;
mod leases;

use super::{
    Claim, Claimed, Counts, Enqueue, Exchange, Lease, NewTask, Outcome, QueueBackend, Settlement,
    Task, TaskId, TaskStatus,
};
use crate::error::TaskError;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

pub use differential::agrees_with_memory;

type Checked = Result<(), TaskError>;

#[derive(Serialize, Deserialize)]
struct Number(u32);

impl Task for Number {
    const NAME: &'static str = "number";
    type Output = u32;
}

const LEASE: Duration = Duration::from_secs(30);

/// A time that is `seconds` into the test.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn task(number: u32) -> Enqueue<Number> {
    Enqueue::new(Number(number))
}

async fn add(
    backend: &dyn QueueBackend,
    queue: &str,
    task: Enqueue<Number>,
    now: SystemTime,
) -> Result<TaskId, TaskError> {
    Ok(backend.enqueue(queue, &[task.into_new()?], now).await?[0])
}

async fn claim(
    backend: &dyn QueueBackend,
    queue: &str,
    limit: usize,
    now: SystemTime,
) -> Result<Vec<Claimed>, TaskError> {
    let claim = Claim::new("worker", limit, now, LEASE);
    Ok(backend.exchange(queue, &[], &claim).await?.claimed)
}

/// Settles without a claim; the refused.
async fn settle(
    backend: &dyn QueueBackend,
    queue: &str,
    reports: &[(Lease, Outcome)],
    now: SystemTime,
) -> Result<Vec<TaskId>, TaskError> {
    let reports = reports.iter().cloned();
    let reports: Vec<_> = reports
        .map(|(lease, outcome)| Settlement::new(lease, outcome))
        .collect();
    let claim = Claim::new("worker", 0, now, LEASE);
    let Exchange { claimed, refused } = backend.exchange(queue, &reports, &claim).await?;
    assert!(claimed.is_empty(), "a claim of none got some");
    Ok(refused)
}

async fn status(
    backend: &dyn QueueBackend,
    queue: &str,
    id: TaskId,
) -> Result<Option<TaskStatus>, TaskError> {
    Ok(backend.find(queue, id).await?.map(|record| record.status))
}

/// Runs the whole suite against `backend`, in queues whose names begin with `conformance-` and which must
/// be empty.
///
/// # Errors
///
/// That of the backend.
///
/// # Panics
///
/// When the backend does not behave.
///
/// # Cancel safety
///
/// Dropped midway, tasks are left behind.
pub async fn suite(backend: &dyn QueueBackend) -> Result<(), TaskError> {
    tasks_are_claimed_by_priority_and_age(backend).await?;
    a_task_is_not_claimed_before_it_is_due(backend).await?;
    a_report_settles_its_task(backend).await?;
    leases::a_stale_report_is_refused(backend).await?;
    leases::a_renewed_lease_holds_and_a_lost_one_is_named(backend).await?;
    a_key_is_unique_until_it_is_forgotten(backend).await?;
    ends::what_is_cancelled_stays_so(backend).await?;
    ends::what_is_dead_can_be_revived(backend).await?;
    queues_do_not_see_each_other(backend).await?;
    arguments_and_outputs_return_as_they_were(backend).await?;
    no_task_is_claimed_twice_at_once(backend).await?;
    arrivals_are_told(backend).await
}

async fn tasks_are_claimed_by_priority_and_age(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-order";
    let tasks = [task(1), task(2).priority(-3), task(3).priority(9), task(4)];
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(Enqueue::into_new)
        .collect::<Result<_, _>>()?;
    let ids = backend.enqueue(queue, &tasks, at(0)).await?;
    assert_eq!(ids, tasks.iter().map(|task| task.id).collect::<Vec<_>>());
    let younger = add(backend, queue, task(5), at(1)).await?;
    let claimed = claim(backend, queue, 3, at(2)).await?;
    let order: Vec<_> = claimed.iter().map(|claimed| claimed.lease.id).collect();
    assert_eq!(order, [ids[2], ids[0].min(ids[3]), ids[0].max(ids[3])]);
    let rest = claim(backend, queue, 100, at(2)).await?;
    let order: Vec<_> = rest.iter().map(|claimed| claimed.lease.id).collect();
    assert_eq!(order, [younger, ids[1]]);
    assert!(claim(backend, queue, 100, at(2)).await?.is_empty());
    Ok(())
}

async fn a_task_is_not_claimed_before_it_is_due(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-due";
    let later = add(backend, queue, task(1).run_at(at(20)), at(0)).await?;
    let soon = add(backend, queue, task(2).run_at(at(10)), at(0)).await?;
    assert_eq!(
        status(backend, queue, soon).await?,
        Some(TaskStatus::Scheduled)
    );
    assert!(
        claim(backend, queue, 9, at(15)).await?.is_empty(),
        "not promoted yet"
    );
    let promotion = backend.promote(queue, at(9)).await?;
    assert_eq!((promotion.due, promotion.next), (0, Some(at(10))));
    let promotion = backend.promote(queue, at(10)).await?;
    assert_eq!((promotion.due, promotion.expired), (1, 0));
    assert_eq!(promotion.next, Some(at(20)));
    assert_eq!(claim(backend, queue, 9, at(10)).await?[0].lease.id, soon);
    assert_eq!(
        status(backend, queue, later).await?,
        Some(TaskStatus::Scheduled)
    );
    assert_eq!(backend.promote(queue, at(25)).await?.next, None);
    let claimed = claim(backend, queue, 9, at(25)).await?;
    assert_eq!((claimed[0].lease.id, claimed[0].run_at), (later, at(20)));
    let past = add(backend, queue, task(3).run_at(at(5)), at(26)).await?;
    assert_eq!(
        claim(backend, queue, 9, at(26)).await?[0].lease.id,
        past,
        "due already"
    );
    Ok(())
}

async fn a_report_settles_its_task(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-reports";
    for number in 0..5 {
        add(backend, queue, task(number), at(0)).await?;
    }
    let claimed = claim(backend, queue, 5, at(1)).await?;
    let lease = |index: usize| claimed[index].lease;
    let error = "no such plane".to_owned();
    let reports = [
        (lease(0), Outcome::Succeeded("7".to_owned())),
        (lease(1), Outcome::Forgotten),
        (
            lease(2),
            Outcome::Retry {
                at: at(60),
                error: error.clone(),
            },
        ),
        (lease(3), Outcome::Dead(error.clone())),
        (lease(4), Outcome::Released),
    ];
    assert!(settle(backend, queue, &reports, at(2)).await?.is_empty());
    let record = |index: usize| backend.find(queue, lease(index).id);
    let done = record(0).await?.expect("a success is kept");
    assert_eq!((done.status, done.attempts), (TaskStatus::Succeeded, 1));
    assert_eq!((done.output.as_deref(), done.error), (Some("7"), None));
    assert_eq!(record(1).await?, None);
    let retried = record(2).await?.expect("it is tried again");
    assert_eq!(
        (retried.status, retried.attempts),
        (TaskStatus::Scheduled, 1)
    );
    assert_eq!(retried.error.as_ref(), Some(&error));
    let dead = record(3).await?.expect("the dead are kept");
    assert_eq!((dead.status, dead.error), (TaskStatus::Dead, Some(error)));
    let released = record(4).await?.expect("it waits");
    assert_eq!(
        (released.status, released.attempts),
        (TaskStatus::Waiting, 0)
    );

    backend.promote(queue, at(60)).await?;
    let again = claim(backend, queue, 5, at(60)).await?;
    let attempts: Vec<_> = again
        .iter()
        .map(|claimed| (claimed.lease.id, claimed.attempt))
        .collect();
    assert_eq!(attempts, [(lease(4).id, 1), (lease(2).id, 2)]);
    assert!(
        again
            .iter()
            .all(|claimed| claimed.lease.token > lease(0).token)
    );
    let counts = backend.counts(queue).await?;
    let expected = Counts {
        running: 2,
        succeeded: 1,
        dead: 1,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(
        backend.purge(queue, at(2)).await?,
        0,
        "it succeeded then, not before"
    );
    assert_eq!(backend.purge(queue, at(3)).await?, 1);
    assert_eq!(record(0).await?, None);
    Ok(())
}

async fn a_key_is_unique_until_it_is_forgotten(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-keys";
    let keyed = |number: u32, key: &str| task(number).key(key).into_new();
    let tasks = [
        keyed(1, "a")?,
        keyed(2, "b")?,
        keyed(3, "a")?,
        task(4).into_new()?,
    ];
    let ids = backend.enqueue(queue, &tasks, at(0)).await?;
    assert_eq!(ids, [tasks[0].id, tasks[1].id, tasks[0].id, tasks[3].id]);
    let again = backend.enqueue(queue, &[keyed(5, "b")?], at(1)).await?;
    assert_eq!(again, [ids[1]]);
    let elsewhere = keyed(6, "a")?;
    let other = backend
        .enqueue(
            "conformance-keys-2",
            std::slice::from_ref(&elsewhere),
            at(1),
        )
        .await?;
    assert_eq!(other, [elsewhere.id]);
    let claimed = claim(backend, queue, 9, at(2)).await?;
    assert_eq!(claimed.len(), 3);
    let done = |claimed: &Claimed| (claimed.lease, Outcome::Succeeded("0".to_owned()));
    let reports: Vec<_> = claimed.iter().map(done).collect();
    settle(backend, queue, &reports, at(3)).await?;
    assert_eq!(
        backend.enqueue(queue, &[keyed(7, "a")?], at(4)).await?,
        [ids[0]],
        "kept"
    );
    assert_eq!(backend.purge(queue, at(10)).await?, 3);
    let fresh = keyed(8, "a")?;
    assert_eq!(
        backend
            .enqueue(queue, std::slice::from_ref(&fresh), at(11))
            .await?,
        [fresh.id]
    );
    let lease = claim(backend, queue, 9, at(12)).await?[0].lease;
    settle(backend, queue, &[(lease, Outcome::Forgotten)], at(12)).await?;
    let fresh = keyed(9, "a")?;
    assert_eq!(
        backend
            .enqueue(queue, std::slice::from_ref(&fresh), at(13))
            .await?,
        [fresh.id]
    );
    Ok(())
}

async fn queues_do_not_see_each_other(backend: &dyn QueueBackend) -> Checked {
    let (queue, other) = ("conformance-here", "conformance-there");
    let id = add(backend, queue, task(1).run_at(at(5)), at(0)).await?;
    assert_eq!(backend.promote(other, at(9)).await?.due, 0);
    assert_eq!(backend.promote(queue, at(9)).await?.due, 1);
    assert!(claim(backend, other, 9, at(9)).await?.is_empty());
    assert_eq!(status(backend, other, id).await?, None);
    assert!(!backend.cancel(other, id, at(9)).await?);
    assert_eq!(backend.counts(other).await?, Counts::default());
    assert_eq!(claim(backend, queue, 9, at(9)).await?.len(), 1);
    Ok(())
}

async fn arguments_and_outputs_return_as_they_were(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-values";
    let text = r#"{"quote":"\"'$1\\","unicode":"é\u0000☃","big":18446744073709551615}"#;
    let long = format!("\"{}\"", "x".repeat(100_000));
    for args in [text, &long] {
        let task = NewTask {
            args: args.to_owned(),
            time_limit: Some(Duration::from_micros(1_500)),
            ..task(1).max_attempts(7).into_new()?
        };
        backend
            .enqueue(queue, std::slice::from_ref(&task), at(0))
            .await?;
        let claimed = claim(backend, queue, 1, at(0)).await?;
        let Claimed {
            lease,
            name,
            args,
            max_attempts,
            time_limit,
            ..
        } = &claimed[0];
        assert_eq!((lease.id, name), (task.id, &task.name));
        assert_eq!(
            (args, *max_attempts, *time_limit),
            (&task.args, 7, task.time_limit)
        );
        settle(
            backend,
            queue,
            &[(*lease, Outcome::Succeeded(args.clone()))],
            at(0),
        )
        .await?;
        let record = backend.find(queue, task.id).await?.expect("it is kept");
        assert_eq!(record.output, Some(task.args));
    }
    Ok(())
}

async fn no_task_is_claimed_twice_at_once(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-rush";
    let tasks: Vec<_> = (0..200)
        .map(|number| task(number).into_new())
        .collect::<Result<_, _>>()?;
    backend.enqueue(queue, &tasks, at(0)).await?;
    let mut seen = HashSet::new();
    while seen.len() < tasks.len() {
        let rush = (0..8).map(|_| claim(backend, queue, 7, at(1)));
        let claimed = try_join_all(rush).await?.concat();
        assert!(!claimed.is_empty(), "{} of 200 were claimed", seen.len());
        for claimed in claimed {
            assert_eq!(claimed.lease.token, 1);
            assert!(seen.insert(claimed.lease.id), "claimed twice");
        }
    }
    Ok(())
}

async fn arrivals_are_told(backend: &dyn QueueBackend) -> Checked {
    let mut arrivals = backend.arrivals();
    arrivals.mark_unchanged();
    add(backend, "conformance-arrivals", task(1), at(0)).await?;
    assert!(arrivals.changed().await.is_ok());
    Ok(())
}
