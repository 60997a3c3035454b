//! How does a service call an API that is slow by the call and cheap by the item?
//!
//! 2,000 requests each ask for one price. The API takes 20 ms a call, answers up to 500 articles at once, and
//! is busy now and then. A batcher in front of it batches while a call is under way, tries again what failed for a
//! passing reason, and keeps what failed for good.
//!
//! ```text
//! cargo run --example bulk_slow_api
//! ```

use futures_util::future::join_all;
use perfkit::bulk::{
    BatchError, BatchHandler, Batcher, DeadLetterSink, Handled, MemoryDeadLetters,
};
use perfkit::core::{Backoff, Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The API's client. A real one would send a request.
struct Prices {
    calls: Arc<AtomicU32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Busy,
    UnknownArticle,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "the API is busy",
            Self::UnknownArticle => "no such article",
        })
    }
}

impl std::error::Error for Refusal {}

impl BatchHandler<u32> for Prices {
    type Output = u32;
    type Error = Refusal;

    async fn handle(&self, articles: &[u32]) -> Handled<u32, Refusal> {
        let call = self.calls.fetch_add(1, Relaxed);
        SystemClock.sleep(Duration::from_millis(20)).await;
        if call == 1 {
            return Err(Refusal::Busy);
        }
        let price = |article: &u32| match article {
            666 => Err(Refusal::UnknownArticle),
            article => Ok(article * 10),
        };
        Ok(articles.iter().map(price).collect())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let calls = Arc::new(AtomicU32::new(0));
    let dead = Arc::new(MemoryDeadLetters::new());
    let prices = Batcher::builder(Prices {
        calls: Arc::clone(&calls),
    })
    .name("prices")
    .max_items(500)
    .retry(
        Backoff::exponential(Duration::from_millis(10)).with_max_attempts(5),
        |refusal| *refusal == Refusal::Busy,
    )
    .dead_letters(Arc::clone(&dead) as Arc<dyn DeadLetterSink>)
    .build()?;

    let requests = (0..2_000).map(|article| {
        let prices = prices.clone();
        tokio::spawn(async move { (article, prices.submit(article).await) })
    });
    let mut answered = 0;
    for request in join_all(requests).await {
        match request? {
            (article, Ok(price)) => {
                assert_eq!(price, article * 10);
                answered += 1;
            }
            (article, Err(BatchError::Failed { attempts, source })) => {
                println!("article {article}: {source}, after {attempts} attempts");
            }
            (_, Err(other)) => return Err(other.into()),
        }
    }
    prices.drain().await;
    println!(
        "{answered} requests were answered by {} calls",
        calls.load(Relaxed)
    );
    for kept in dead.read(None, 10).await? {
        println!(
            "kept for later: article {}, {}",
            kept.letter.payload, kept.letter.error
        );
    }
    Ok(())
}
