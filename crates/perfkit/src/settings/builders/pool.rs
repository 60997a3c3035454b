use crate::settings::{DatabaseSettings, PerformanceSettings, RedisSettings};
use perf_pool::{
    Manager, Pool, PoolBuilder, PoolSettings, SharedPool, SharedPoolBuilder, WorkerPool,
};

impl DatabaseSettings {
    /// The settings as the pool has them.
    #[must_use]
    pub fn pool_settings(&self) -> PoolSettings {
        let mut settings = PoolSettings::default();
        settings.pool_size = Some(self.pool_size);
        settings.pool_max_overflow = Some(self.pool_max_overflow);
        settings.pool_timeout = Some(self.pool_timeout.as_secs_f64());
        settings.pool_recycle = Some(self.pool_recycle.map_or(-1.0, |time| time.as_secs_f64()));
        settings.pool_pre_ping = self.pool_pre_ping;
        settings
    }

    /// A pool with these settings, to be completed and built.
    ///
    /// ```
    /// use perfkit::pool::from_fn;
    /// use perfkit::settings::Settings;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = Settings::loader().variables([("DATABASE_POOL_MAX_OVERFLOW", "5")]).load()?;
    /// let pool = settings.database.pool(from_fn(async || std::io::Result::Ok("connection"))).build()?;
    /// assert_eq!(pool.status().max_size, 15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool<M: Manager>(&self, manager: M) -> PoolBuilder<M> {
        Pool::builder(manager)
            .name("database")
            .settings(&self.pool_settings())
    }
}

impl RedisSettings {
    /// Connections for callers who need one to themselves, to be completed and built.
    pub fn pool<M: Manager>(&self, manager: M) -> PoolBuilder<M> {
        Pool::builder(manager)
            .name("redis")
            .max_size(self.max_connections)
            .acquire_timeout(self.timeout)
    }

    /// Connections that all callers share, to be completed and built.
    pub fn shared_pool<M>(&self, manager: M) -> SharedPoolBuilder<M>
    where
        M: Manager<Resource: Clone + Sync>,
    {
        SharedPool::builder(manager)
            .name("redis")
            .connections(self.pool_size)
            .acquire_timeout(self.timeout)
    }
}

impl PerformanceSettings {
    /// Workers for jobs that outlive their request.
    #[must_use]
    pub fn worker_pool(&self) -> WorkerPool {
        WorkerPool::new(self.async_worker_count, self.async_queue_size)
    }
}
