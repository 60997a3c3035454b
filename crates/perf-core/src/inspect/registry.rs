use super::{Health, Inspect, Sample};
use parking_lot::Mutex;
use std::fmt;
use std::sync::{Arc, Weak};

/// Parts to be inspected together. Clones share their parts.
///
/// Parts are held weakly: one that its owners dropped disappears at the next inspection.
///
/// ```
/// use perf_core::{Inspect, Registry, Sample};
/// use std::borrow::Cow;
/// use std::sync::Arc;
///
/// struct Queue;
/// impl Inspect for Queue {
///     fn name(&self) -> Cow<'_, str> {
///         "mail".into()
///     }
///     fn kind(&self) -> &'static str {
///         "queue"
///     }
///     fn samples(&self, samples: &mut Vec<Sample>) {
///         samples.push(Sample::gauge("depth", 3.0));
///     }
/// }
///
/// let registry = Registry::new();
/// let queue = Arc::new(Queue);
/// registry.register(&queue);
/// assert_eq!(registry.inspect()[0].name, "mail");
/// drop(queue);
/// assert!(registry.inspect().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    parts: Arc<Mutex<Vec<Weak<dyn Inspect>>>>,
}

/// What one part said of itself.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The part's name.
    pub name: String,
    /// The part's kind.
    pub kind: &'static str,
    /// Whether it works.
    pub health: Health,
    /// Its figures.
    pub samples: Vec<Sample>,
}

impl Registry {
    /// A registry without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part for as long as its owners keep it.
    pub fn register<P: Inspect + 'static>(&self, part: &Arc<P>) {
        let part: Arc<dyn Inspect> = Arc::<P>::clone(part);
        let mut parts = self.parts.lock();
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
    }

    /// What every living part says of itself, by kind and name.
    #[must_use]
    pub fn inspect(&self) -> Vec<Inspection> {
        // The lock is not held while parts speak: one may be slow, or register another.
        let parts: Vec<_> = self.parts.lock().iter().filter_map(Weak::upgrade).collect();
        let mut inspections: Vec<_> = parts.iter().map(|part| inspect(&**part)).collect();
        inspections.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        inspections
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("parts", &self.parts.lock().len())
            .finish()
    }
}

fn inspect(part: &dyn Inspect) -> Inspection {
    let mut samples = Vec::new();
    part.samples(&mut samples);
    Inspection {
        name: part.name().into_owned(),
        kind: part.kind(),
        health: part.health(),
        samples,
    }
}
