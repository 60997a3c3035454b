//! The suite that every [`Manager`] must pass, ours and yours.

use crate::manager::{Fate, Manager};
use crate::pool::Pool;
use crate::pooled::Pooled;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What the suite has to know to try a manager: how its resources are used, and how they are left in
/// disorder.
pub trait Subject {
    /// The manager.
    type Manager: Manager;

    /// A manager that can create at least two resources at a time.
    fn manager(&self) -> Self::Manager;

    /// Uses the resource as its next holder would, and fails if that is impossible or shows traces of an
    /// earlier one.
    fn use_clean(
        &self,
        resource: &mut <Self::Manager as Manager>::Resource,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send;

    /// Leaves the resource as a careless holder might: a transaction open, a setting changed. Nothing, if there is
    /// nothing to leave.
    fn soil(
        &self,
        resource: &mut <Self::Manager as Manager>::Resource,
    ) -> impl Future<Output = ()> + Send;
}

const LONG: Duration = Duration::from_secs(30);
/// More polls than any step of a manager takes.
const MAX_POLLS: usize = 200;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Checks a manager with resources of its own.
///
/// # Errors
///
/// When a resource cannot be created or used.
///
/// # Panics
///
/// When the manager breaks its contract; the message says where.
///
/// # Cancel safety
///
/// Some resources may be left to their destructors.
pub async fn manager<S: Subject>(subject: &S) -> Outcome {
    fresh_resources_work(subject).await?;
    cleaned_resources_are_clean(subject).await?;
    soiled_resources_reach_nobody(subject).await?;
    cancelled_uses_reach_nobody(subject).await?;
    cancelled_steps_leave_the_manager_working(subject).await?;
    closing_ends(subject).await
}

fn pool<S: Subject>(subject: &S) -> Result<Pool<S::Manager>, Box<dyn Error + Send + Sync>> {
    let builder = Pool::builder(subject.manager()).max_size(1);
    Ok(builder.acquire_timeout(LONG).build()?)
}

/// What was created is neither broken nor fails its check, and two do not disturb each other.
async fn fresh_resources_work<S: Subject>(subject: &S) -> Outcome {
    let manager = subject.manager();
    let (mut one, mut other) = (manager.create().await?, manager.create().await?);
    for resource in [&mut one, &mut other] {
        assert!(
            !manager.is_broken(resource),
            "a new resource counts as broken"
        );
        manager.check(resource).await?;
        subject.use_clean(resource).await?;
        manager.check(resource).await?;
    }
    manager.close(one).await;
    subject.use_clean(&mut other).await
}

/// What `reset` keeps is clean.
async fn cleaned_resources_are_clean<S: Subject>(subject: &S) -> Outcome {
    let manager = subject.manager();
    for soiled in [false, true] {
        let mut resource = manager.create().await?;
        if soiled {
            subject.soil(&mut resource).await;
        }
        if manager.reset(&mut resource).await? == Fate::Keep {
            let used = subject.use_clean(&mut resource).await;
            assert!(used.is_ok(), "kept by `reset`, yet not clean: {used:?}");
        }
    }
    Ok(())
}

/// What a guard leaves behind on a resource that needs care is gone when the next one comes.
async fn soiled_resources_reach_nobody<S: Subject>(subject: &S) -> Outcome {
    let pool = pool(subject)?;
    for _ in 0..3 {
        let mut guard = pool.acquire().await?;
        subject.soil(&mut guard).await;
        if S::Manager::CLEAN_AFTER_ACCESS {
            Pooled::taint(&mut guard);
        }
        drop(guard);
        let mut next = pool.acquire().await?;
        let used = subject.use_clean(&mut next).await;
        assert!(used.is_ok(), "the next holder finds traces: {used:?}");
    }
    Ok(())
}

/// A use that was abandoned after any number of polls disturbs nobody.
async fn cancelled_uses_reach_nobody<S: Subject>(subject: &S) -> Outcome {
    let pool = pool(subject)?;
    for polls in 0..MAX_POLLS {
        let mut guard = pool.acquire().await?;
        let ended = polled(polls, subject.use_clean(&mut guard)).await.is_some();
        if S::Manager::CLEAN_AFTER_ACCESS {
            Pooled::taint(&mut guard);
        }
        drop(guard);
        let mut next = pool.acquire().await?;
        let used = subject.use_clean(&mut next).await;
        assert!(
            used.is_ok(),
            "a use cancelled at poll {polls} left traces: {used:?}"
        );
        if ended {
            break;
        }
    }
    Ok(())
}

/// Creating, checking and resetting may be given up at any poll.
async fn cancelled_steps_leave_the_manager_working<S: Subject>(subject: &S) -> Outcome {
    let manager = subject.manager();
    for polls in 0..MAX_POLLS {
        let created = polled(polls, manager.create()).await;
        let is_created = created.is_some();
        let mut resource = match created {
            Some(created) => created?,
            None => manager.create().await?,
        };
        let checked = polled(polls, manager.check(&mut resource)).await;
        if checked.is_none() {
            // Its pool would drop it; the manager has to go on without it.
            drop(resource);
            resource = manager.create().await?;
        }
        let reset = polled(polls, manager.reset(&mut resource)).await;
        drop(resource);
        if is_created && checked.is_some() && reset.is_some() {
            break;
        }
    }
    let mut resource = manager.create().await?;
    subject.use_clean(&mut resource).await
}

async fn closing_ends<S: Subject>(subject: &S) -> Outcome {
    let pool = pool(subject)?;
    subject.use_clean(&mut *pool.acquire().await?).await?;
    let left = pool.close(LONG).await?;
    assert_eq!(
        left, 0,
        "closing an idle resource takes longer than {LONG:?}"
    );
    Ok(())
}

/// Polls `future` at most `polls` times, and drops it.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
