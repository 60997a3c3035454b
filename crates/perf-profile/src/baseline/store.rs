use super::{Baseline, SCHEMA};
use crate::ProfileError;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Where baselines are kept between runs.
#[async_trait]
pub trait BaselineStore: Send + Sync {
    /// The baseline of that name.
    ///
    /// # Errors
    ///
    /// [`ProfileError::BaselineNotFound`], [`ProfileError::BaselineUnreadable`] or
    /// [`ProfileError::BaselineSchema`].
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    async fn load(&self, name: &str) -> Result<Baseline, ProfileError>;

    /// Keeps a baseline under its name, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`ProfileError::BaselineNotSaved`]; an earlier one is then still there.
    ///
    /// # Cancel safety
    ///
    /// Afterwards either the earlier one is kept or the new one, each wholly.
    async fn save(&self, baseline: &Baseline) -> Result<(), ProfileError>;
}

/// Keeps baselines for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryBaselines {
    kept: Mutex<BTreeMap<String, Baseline>>,
}

impl MemoryBaselines {
    /// A store without baselines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl BaselineStore for MemoryBaselines {
    async fn load(&self, name: &str) -> Result<Baseline, ProfileError> {
        let found = self.kept.lock().get(name).cloned();
        found.ok_or_else(|| ProfileError::BaselineNotFound { name: name.into() })
    }

    async fn save(&self, baseline: &Baseline) -> Result<(), ProfileError> {
        let mut kept = self.kept.lock();
        kept.insert(baseline.name.clone(), baseline.clone());
        Ok(())
    }
}

/// Keeps each baseline as `<name>.json` in one folder, fit to be committed beside the code.
#[derive(Clone, Debug)]
pub struct FileBaselines {
    folder: PathBuf,
}

impl FileBaselines {
    /// Keeps them in `folder`, which the first save makes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// A name is letters, digits, `.`, `_` and `-` and begins with no dot, so that it cannot leave the folder.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        fits.then(|| self.folder.join(format!("{name}.json")))
    }
}

#[async_trait]
impl BaselineStore for FileBaselines {
    async fn load(&self, name: &str) -> Result<Baseline, ProfileError> {
        let not_found = || ProfileError::BaselineNotFound { name: name.into() };
        let unreadable = |reason: String| ProfileError::BaselineUnreadable {
            name: name.into(),
            reason,
        };
        let path = self.path(name).ok_or_else(not_found)?;
        let text = tokio::fs::read(path)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => not_found(),
                _ => unreadable(error.to_string()),
            })?;
        let stored: Stored =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if stored.schema != SCHEMA {
            return Err(ProfileError::BaselineSchema {
                name: name.into(),
                found: stored.schema,
            });
        }
        let baseline: Baseline =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        let mut samples = baseline.metrics.values().flat_map(|metric| &metric.samples);
        if samples.all(|sample| super::is_valid(*sample)) {
            Ok(baseline)
        } else {
            Err(unreadable("a sample is not a positive number".into()))
        }
    }

    async fn save(&self, baseline: &Baseline) -> Result<(), ProfileError> {
        let not_saved = |reason: String| ProfileError::BaselineNotSaved {
            name: baseline.name.clone(),
            reason,
        };
        let path = self.path(&baseline.name).ok_or_else(|| {
            not_saved("a name in a folder is letters, digits, '.', '_' and '-'".into())
        })?;
        let text =
            serde_json::to_vec_pretty(baseline).map_err(|error| not_saved(error.to_string()))?;
        let saved = async {
            tokio::fs::create_dir_all(&self.folder).await?;
            let unfinished = path.with_extension(format!("{}.part", std::process::id()));
            tokio::fs::write(&unfinished, text).await?;
            tokio::fs::rename(unfinished, path).await
        };
        saved.await.map_err(|error| not_saved(error.to_string()))
    }
}

/// What every version of the stored form begins with.
#[derive(serde::Deserialize)]
struct Stored {
    schema: u32,
}
