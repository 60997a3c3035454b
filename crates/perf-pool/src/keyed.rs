use crate::budget::Budget;
use crate::builder::PoolBuilder;
use crate::error::PoolError;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::pooled::Pooled;
use parking_lot::Mutex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// A pool for each key, a tenant or a shard, under one limit for all of them.
///
/// The pool of a key is built when the key is first asked for, and forgotten when it holds nothing any
/// more. Each has its own limit, its [`max_size`](PoolBuilder::max_size); together they have a
/// [`Budget`], of which a key that was idle makes way for one that is not.
///
/// ```
/// use perf_pool::{KeyedPool, Pool, from_fn};
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pools = KeyedPool::new(20, |tenant: &String| {
///     let tenant = tenant.clone();
///     let connect = from_fn(move || std::future::ready(io::Result::Ok(tenant.len())));
///     Pool::builder(connect).max_size(4)
/// });
/// assert_eq!(*pools.acquire("acme").await?, 4);
/// assert_eq!(*pools.acquire("initech").await?, 7);
/// assert_eq!(pools.keys(), 2);
/// # Ok(())
/// # }
/// ```
pub struct KeyedPool<K, M: Manager> {
    shared: Arc<Shared<K, M>>,
}

type Build<K, M> = dyn Fn(&K) -> PoolBuilder<M> + Send + Sync;

struct Shared<K, M: Manager> {
    budget: Budget,
    build: Box<Build<K, M>>,
    pools: Mutex<Pools<K, M>>,
}

struct Pools<K, M: Manager> {
    by_key: HashMap<K, Pool<M>>,
    /// At how many keys to look for some that can be forgotten.
    next_sweep: usize,
}

/// The fewest keys that are worth a look for some to forget.
const LEAST_SWEEP: usize = 64;

impl<K, M> KeyedPool<K, M>
where
    K: Eq + Hash + Send + 'static,
    M: Manager,
{
    /// Pools as `build` describes them, with at most `max_size` resources together.
    pub fn new(
        max_size: usize,
        build: impl Fn(&K) -> PoolBuilder<M> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                budget: Budget::new(max_size),
                build: Box::new(build),
                pools: Mutex::new(Pools {
                    by_key: HashMap::new(),
                    next_sweep: LEAST_SWEEP,
                }),
            }),
        }
    }

    /// Hands out a resource of `key`, as [`Pool::acquire`] does.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`], and [`PoolError::Misconfigured`] if the key's settings make no sense.
    ///
    /// # Panics
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`].
    pub async fn acquire<Q>(&self, key: &Q) -> Result<Pooled<M>, PoolError<M::Error>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let pool = self.pool(key)?;
        pool.acquire().await
    }

    /// The pool of `key`, for statements on it and for its figures. It is the key's pool for as long as
    /// this handle lives.
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] if the key's settings make no sense.
    pub fn pool<Q>(&self, key: &Q) -> Result<Pool<M>, PoolError<M::Error>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(pool) = self.shared.pools.lock().by_key.get(key) {
            return Ok(pool.clone());
        }
        // Built without the lock: this is somebody's code, which may ask for another key.
        let key = key.to_owned();
        let builder = (self.shared.build)(&key).budget(&self.shared.budget);
        let built = builder.build()?;
        let mut pools = self.shared.pools.lock();
        let forgotten = pools.forget_unused();
        let (pool, surplus) = match pools.by_key.entry(key) {
            Entry::Occupied(faster) => (faster.get().clone(), Some(built)),
            Entry::Vacant(place) => (place.insert(built).clone(), None),
        };
        drop(pools);
        // What goes along with them is somebody's code, too.
        drop((forgotten, surplus));
        Ok(pool)
    }

    /// How many keys have a pool now.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shared.pools.lock().by_key.len()
    }

    /// The budget of all keys together.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.shared.budget
    }
}

impl<K: Eq + Hash, M: Manager> Pools<K, M> {
    /// Takes out the pools that hold nothing and that nobody else has a handle of, now and then.
    fn forget_unused(&mut self) -> Vec<Pool<M>> {
        if self.by_key.len() < self.next_sweep {
            return Vec::new();
        }
        let is_unused = |pool: &Pool<M>| pool.is_only_handle() && pool.status().size() == 0;
        let unused = self.by_key.extract_if(|_, pool| is_unused(pool));
        let unused = unused.map(|(_, pool)| pool).collect();
        self.next_sweep = (self.by_key.len() * 2).max(LEAST_SWEEP);
        unused
    }
}

impl<K, M: Manager> Clone for KeyedPool<K, M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, M: Manager> fmt::Debug for KeyedPool<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPool")
            .field("budget", &self.shared.budget)
            .finish_non_exhaustive()
    }
}
