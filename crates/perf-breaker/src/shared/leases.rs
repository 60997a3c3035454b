use crate::store::{Charge, Verdict};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire};
use tokio::sync::MutexGuard;

/// Calls of each key that were taken from the store and not yet made.
#[derive(Debug)]
pub(super) struct Leases {
    size: u32,
    instances: u32,
    stripes: Box<[Stripe]>,
    /// The most keys of one stripe. A key beyond them takes another's place, whose calls are lost.
    most: usize,
}

type Stripe = Mutex<HashMap<u64, Arc<Batch>>>;

/// One key's.
#[derive(Debug)]
pub(super) struct Batch {
    size: u32,
    instances: u32,
    left: AtomicU32,
    refill: tokio::sync::Mutex<()>,
    /// How often the store could not be asked.
    failures: AtomicU32,
    /// What the store said when it was last asked.
    said: Mutex<Verdict>,
}

const STRIPES: usize = 64;
const UNKNOWN: Verdict = Verdict {
    limit: 0,
    ahead: 0,
    wait: 0,
};

impl Leases {
    pub(super) fn new(size: u32, instances: u32, keys: usize) -> Self {
        Self {
            size,
            instances,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            most: keys.div_ceil(STRIPES),
        }
    }

    /// What all processes together may hold.
    pub(super) const fn reserve(&self) -> u32 {
        self.size * self.instances
    }

    /// The key's batch, unless the cost is more than one holds, or all others' are in use.
    pub(super) fn batch(&self, hash: u64, cost: u32) -> Option<Arc<Batch>> {
        if cost > self.size {
            return None;
        }
        let stripe = usize::try_from(hash >> 32).unwrap_or(0) % STRIPES;
        let mut batches = self.stripes[stripe].lock();
        if let Some(batch) = batches.get(&hash) {
            return Some(Arc::clone(batch));
        }
        if batches.len() >= self.most {
            // Somebody else's may still be filled, and then more would lie here than was set aside.
            let unused = |(_, batch): &(&u64, &Arc<Batch>)| Arc::strong_count(batch) == 1;
            let (victim, _) = batches.iter().find(unused)?;
            let victim = *victim;
            batches.remove(&victim);
        }
        let batch = Arc::new(Batch::new(self.size, self.instances));
        batches.insert(hash, Arc::clone(&batch));
        Some(batch)
    }
}

impl Batch {
    fn new(size: u32, instances: u32) -> Self {
        Self {
            size,
            instances,
            left: AtomicU32::new(0),
            refill: tokio::sync::Mutex::new(()),
            failures: AtomicU32::new(0),
            said: Mutex::new(UNKNOWN),
        }
    }

    /// Takes `cost` if so much is left.
    pub(super) fn spend(&self, cost: u32) -> Option<Verdict> {
        let spend = |left: u32| left.checked_sub(cost);
        self.left.fetch_update(AcqRel, Acquire, spend).ok()?;
        Some(*self.said.lock())
    }

    /// Waits until nobody else asks the store for this key.
    pub(super) async fn refilling(&self) -> MutexGuard<'_, ()> {
        self.refill.lock().await
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Acquire)
    }

    pub(super) fn fail(&self) {
        self.failures.fetch_add(1, AcqRel);
    }

    /// How many calls it takes to fill up. Only whoever is refilling adds any.
    pub(super) fn missing(&self) -> u32 {
        self.size - self.left.load(Acquire)
    }

    pub(super) fn fill(&self, calls: u32, said: Verdict) {
        *self.said.lock() = said;
        self.left.fetch_add(calls, AcqRel);
    }

    /// A denial that leaves time for the other processes to take theirs: if all came back as soon as one
    /// batch had, all but one would come in vain.
    pub(super) fn patience(&self, charges: &[Charge], denied: Verdict) -> Verdict {
        let batch = charges[denied.limit].interval * u64::from(self.size);
        let others = batch * u64::from(self.instances - 1);
        Verdict {
            wait: denied.wait + others,
            ..denied
        }
    }
}
