use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A pool of numbered items, each in its usual configuration, without checks.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    type Item: Send;

    /// A pool of `items`, all of them created and idle.
    fn filled(items: u32) -> impl Future<Output = Self> + Send;
    fn acquire(&self) -> impl Future<Output = Self::Item> + Send;
    fn number(item: &Self::Item) -> u64;
}

#[derive(Debug, Default)]
pub(crate) struct Numbers(AtomicU64);

impl perf_pool::Manager for Numbers {
    type Resource = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.0.fetch_add(1, Relaxed))
    }
}

impl deadpool::managed::Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.0.fetch_add(1, Relaxed))
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

impl bb8::ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.fetch_add(1, Relaxed))
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

/// Takes all items at once, so that all exist afterwards.
async fn fill<P: Peer>(pool: &P, items: u32) {
    let mut taken = Vec::new();
    for _ in 0..items {
        taken.push(pool.acquire().await);
    }
}

#[derive(Clone)]
pub(crate) struct Ours(perf_pool::Pool<Numbers>);

impl Peer for Ours {
    type Item = perf_pool::Pooled<Numbers>;

    async fn filled(items: u32) -> Self {
        let pool = perf_pool::Pool::builder(Numbers::default()).max_size(items);
        let pool = Self(pool.build().expect("the settings make sense"));
        fill(&pool, items).await;
        pool
    }

    async fn acquire(&self) -> Self::Item {
        self.0.acquire().await.expect("the pool is open")
    }

    fn number(item: &Self::Item) -> u64 {
        **item
    }
}

#[derive(Clone)]
pub(crate) struct Deadpool(deadpool::managed::Pool<Numbers>);

impl Peer for Deadpool {
    type Item = deadpool::managed::Object<Numbers>;

    async fn filled(items: u32) -> Self {
        let pool = deadpool::managed::Pool::builder(Numbers::default()).max_size(items as usize);
        let pool = Self(pool.build().expect("the settings make sense"));
        fill(&pool, items).await;
        pool
    }

    async fn acquire(&self) -> Self::Item {
        self.0.get().await.expect("the pool is open")
    }

    fn number(item: &Self::Item) -> u64 {
        **item
    }
}

#[derive(Clone)]
pub(crate) struct Bb8(bb8::Pool<Numbers>);

impl Peer for Bb8 {
    type Item = bb8::PooledConnection<'static, Numbers>;

    async fn filled(items: u32) -> Self {
        let pool = bb8::Pool::builder()
            .max_size(items)
            .test_on_check_out(false);
        let pool = Self(
            pool.build(Numbers::default())
                .await
                .expect("the settings make sense"),
        );
        fill(&pool, items).await;
        pool
    }

    async fn acquire(&self) -> Self::Item {
        self.0.get_owned().await.expect("the pool is open")
    }

    fn number(item: &Self::Item) -> u64 {
        **item
    }
}
