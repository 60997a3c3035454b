//! Functions whose results are kept.

use perf_cache::store::RedisStore;
use perf_cache::{Cache, CacheError, FarTier, LoadError, cached, invalidates};
use perf_testkit::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone)]
struct Shop {
    cache: Cache<String, String>,
    calls: Arc<AtomicUsize>,
}

struct Order {
    id: u64,
    customer: String,
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("no such thing")]
    Missing,
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Shop {
    fn new() -> anyhow::Result<Self> {
        let builder = Cache::builder("shop").event("moved", ["city:ulm"]);
        Ok(Self::with(builder.build()?))
    }

    fn with(cache: Cache<String, String>) -> Self {
        Self {
            cache,
            calls: Arc::default(),
        }
    }

    fn call(&self) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    #[cached(cache = self.cache, key = "two:{left}:{right}", ttl = "5m", tags("city:{left}"))]
    async fn two(self, left: String, right: String) -> Result<String, LoadError<ShopError>> {
        let number = self.call();
        if left.is_empty() {
            Err(ShopError::Missing)?;
        }
        Ok(format!("{left}+{right} #{number}"))
    }

    #[cached(cache = self.cache, key = "order:{order.customer}:{order.id}")]
    async fn order(self, order: Order) -> Result<String, LoadError<ShopError>> {
        Ok(format!(
            "{} of {} #{}",
            order.id,
            order.customer,
            self.call()
        ))
    }

    #[cached(cache = self.cache, key = "square:{number}", tags("squares"))]
    fn square(&self, number: u64) -> String {
        format!("{} #{}", number * number, self.call())
    }

    #[cached(cache = self.cache, key = "half:{number}")]
    fn half(&self, number: u64) -> Result<String, ShopError> {
        let number_of_call = self.call();
        if number % 2 == 1 {
            return Err(ShopError::Missing);
        }
        Ok(format!("{} #{number_of_call}", number / 2))
    }

    #[invalidates(cache = self.cache, key = "two:{left}:{right}")]
    async fn change(&self, left: &str, right: String, fails: bool) -> Result<usize, ShopError> {
        let moved = right;
        if fails {
            return Err(ShopError::Missing);
        }
        Ok(moved.len())
    }

    #[invalidates(cache = self.cache, event = "moved", tags("city:{city}"))]
    async fn relocate(&self, city: &str) -> anyhow::Result<()> {
        Ok(())
    }

    #[invalidates(cache = self.cache, pattern = "two:*:{right}")]
    async fn purge(&self, right: &str) -> Result<(), ShopError> {
        Ok(())
    }

    #[invalidates(cache = self.cache, pattern = "*:{right}")]
    async fn purge_everywhere(&self, right: &str) -> Result<(), ShopError> {
        Ok(())
    }

    #[invalidates(cache = self.cache, key = "calls")]
    fn calls(&mut self) -> &mut Arc<AtomicUsize> {
        &mut self.calls
    }

    #[invalidates(cache = self.cache, key = "half:{number}", tags("squares"))]
    fn recount(&self, number: u64) {}
}

#[tokio::test]
async fn a_result_is_kept_by_all_that_its_key_names() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let two = async |left: &str, right: &str| shop.clone().two(left.into(), right.into()).await;
    assert_eq!(two("a:b", "c").await?, "a:b+c #1");
    assert_eq!(
        two("a", "b:c").await?,
        "a+b:c #2",
        "no delimiter is confused"
    );
    assert_eq!(two("a:b", "c").await?, "a:b+c #1");
    let failed = two("", "c").await;
    assert!(
        matches!(failed, Err(LoadError::Loader(error)) if matches!(*error, ShopError::Missing))
    );
    let order = |id| Order {
        id,
        customer: "ann".into(),
    };
    let first = shop.clone().order(order(1)).await?;
    assert_eq!(shop.clone().order(order(1)).await?, first);
    assert_ne!(shop.clone().order(order(2)).await?, first);
    Ok(())
}

