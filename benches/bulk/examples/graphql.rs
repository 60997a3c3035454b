//! How does a GraphQL resolver stop asking once for each item of a list?
//!
//! Each flight resolves its own plane through the loader in the request's context. async-graphql polls the
//! resolvers of a list together, so all of them are one call.
//!
//! It stands here and not with the other examples to keep async-graphql out of the project's own dependencies:
//!
//! ```text
//! cd benches && cargo run -p bench-bulk --example graphql
//! ```

use async_graphql::{Context, EmptyMutation, EmptySubscription, Object, Schema, SimpleObject};
use perf_bulk::BatchLoader;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

type Planes = BatchLoader<String, Plane, Infallible>;

#[derive(Clone, SimpleObject)]
struct Plane {
    seats: u32,
}

struct Flight {
    tailnum: String,
}

#[Object]
impl Flight {
    async fn tailnum(&self) -> &str {
        &self.tailnum
    }

    async fn plane(&self, context: &Context<'_>) -> async_graphql::Result<Option<Plane>> {
        let planes = context.data::<Planes>()?;
        Ok(planes.load(self.tailnum.clone()).await?)
    }
}

struct Query;

#[Object]
impl Query {
    async fn flights(&self, first: u32) -> Vec<Flight> {
        let tailnum = |flight: u32| format!("N{}", flight % 250);
        (0..first)
            .map(|flight| Flight {
                tailnum: tailnum(flight),
            })
            .collect()
    }
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// SELECT … WHERE tailnum IN (…)
async fn planes(tailnums: Vec<String>) -> Result<HashMap<String, Plane>, Infallible> {
    CALLS.fetch_add(1, Relaxed);
    let known = tailnums.into_iter().filter(|tailnum| tailnum.len() < 4);
    Ok(known
        .map(|tailnum| (tailnum, Plane { seats: 150 }))
        .collect())
}

#[tokio::main]
async fn main() {
    let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
        .data(Planes::new(planes))
        .finish();
    let response = schema
        .execute("{ flights(first: 1000) { tailnum plane { seats } } }")
        .await;
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    let json = serde_json::to_value(&response.data).expect("JSON");
    let flights = json["flights"].as_array().expect("a list");
    let with_plane = flights
        .iter()
        .filter(|flight| !flight["plane"].is_null())
        .count();
    assert_eq!((flights.len(), with_plane), (1_000, 400));
    assert_eq!(CALLS.load(Relaxed), 1);
    println!(
        "1,000 flights and their planes: {} call",
        CALLS.load(Relaxed)
    );
}
