use super::error::Problem;
use super::reader::{Reader, source};
use super::variables::{Meaning, meaning, similar};
use super::{Settings, SettingsError};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

/// Gathers sources of [`Settings`]. What is added later goes before what was added earlier.
///
/// ```
/// use perfkit::settings::Settings;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("service.toml");
/// std::fs::write(&path, "[database]\npool_size = 20\npool_timeout = '2s'\n")?;
/// let settings = Settings::loader()
///     .file(&path)
///     .variables([("DATABASE__POOL_SIZE", "30")])
///     .set("database.url", "sqlite::memory:", "--database-url")
///     .load()?;
/// assert_eq!(settings.database.pool_size, 30);
/// assert_eq!(settings.database.pool_timeout.as_secs(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "nothing is read until `load`"]
pub struct Loader {
    figment: Figment,
    problems: Vec<Problem>,
    foreign: BTreeSet<String>,
}

impl Loader {
    /// Reads a TOML file, which must be there.
    pub fn file(self, path: impl AsRef<Path>) -> Self {
        self.merge(Toml::file_exact(path))
    }

    /// Reads a TOML file if it is there.
    pub fn file_if_present(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        if path.exists() { self.file(path) } else { self }
    }

    /// Reads the variables of the process.
    pub fn environment(self) -> Self {
        self.variables(env::vars_os())
    }

    /// Reads variables. Those that are no settings, and do not look like one, are left alone.
    pub fn variables<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<OsStr>,
        V: Into<OsString>,
    {
        let known = known();
        let mut given: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, value) in variables {
            let Some(name) = name.as_ref().to_str() else {
                continue;
            };
            let key = match meaning(name, &known) {
                Meaning::Foreign => continue,
                Meaning::Setting(key) => key,
                Meaning::Typo(near) => {
                    self.problem(
                        "",
                        variable(name),
                        format!("no such setting, did you mean {near}?"),
                    );
                    continue;
                }
            };
            let Ok(value) = value.into().into_string() else {
                self.problem(&key, variable(name), "the value is not valid Unicode");
                continue;
            };
            match given.get(&key) {
                _ if value.is_empty() => {}
                Some((other, former)) if *former != value => {
                    self.problem(&key, variable(name), format!("{other} says otherwise"));
                }
                _ => {
                    given.insert(key, (name.to_owned(), value));
                }
            }
        }
        given
            .into_iter()
            .fold(self, |loader, (key, (name, value))| {
                loader.set(&key, value, variable(&name))
            })
    }

    /// Sets one key, as `database.url`, to what `source` said: an option of the command line, for example.
    pub fn set(self, key: &str, value: impl Into<Value>, source: impl Into<String>) -> Self {
        self.merge(Single {
            key: key.to_owned(),
            value: value.into(),
            source: source.into(),
        })
    }

    /// Adds any other source that figment knows.
    pub fn merge(mut self, provider: impl Provider) -> Self {
        match provider.data() {
            Ok(_) => self.figment = self.figment.merge(provider),
            Err(error) => {
                // The lines beneath the first quote the file, and with it a password perhaps.
                let message = error.to_string();
                let message = message.lines().next().unwrap_or_default().to_owned();
                self.problem("", described(&provider.metadata()), message);
            }
        }
        self
    }

    /// Leaves the section `name` of files to the service, which may keep settings of its own there.
    pub fn foreign_section(mut self, name: impl Into<String>) -> Self {
        self.foreign.insert(name.into());
        self
    }

    /// The settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] lists all that is wrong: values, keys that do not exist, sources that cannot be
    /// read.
    pub fn load(self) -> Result<Settings, SettingsError> {
        let mut reader = Reader::new(&self.figment);
        let settings = Settings::read(&mut reader);
        let Reader {
            known,
            problems: wrong,
            ..
        } = reader;
        let mut problems = self.problems.clone();
        problems.extend(wrong);
        problems.extend(self.unknown(&known));
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError::new(problems))
        }
    }

    fn unknown(&self, known: &BTreeSet<String>) -> Vec<Problem> {
        let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (section, key) in known.iter().filter_map(|key| key.split_once('.')) {
            sections.entry(section).or_default().push(key);
        }
        let all = self.figment.data().unwrap_or_default();
        let mut problems = Vec::new();
        for (section, value) in all.into_values().flatten() {
            if self.foreign.contains(&section) {
                continue;
            }
            let (Some(keys), Value::Dict(_, given)) = (sections.get(&*section), &value) else {
                let near = similar(&section, sections.keys().copied()).map(String::from);
                problems.push(self.no_such(section, &value, near));
                continue;
            };
            for (key, value) in given
                .iter()
                .filter(|(key, _)| !keys.contains(&key.as_str()))
            {
                let near = similar(key, keys.iter().copied());
                let near = near.map(|near| format!("{section}.{near}"));
                problems.push(self.no_such(format!("{section}.{key}"), value, near));
            }
        }
        problems
    }

    fn no_such(&self, key: String, value: &Value, near: Option<String>) -> Problem {
        let hint = near.map(|near| format!(", did you mean {near}?"));
        let message = format!("no such setting{}", hint.unwrap_or_default());
        let source = source(&self.figment, value);
        Problem {
            key,
            source,
            message,
        }
    }

    fn problem(&mut self, key: &str, source: String, message: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            source,
            message: message.into(),
        });
    }
}

/// One value.
struct Single {
    key: String,
    value: Value,
    source: String,
}

impl Provider for Single {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nest = |value: Value, key: &str| Value::from(Dict::from([(key.to_owned(), value)]));
        let nested = self.key.rsplit('.').fold(self.value.clone(), nest);
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// The keys that exist: those that are asked for.
fn known() -> BTreeSet<String> {
    let nothing = Figment::new();
    let mut reader = Reader::new(&nothing);
    Settings::read(&mut reader);
    reader.known
}

fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

fn described(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(source) => format!("{} {source}", metadata.name),
        None => metadata.name.to_string(),
    }
}

/// Without values: they may be secrets.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.figment.metadata().map(described).collect();
        f.debug_struct("Loader")
            .field("sources", &sources)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}