#[tokio::test]
async fn a_change_is_seen_after_the_function_that_made_it() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let two = async |left: &str, right: &str| shop.clone().two(left.into(), right.into()).await;
    let first = two("a:1", "b").await?;
    assert!(shop.change("a:1", "b".into(), true).await.is_err());
    assert_eq!(two("a:1", "b").await?, first, "nothing was changed");
    assert_eq!(shop.change("a:1", "b".into(), false).await?, 1);
    assert_ne!(two("a:1", "b").await?, first);
    let (ulm, bonn) = (two("ulm", "b").await?, two("bonn", "b").await?);
    shop.relocate("bonn").await?;
    assert_ne!(two("ulm", "b").await?, ulm, "by event");
    assert_ne!(two("bonn", "b").await?, bonn, "by tag");
    let (b, c) = (two("x", "b*").await?, two("x", "bc").await?);
    shop.purge("b*").await?;
    assert_ne!(two("x", "b*").await?, b, "by pattern");
    assert_eq!(two("x", "bc").await?, c, "a value has no wildcards");
    Ok(())
}

/// The letters of a template are no separators: a pattern that spells them otherwise finds the key too.
#[tokio::test]
async fn a_key_can_be_written_by_hand_and_by_another_template() -> anyhow::Result<()> {
    let mut shop = Shop::new()?;
    let two = async |shop: &Shop| shop.clone().two("town".into(), "two:x".into()).await;
    assert_eq!(two(&shop).await?, "town+two:x #1");
    assert_eq!(
        shop.cache.near(r"two:town:two\:x").as_deref(),
        Some("town+two:x #1")
    );
    shop.purge_everywhere("two:x").await?;
    assert_eq!(two(&shop).await?, "town+two:x #2");
    shop.cache.insert("calls".into(), "2".into()).await?;
    assert_eq!(
        shop.calls().load(Ordering::Relaxed),
        2,
        "it lends what it has"
    );
    assert_eq!(shop.cache.near("calls"), None);
    Ok(())
}

#[tokio::test]
async fn generic_and_raw_parameters_are_part_of_the_key() -> anyhow::Result<()> {
    static TEXTS: std::sync::LazyLock<Cache<String, String>> =
        std::sync::LazyLock::new(|| Cache::builder("texts").build().expect("valid"));
    struct Id(u64);

    #[cached(cache = TEXTS, key = "{id.0}:{text}:{r#type}")]
    async fn texts<T: Clone + ToString + std::fmt::Display + Send + 'static>(
        id: Id,
        mut text: T,
        r#type: impl std::fmt::Display + Send + 'static,
    ) -> Result<String, LoadError<std::num::ParseIntError>> {
        let number: u64 = text.to_string().parse()?;
        text = text.clone();
        Ok(format!("{} {number} {text} {}", id.0, r#type))
    }
    assert_eq!(texts(Id(7), 8_u8, "x").await?, "7 8 8 x");
    assert_eq!(texts(Id(7), "9", 'y').await?, "7 9 9 y");
    assert!(texts(Id(7), "nine", 'y').await.is_err(), "`?` in a body");
    assert_eq!(TEXTS.near("7:9:y").as_deref(), Some("7 9 9 y"));
    Ok(())
}

#[test]
fn a_sync_function_needs_no_runtime() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    assert_eq!(shop.square(3), "9 #1");
    assert_eq!(shop.square(3), "9 #1");
    assert!(shop.half(3).is_err() && shop.half(3).is_err());
    assert_eq!(shop.calls.load(Ordering::Relaxed), 3, "errors are not kept");
    assert_eq!(shop.half(4)?, "2 #4");
    shop.recount(4);
    assert_eq!(
        (shop.half(4)?, shop.square(3)),
        ("2 #5".into(), "9 #6".into())
    );
    shop.cache.forget_all();
    assert_eq!(shop.square(3), "9 #7");
    Ok(())
}

/// The value was computed from what was there before the invalidation.
#[test]
fn what_is_forgotten_while_it_is_computed_is_not_kept() -> anyhow::Result<()> {
    static CACHE: std::sync::OnceLock<Cache<String, u64>> = std::sync::OnceLock::new();
    #[cached(cache = CACHE.wait(), key = "slow")]
    fn slow() -> u64 {
        CACHE.wait().forget("slow");
        7
    }
    CACHE.get_or_init(|| Cache::builder("slow").build().expect("valid"));
    assert_eq!(slow(), 7);
    assert_eq!(CACHE.wait().near("slow"), None);
    Ok(())
}

#[tokio::test]
async fn an_invalidation_that_fails_is_the_functions_error() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    let tier = FarTier::new(RedisStore::new(&server.url())?);
    let shop = Shop::with(Cache::builder("down").far(tier).build()?);
    shop.change("a", "b".into(), false).await?;
    server.kill();
    let told = shop.change("a", "b".into(), false).await;
    assert!(matches!(told, Err(ShopError::Cache(error)) if error.is_transient()));
    Ok(())
}
