//! Tasks that were cancelled or given up.

use super::{Checked, add, at, claim, settle, status, task};
use crate::tasks::{Outcome, QueueBackend, TaskId, TaskStatus};

pub(super) async fn what_is_cancelled_stays_so(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-cancel";
    let running = add(backend, queue, task(1), at(0)).await?;
    let lease = claim(backend, queue, 1, at(0)).await?[0].lease;
    let waiting = add(backend, queue, task(2), at(0)).await?;
    let scheduled = add(backend, queue, task(3).run_at(at(9)), at(0)).await?;
    for id in [running, waiting, scheduled] {
        assert!(backend.cancel(queue, id, at(1)).await?);
        assert!(
            !backend.cancel(queue, id, at(1)).await?,
            "it is cancelled already"
        );
        assert_eq!(
            status(backend, queue, id).await?,
            Some(TaskStatus::Cancelled)
        );
    }
    let report = [(lease, Outcome::Succeeded("1".to_owned()))];
    assert_eq!(settle(backend, queue, &report, at(2)).await?, [running]);
    backend.promote(queue, at(99)).await?;
    assert!(claim(backend, queue, 9, at(99)).await?.is_empty());
    assert!(!backend.cancel(queue, TaskId::random(), at(1)).await?);
    assert_eq!(backend.purge(queue, at(99)).await?, 3);
    Ok(())
}

pub(super) async fn what_is_dead_can_be_revived(backend: &dyn QueueBackend) -> Checked {
    let queue = "conformance-dead";
    for number in 0..2 {
        add(backend, queue, task(number), at(0)).await?;
    }
    let claimed = claim(backend, queue, 2, at(0)).await?;
    let [first, second] = [claimed[0].lease, claimed[1].lease];
    let dead = Outcome::Dead("broken".to_owned());
    settle(backend, queue, &[(second, dead.clone())], at(1)).await?;
    settle(backend, queue, &[(first, dead)], at(2)).await?;
    assert_eq!(
        backend.dead(queue, 9).await?,
        [second.id, first.id],
        "the oldest first"
    );
    assert_eq!(backend.dead(queue, 1).await?, [second.id]);
    assert_eq!(backend.purge(queue, at(99)).await?, 0, "the dead are kept");
    assert!(backend.revive(queue, first.id, at(3)).await?);
    assert!(!backend.revive(queue, first.id, at(3)).await?, "it lives");
    let again = &claim(backend, queue, 9, at(4)).await?[0];
    assert_eq!(
        (again.lease.id, again.attempt, again.run_at),
        (first.id, 1, at(3))
    );
    assert_eq!(again.lease.token, first.token + 1);
    Ok(())
}
