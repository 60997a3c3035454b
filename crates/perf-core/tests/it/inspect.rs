use perf_core::{Health, Inspect, Registry, Sample};
use std::borrow::Cow;
use std::sync::Arc;

struct Part(&'static str, Option<Registry>);

impl Inspect for Part {
    fn name(&self) -> Cow<'_, str> {
        self.0.into()
    }
    fn kind(&self) -> &'static str {
        "part"
    }
    fn health(&self) -> Health {
        Health::Degraded("far tier lost".into())
    }
    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.push(Sample::counter("hits", 3).with_label("tier", "near"));
        if let Some(registry) = &self.1 {
            samples.push(Sample::gauge("siblings", registry.inspect().len() as f64));
        }
    }
}

#[test]
fn parts_are_held_weakly_and_shown_by_name() {
    let registry = Registry::new();
    let (b, a) = (Arc::new(Part("b", None)), Arc::new(Part("a", None)));
    registry.register(&b);
    registry.register(&a);
    let names = |registry: &Registry| {
        registry
            .inspect()
            .into_iter()
            .map(|i| i.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&registry), ["a", "b"]);
    drop(a);
    assert_eq!(names(&registry), ["b"]);
    assert_eq!(names(&registry.clone()), ["b"]);
}

#[test]
fn an_inspection_is_plain_json() {
    let registry = Registry::new();
    let part = Arc::new(Part("x", None));
    registry.register(&part);
    let json = serde_json::to_value(registry.inspect()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "name": "x",
            "kind": "part",
            "health": { "status": "degraded", "reason": "far tier lost" },
            "samples": [{ "name": "hits", "label": ["tier", "near"], "value": { "counter": 3 } }],
        }])
    );
}

#[test]
fn dropped_parts_leave_no_trace_behind() {
    let registry = Registry::new();
    for _ in 0..1_000 {
        registry.register(&Arc::new(Part("short-lived", None)));
    }
    assert_eq!(format!("{registry:?}"), "Registry { parts: 1 }");
    assert!(registry.inspect().is_empty());
}
