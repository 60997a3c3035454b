//! The task of a batch: one look into the far tier and one load for all its flights.

use super::produce::{Arrival, Held, far_arrival, loaded_arrival, looks};
use super::task::Landing;
use crate::bounds::{Key, Value};
use crate::far::{Far, Sight, Wish};
use crate::flight::Outcome;
use crate::shared::Shared;
use crate::store::LocalStore;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// Looks for the values in the far tier and ends the flights.
pub(super) async fn fetch<K: Key, V: Value, S: LocalStore<K, V>>(landings: Vec<Landing<K, V, S>>) {
    let Some(mut group) = Group::of(landings) else {
        return;
    };
    let shared = Arc::clone(&group.shared);
    if let Some(far) = &shared.far {
        group.look(far, false).await;
    }
    for member in group.members {
        member.landing.end(Outcome::Absent);
    }
}

/// Looks for the values, loads those that are nowhere, within the cache's limits, and ends the flights.
pub(super) async fn load<K, V, S, F, Fut, E>(landings: Vec<Landing<K, V, S>>, load: Arc<F>)
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: Fn(Vec<K>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<HashMap<K, V>, E>> + Send,
    E: Send + Sync + 'static,
{
    let Some(mut group) = Group::of(landings) else {
        return;
    };
    let shared = Arc::clone(&group.shared);
    let limit = shared.settings.time.sleep(shared.settings.load_timeout);
    tokio::select! {
        biased;
        () = group.produce(&*load) => {}
        () = limit => {}
    }
    for member in group.members {
        member.landing.end(Outcome::TimedOut);
    }
}

/// The flights of a task that have not landed.
struct Group<K: Key, V: Value, S: LocalStore<K, V>> {
    shared: Arc<Shared<K, V, S>>,
    members: Vec<Member<K, V, S>>,
}

struct Member<K: Key, V: Value, S: LocalStore<K, V>> {
    landing: Landing<K, V, S>,
    /// What may be replaced under the key, if this is its turn to ask for a lease.
    replacing: Option<Vec<u8>>,
    is_granted: bool,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Group<K, V, S> {
    fn of(landings: Vec<Landing<K, V, S>>) -> Option<Self> {
        let shared = Arc::clone(&landings.first()?.shared);
        let members = landings.into_iter().map(|landing| Member {
            landing,
            replacing: None,
            is_granted: false,
        });
        let members = members.collect();
        Some(Self { shared, members })
    }

    async fn produce<F, Fut, E>(&mut self, load: &F)
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send,
        E: Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.shared);
        if let Some(far) = &shared.far {
            let time = &shared.settings.time;
            let deadline = time.now().saturating_add(far.wait());
            let mut pauses = looks();
            let mut is_late = false;
            while self.look(far, is_late).await
                && let Some(held) = self.lease(far).await
            {
                self.load_granted(far, held, load).await;
                if self.members.is_empty() || is_late {
                    break;
                }
                time.sleep(pauses.next().unwrap_or_default()).await;
                is_late = time.now() >= deadline;
            }
        }
        if !self.members.is_empty() {
            let arrivals = self.run(|_| true, load).await;
            self.land(|_| true, arrivals);
        }
    }

    /// Lands what the far tier holds; `false` if it cannot be asked. Who is late asks for the leases of
    /// others too: their holders are slow, or gone.
    async fn look(&mut self, far: &Far<K, V>, is_late: bool) -> bool {
        let names: Vec<String> = self
            .members
            .iter()
            .map(|m| m.landing.terms.name.clone())
            .collect();
        let tags = self.members.iter().flat_map(|m| &m.landing.terms.tags);
        let mut tags: Vec<&str> = tags.map(AsRef::as_ref).collect();
        tags.sort_unstable();
        tags.dedup();
        let sights = far.look(&names, &tags).await;
        let mut answers = true;
        for (mut member, sight) in std::mem::take(&mut self.members).into_iter().zip(sights) {
            member.replacing = match sight {
                Sight::Value(found) => {
                    member.landing.publish(far_arrival(found));
                    continue;
                }
                Sight::Leased(lease) => is_late.then_some(lease),
                Sight::Missing(seen) => Some(seen),
                Sight::Down => {
                    answers = false;
                    None
                }
            };
            self.members.push(member);
        }
        answers
    }

    /// Asks for the leases that are free; `None` if the far tier cannot be asked.
    async fn lease(&mut self, far: &Far<K, V>) -> Option<Held<K, V, S>> {
        let wishes = self.members.iter().flat_map(|member| {
            Some(Wish {
                key: &member.landing.terms.name,
                replacing: member.replacing.as_deref()?,
                tags: &member.landing.terms.tags,
            })
        });
        let wishes: Vec<_> = wishes.collect();
        let grants = match wishes.is_empty() {
            true => Vec::new(),
            false => far.lease(&wishes).await.ok()?,
        };
        let asked = self.members.iter_mut().filter(|m| m.replacing.is_some());
        for (member, grant) in asked.zip(&grants) {
            member.is_granted = grant.is_some();
        }
        let grants = grants.into_iter().flatten().collect();
        Some(Held::new(&self.shared, grants))
    }

    /// Loads what was granted and lands it.
    async fn load_granted<F, Fut, E>(&mut self, far: &Far<K, V>, held: Held<K, V, S>, load: &F)
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send,
        E: Send + Sync + 'static,
    {
        let is_granted = |member: &Member<K, V, S>| member.is_granted;
        if !self.members.iter().any(is_granted) {
            return;
        }
        let time = &self.shared.settings.time;
        let start = time.now();
        let mut arrivals = held.during(self.run(is_granted, load)).await;
        let cost = time.now().since(start);
        let grants = held.release();
        let granted = self.members.iter().filter(|member| is_granted(member));
        let ends = granted.zip(&grants).map(|(member, grant)| {
            let arrivals = arrivals.as_ref().ok();
            let arrival = arrivals.and_then(|arrivals| arrivals.get(&member.landing.key));
            let arrival = arrival.filter(|arrival| !arrival.ttl.is_zero());
            (
                grant,
                arrival.map(|arrival| (&arrival.value, arrival.ttl, cost)),
            )
        });
        let ends: Vec<_> = ends.collect();
        let settled = far.settle(&ends).await;
        if let Ok(arrivals) = &mut arrivals {
            let granted = self.members.iter().filter(|member| is_granted(member));
            for (number, (member, grant)) in granted.zip(&grants).enumerate() {
                if let Some(arrival) = arrivals.get_mut(&member.landing.key)
                    && !arrival.ttl.is_zero()
                {
                    let settled = settled.as_ref().ok();
                    let settled = settled.map(|settled| settled.get(number) == Some(&true));
                    arrival.settle(settled, grant);
                }
            }
        }
        self.land(is_granted, arrivals);
    }

    /// Loads the chosen keys when it is this load's turn.
    async fn run<F, Fut, E>(
        &self,
        chosen: impl Fn(&Member<K, V, S>) -> bool + Send,
        load: &F,
    ) -> Result<HashMap<K, Arrival<V>>, E>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send,
    {
        let chosen: Vec<_> = self
            .members
            .iter()
            .filter(|member| chosen(member))
            .collect();
        let _turn = self.shared.turn().await;
        let keys = chosen.iter().map(|member| member.landing.key.clone());
        let time = &self.shared.settings.time;
        let start = time.now();
        let loaded = load(keys.collect()).await;
        self.shared.note_cost(time.now().since(start));
        let mut values = loaded?;
        let arrivals = chosen.iter().flat_map(|member| {
            let (key, terms) = (&member.landing.key, &member.landing.terms);
            let value = values.remove(key)?;
            Some((key.clone(), loaded_arrival(&self.shared, key, terms, value)))
        });
        Ok(arrivals.collect())
    }

    /// Ends the chosen flights.
    fn land<E: Send + Sync + 'static>(
        &mut self,
        chosen: impl Fn(&Member<K, V, S>) -> bool,
        arrivals: Result<HashMap<K, Arrival<V>>, E>,
    ) {
        let (landing, waiting) = std::mem::take(&mut self.members)
            .into_iter()
            .partition(|member| chosen(member));
        self.members = waiting;
        let landing: Vec<Member<K, V, S>> = landing;
        match arrivals {
            Ok(mut arrivals) => {
                for Member { landing, .. } in landing {
                    match arrivals.remove(&landing.key) {
                        Some(arrival) => landing.publish(arrival),
                        None => landing.end(Outcome::Absent),
                    }
                }
            }
            Err(error) => {
                let error: Arc<dyn Any + Send + Sync> = Arc::new(error);
                for member in landing {
                    member.landing.end(Outcome::Failed(Arc::clone(&error)));
                }
            }
        }
    }
}
