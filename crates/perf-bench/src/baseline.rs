use crate::cli::BaselineArguments;
use crate::failure::Failure;
use perf_profile::{Baseline, BaselineStore, Comparison, FileBaselines, LoadReport, Verdict};

impl BaselineArguments {
    /// Whether runs become samples, of which some are needed.
    pub(crate) const fn is_used(&self) -> bool {
        self.baseline.is_some() || self.save_baseline.is_some()
    }

    /// Refuses what could only fail after the load was sent.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        if !(0.0..=1_000.0).contains(&self.tolerance) {
            return Err(Failure::Usage("a tolerance is 0 to 1000 percent".into()));
        }
        if let Some(name) = &self.baseline {
            self.store().load(name).await?;
        }
        Ok(())
    }

    /// Compares and saves, as asked for.
    pub(crate) async fn settle(
        &self,
        reports: &[LoadReport],
    ) -> Result<Option<Comparison>, Failure> {
        let comparison = match &self.baseline {
            Some(name) => {
                let before = self.store().load(name).await?;
                let current = Baseline::from_reports(name, reports);
                Some(before.compare(&current, self.tolerance / 100.0))
            }
            None => None,
        };
        if let Some(name) = &self.save_baseline {
            self.store()
                .save(&Baseline::from_reports(name, reports))
                .await?;
        }
        Ok(comparison)
    }

    /// The failure that a comparison means, if it is one.
    pub(crate) fn verdict(&self, comparison: Option<&Comparison>) -> Result<(), Failure> {
        let verdict = comparison.map(Comparison::verdict);
        match &self.baseline {
            Some(name) if self.fail_on_regression && verdict == Some(Verdict::Regressed) => Err(
                Failure::Verdict(format!("slower than the baseline {name:?}")),
            ),
            _ => Ok(()),
        }
    }

    fn store(&self) -> FileBaselines {
        FileBaselines::new(&self.baseline_folder)
    }
}
