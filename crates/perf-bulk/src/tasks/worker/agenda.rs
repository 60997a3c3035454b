//! Which recurring tasks are to be enqueued, and when to look again.

use crate::error::TaskError;
use crate::tasks::{NewTask, Schedule};
use crate::wall::to_micros;
use std::time::{Duration, SystemTime};

/// The recurring tasks that a worker knows.
#[derive(Default)]
pub(super) struct Agenda {
    items: Vec<Item>,
}

struct Item {
    name: String,
    schedule: Schedule,
    make: Box<dyn Fn() -> Result<NewTask, TaskError> + Send + Sync>,
    /// The time whose task is enqueued.
    planned: Option<SystemTime>,
}

/// The longest time between two looks: the wall clock may be set.
const PATIENCE: Duration = Duration::from_secs(60);

impl Agenda {
    pub(super) fn add(
        &mut self,
        name: String,
        schedule: Schedule,
        make: impl Fn() -> Result<NewTask, TaskError> + Send + Sync + 'static,
    ) {
        self.items.push(Item {
            name,
            schedule,
            make: Box::new(make),
            planned: None,
        });
    }

    /// The next task of each schedule whose last one is due. They count as enqueued.
    pub(super) fn plan(&mut self, now: SystemTime) -> Result<Vec<NewTask>, TaskError> {
        let mut tasks = Vec::new();
        for item in &mut self.items {
            if item.planned.is_some_and(|planned| planned > now) {
                continue;
            }
            let Some(next) = item.schedule.next_after(now) else {
                continue;
            };
            let mut task = (item.make)()?;
            task.key = Some(format!("{}@{}", item.name, to_micros(next)));
            task.run_at = Some(next);
            item.planned = Some(next);
            tasks.push(task);
        }
        Ok(tasks)
    }

    /// Takes back what [`plan`](Self::plan) gave, because it was not enqueued.
    pub(super) fn forget(&mut self) {
        for item in &mut self.items {
            item.planned = None;
        }
    }

    /// How long until there is something to plan.
    pub(super) fn pause(&self, now: SystemTime) -> Duration {
        let planned = self.items.iter().filter_map(|item| item.planned).min();
        let until = planned.map(|planned| planned.duration_since(now).unwrap_or_default());
        until.map_or(PATIENCE, |until| until.min(PATIENCE))
    }
}
