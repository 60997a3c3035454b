//! Loads against writers, in every order that the memory model allows.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use perf_cache::model::{Begun, Model};

/// A cache and the data behind it.
struct World {
    cache: Model,
    database: AtomicU64,
}

impl World {
    /// Wants the value: finds it, loads it, or would wait.
    fn load(&self) {
        if let Begun::Leads(load) = self.cache.begin() {
            let value = self.database.load(Ordering::Acquire);
            self.cache.publish(&load, value);
        }
    }

    /// Changes the data, tells the cache, and must not meet old data afterwards.
    fn write(&self, tell: fn(&Model)) {
        self.database.store(1, Ordering::Release);
        tell(&self.cache);
        assert_ne!(
            self.cache.read(),
            Some(0),
            "a read after the acknowledgement"
        );
        match self.cache.begin() {
            Begun::Found(value) => assert_eq!(value, 1, "a call that found a value"),
            Begun::Joined(load) => {
                assert_ne!(self.cache.take(&load), Some(0), "a call that joined")
            }
            Begun::Leads(load) => {
                self.cache
                    .publish(&load, self.database.load(Ordering::Acquire));
            }
        }
    }
}

fn explore(loaders: usize, tell: fn(&Model)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let world = Arc::new(World {
            cache: Model::new(),
            database: AtomicU64::new(0),
        });
        let loaders: Vec<_> = (0..loaders)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.load())
            })
            .collect();
        world.write(tell);
        for loader in loaders {
            loader.join().expect("no panic");
        }
        assert_ne!(world.cache.read(), Some(0), "what is left");
    });
}

#[test]
fn an_invalidated_key_stays_so() {
    explore(2, Model::invalidate);
}

#[test]
fn an_inserted_value_is_not_replaced_by_an_older_one() {
    explore(2, |cache| cache.insert(1));
}

#[test]
fn an_invalidated_tag_stays_so() {
    explore(2, Model::invalidate_tag);
}

#[test]
fn a_cleared_cache_holds_nothing_old() {
    explore(2, Model::clear);
}
