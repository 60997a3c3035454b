//! Whether the service can do its work, judged from what its parts say.

use perf_core::inspect::Inspection;
use perf_core::{Health, Value};
use serde::Serialize;

const MONITOR: &str = "slo_monitor";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    #[default]
    Healthy,
    Degraded,
    Unhealthy,
}

/// What `/health/performance` answers.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) objectives: Vec<Objective>,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Objective {
    monitor: String,
    name: String,
    level: &'static str,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    kind: String,
    name: String,
    status: Status,
    reason: String,
}

/// Judges `parts`, those named in `required` being necessary.
pub(super) fn judge(parts: &[Inspection], required: &[(String, String)]) -> Verdict {
    let mut verdict = Verdict::default();
    for part in parts {
        let (status, reason) = standing(&part.health);
        if part.kind == MONITOR {
            verdict.objectives.extend(objectives(part));
        }
        let is_required = required
            .iter()
            .any(|(kind, name)| kind == part.kind && *name == part.name);
        verdict.note(
            part.kind,
            &part.name,
            status,
            reason,
            is_required || part.kind == MONITOR,
        );
    }
    for (kind, name) in required {
        if !parts
            .iter()
            .any(|part| part.kind == kind && part.name == *name)
        {
            verdict.note(kind, name, Status::Unhealthy, "it is gone", true);
        }
    }
    verdict
}

impl Verdict {
    fn note(&mut self, kind: &str, name: &str, status: Status, reason: &str, decides: bool) {
        let weight = if decides {
            status
        } else {
            status.min(Status::Degraded)
        };
        self.status = self.status.max(weight);
        if status != Status::Healthy {
            self.parts.push(Part {
                kind: kind.to_owned(),
                name: name.to_owned(),
                status,
                reason: reason.to_owned(),
            });
        }
    }
}

/// A part's status, and the reason if there is one.
pub(super) fn standing(health: &Health) -> (Status, &str) {
    match health {
        Health::Healthy => (Status::Healthy, ""),
        Health::Degraded(reason) => (Status::Degraded, reason),
        Health::Unhealthy(reason) => (Status::Unhealthy, reason),
        _ => (Status::Degraded, "unknown"),
    }
}

fn objectives(monitor: &Inspection) -> impl Iterator<Item = Objective> + '_ {
    monitor.samples.iter().filter_map(|sample| {
        let (Some((_, name)), Value::Gauge(level)) = (&sample.label, &sample.value) else {
            return None;
        };
        (sample.name == "objective_level").then(|| Objective {
            monitor: monitor.name.clone(),
            name: name.clone().into_owned(),
            level: if *level < 1.0 {
                "met"
            } else if *level < 2.0 {
                "missed"
            } else {
                "critical"
            },
        })
    })
}
