//! Leases end, and what is reported under an old one is refused.

use super::{Checked, add, at, claim, settle, status, task};
use crate::tasks::{Lease, Outcome, QueueBackend, TaskId, TaskStatus};
use std::collections::HashSet;

pub(super) async fn a_stale_report_is_refused(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-fence";
    let id = add(backend, queue, task(1), at(0)).await?;
    let first = claim(backend, queue, 1, at(0)).await?[0].lease;
    let done = |lease| [(lease, Outcome::Succeeded("1".to_owned()))];
    assert_eq!(backend.promote(queue, at(29)).await?.expired, 0);
    assert_eq!(backend.promote(queue, at(30)).await?.expired, 1);
    assert_eq!(
        settle(backend, queue, &done(first), at(31)).await?,
        [id],
        "before another claim"
    );
    let second = claim(backend, queue, 1, at(31)).await?[0].lease;
    assert_eq!(second.token, first.token + 1);
    assert_eq!(
        settle(backend, queue, &done(first), at(32)).await?,
        [id],
        "and after it"
    );
    for outcome in [
        Outcome::Forgotten,
        Outcome::Released,
        Outcome::Dead("late".to_owned()),
        Outcome::Retry {
            at: at(0),
            error: "late".to_owned(),
        },
    ] {
        assert_eq!(
            settle(backend, queue, &[(first, outcome)], at(32)).await?,
            [id]
        );
    }
    assert_eq!(status(backend, queue, id).await?, Some(TaskStatus::Running));
    assert!(
        settle(backend, queue, &done(second), at(33))
            .await?
            .is_empty()
    );
    assert_eq!(
        settle(backend, queue, &done(second), at(33)).await?,
        [id],
        "once is enough"
    );
    let unknown = Lease::new(TaskId::random(), 1);
    assert_eq!(
        settle(backend, queue, &done(unknown), at(33)).await?,
        [unknown.id]
    );
    Ok(())
}

pub(super) async fn a_renewed_lease_holds_and_a_lost_one_is_named(
    backend: &dyn QueueBackend,
) -> Checked {
    let queue = "conformance-renewal";
    for number in 0..3 {
        add(backend, queue, task(number), at(0)).await?;
    }
    let claimed = claim(backend, queue, 3, at(0)).await?;
    let leases: Vec<_> = claimed.iter().map(|claimed| claimed.lease).collect();
    backend.cancel(queue, leases[1].id, at(5)).await?;
    let lost = backend.renew(queue, &leases, at(100)).await?;
    assert_eq!(lost, [leases[1].id]);
    assert_eq!(backend.promote(queue, at(99)).await?.expired, 0);
    assert_eq!(backend.promote(queue, at(100)).await?.expired, 2);
    let lost: HashSet<_> = backend
        .renew(queue, &leases, at(200))
        .await?
        .into_iter()
        .collect();
    assert_eq!(lost.len(), 3);
    assert!(backend.renew(queue, &[], at(200)).await?.is_empty());
    Ok(())
}
