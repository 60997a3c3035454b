//! Series of one name and type, each at most once.

use super::{Format, text};
use std::collections::{BTreeMap, HashSet};
use std::fmt::{Display, Write};

/// All families by name.
#[derive(Debug, Default)]
pub(super) struct Families {
    families: BTreeMap<String, Family>,
    /// What a family of another type is added to.
    misfits: Family,
}

#[derive(Debug, Default)]
pub(super) struct Family {
    kind: Kind,
    lines: Vec<String>,
    seen: HashSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    #[default]
    Gauge,
    Histogram,
    Summary,
}

/// The labels of one series, as they are written between the braces.
#[derive(Clone, Debug)]
pub(super) struct Labels(String);

/// Labels that have a meaning of their own.
const RESERVED: [&str; 3] = ["le", "name", "quantile"];

impl Labels {
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self(format!("{key}=\"{}\"", text::label(value)))
    }

    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        // Of a String, writing never fails.
        let _written = write!(self.0, ",{key}=\"{}\"", text::label(value));
        self
    }

    /// A label of the part's own.
    pub(super) fn with_own(self, key: &str, value: &str) -> Self {
        let mut key = text::name(key);
        if RESERVED.contains(&key.as_str()) || key.starts_with("__") {
            key.insert_str(0, "exported_");
        }
        self.with(&key, value)
    }
}

impl Families {
    /// The family of this name. If it has another type, what is added to it is not written.
    pub(super) fn family(&mut self, name: &str, kind: Kind) -> &mut Family {
        let family = self
            .families
            .entry(text::name(name))
            .or_insert_with(|| Family {
                kind,
                ..Family::default()
            });
        if family.kind == kind {
            family
        } else {
            &mut self.misfits
        }
    }

    pub(super) fn write(&self, format: Format) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            family.write(name, format, &mut text);
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

impl Family {
    /// Adds a series unless it is there.
    pub(super) fn add(&mut self, suffix: &str, labels: &Labels, value: impl Display) {
        let series = format!("{suffix}{{{}}}", labels.0);
        if !self.seen.contains(&series) {
            self.lines.push(format!("{series} {value}"));
            self.seen.insert(series);
        }
    }

    fn write(&self, name: &str, format: Format, text: &mut String) {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        let is_open = format == Format::OpenMetrics;
        let suffix = if self.kind == Kind::Counter && !is_open {
            "_total"
        } else {
            ""
        };
        // Of a String, writing never fails.
        let _written = writeln!(text, "# TYPE {name}{suffix} {kind}");
        let unit = ["seconds", "bytes"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")));
        if let (true, Some(unit)) = (is_open, unit) {
            let _written = writeln!(text, "# UNIT {name} {unit}");
        }
        for line in &self.lines {
            let _written = writeln!(text, "{name}{line}");
        }
    }
}
