//! How often each engine holds what is asked for.

use crate::workload::{self, Zipf};
use flate2::read::GzDecoder;
use foyer_memory::{Cache as Foyer, CacheBuilder as FoyerBuilder, LfuConfig, S3FifoConfig};
use moka::policy::EvictionPolicy;
use perf_cache::Cache;
use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A sequence of requests and the number of entries to hold.
struct Trace {
    name: String,
    keys: Vec<u64>,
    capacity: usize,
}

const REQUESTS: usize = 400_000;

/// Records our ratio beside the best peer's on every trace.
pub(crate) fn compare() {
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    verify_zipf();
    let mut traces = synthetic();
    if let Some(folder) = env::var_os("PERF_BENCH_TRACES") {
        traces.extend(recorded(Path::new(&folder)));
    }
    for trace in traces {
        let ours = percent(&trace.keys, perfkit(trace.capacity));
        let peers = [
            (
                "moka_tinylfu",
                percent(
                    &trace.keys,
                    moka(trace.capacity, EvictionPolicy::tiny_lfu()),
                ),
            ),
            (
                "moka_lru",
                percent(&trace.keys, moka(trace.capacity, EvictionPolicy::lru())),
            ),
            (
                "foyer_s3fifo",
                percent(&trace.keys, foyer_s3fifo(trace.capacity)),
            ),
            ("foyer_lfu", percent(&trace.keys, foyer_lfu(trace.capacity))),
            ("quick_cache", percent(&trace.keys, quick(trace.capacity))),
        ];
        eprintln!("{}: perfkit {ours:.2}, {peers:.2?}", trace.name);
        // Our own engine in its default settings is shown, but is no peer to be measured by.
        let best = peers[..4]
            .iter()
            .map(|(_, percent)| *percent)
            .fold(0.0, f64::max);
        let id = format!("cache/hit_ratio/{}/best_peer", trace.name);
        harness::record_rate(&id, ours, best, "points");
    }
}

/// The share of requests that hit, in per cent.
fn percent(keys: &[u64], mut request: impl FnMut(u64) -> bool) -> f64 {
    let hits = keys.iter().filter(|&&key| request(key)).count();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    let share = hits as f64 / keys.len() as f64;
    share * 100.0
}

fn perfkit(capacity: usize) -> impl FnMut(u64) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let builder = Cache::<u64, u64>::builder("ratio").max_entries(capacity as u64);
    let cache = builder.build().expect("valid settings");
    move |key| {
        runtime.block_on(async {
            let hit = cache.get(&key).await;
            if hit.is_none() {
                cache.insert(key, key).await.expect("open");
            }
            assert!(hit.is_none_or(|value| value == key));
            hit.is_some()
        })
    }
}

fn quick(capacity: usize) -> impl FnMut(u64) -> bool {
    let cache = quick_cache::sync::Cache::new(capacity);
    move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    }
}

fn moka(capacity: usize, policy: EvictionPolicy) -> impl FnMut(u64) -> bool {
    let builder = moka::sync::Cache::builder().max_capacity(capacity as u64);
    let cache = builder.eviction_policy(policy).build();
    move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    }
}

fn foyer_s3fifo(capacity: usize) -> impl FnMut(u64) -> bool {
    let builder = FoyerBuilder::new(capacity).with_shards(8);
    foyer(
        builder
            .with_eviction_config(S3FifoConfig::default())
            .build(),
    )
}

fn foyer_lfu(capacity: usize) -> impl FnMut(u64) -> bool {
    let builder = FoyerBuilder::new(capacity).with_shards(8);
    foyer(builder.with_eviction_config(LfuConfig::default()).build())
}

fn foyer(cache: Foyer<u64, u64>) -> impl FnMut(u64) -> bool {
    move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    }
}

fn synthetic() -> Vec<Trace> {
    let mixes = [
        ("zipf_0.8", workload::zipf(20_000, 0.8, REQUESTS)),
        ("zipf_1.0", workload::zipf(20_000, 1.0, REQUESTS)),
        ("scan", workload::scans(REQUESTS)),
        ("shifting", workload::shifting(REQUESTS)),
        ("loop", workload::looping(REQUESTS)),
    ];
    let traces = mixes.into_iter().map(|(name, keys)| Trace {
        name: name.into(),
        keys,
        capacity: 2_000,
    });
    traces.collect()
}

/// A generator whose favourites come up too rarely would make every policy look alike.
fn verify_zipf() {
    let zipf = Zipf::new(20_000, 1.0);
    let drawn = workload::zipf(20_000, 1.0, REQUESTS);
    let head = percent(&drawn, |key| key < 2_000);
    let expected = zipf.head_share(2_000) * 100.0;
    assert!(
        (head - expected).abs() < 0.5,
        "{head} per cent instead of {expected}"
    );
}

/// Every trace of the folder, at a twentieth and a fifth of its distinct keys.
fn recorded(folder: &Path) -> Vec<Trace> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| read(path))
        .flatten()
        .collect()
}

fn read(path: &Path) -> Option<[Trace; 2]> {
    let name = path.file_name()?.to_str()?;
    let stem = name
        .split(".u64le")
        .next()
        .filter(|stem| stem.len() < name.len())?;
    let mut bytes = Vec::new();
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let result = match path.extension()?.to_str()? {
        "u64le" => file.read_to_end(&mut bytes),
        "gz" => GzDecoder::new(file).read_to_end(&mut bytes),
        _ => return None,
    };
    result.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (words, _rest) = bytes.as_chunks::<8>();
    let keys: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let distinct = keys.iter().collect::<std::collections::HashSet<_>>().len();
    Some(
        [("small", distinct / 20), ("large", distinct / 5)].map(|(size, capacity)| Trace {
            name: format!("{stem}_{size}"),
            keys: keys.clone(),
            capacity: capacity.max(32),
        }),
    )
}
