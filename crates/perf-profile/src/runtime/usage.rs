use crate::ProfileError;
use std::time::Duration;

/// What this process has used of the machine.
///
/// Processor time and traffic only grow, so rates are differences of two readings over the time between
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time of all threads, living and ended.
    pub cpu: Duration,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Bytes received by the interfaces that the process sees, loopback excluded: other processes' as well.
    pub received_bytes: u64,
    /// Bytes sent by them.
    pub sent_bytes: u64,
}

impl Usage {
    /// The present figures, from `/proc`.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Unsupported`] where there is no such file system, as on everything but Linux.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), perf_profile::ProfileError> {
    /// use perf_profile::Usage;
    /// use std::time::Duration;
    ///
    /// let before = Usage::read()?;
    /// let sum: u64 = (0..1_000_000_u64).map(std::hint::black_box).sum();
    /// let after = Usage::read()?;
    /// assert!(after.cpu > before.cpu && after.resident_bytes > 0, "{sum}");
    /// let share = after.cpu_share(&before, Duration::from_secs(1));
    /// assert!(share > 0.0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn read() -> Result<Self, ProfileError> {
        let read = |path| std::fs::read_to_string(path).map_err(|_| ProfileError::Unsupported);
        let resident = resident(&read("/proc/self/status")?).ok_or(ProfileError::Unsupported)?;
        let (received_bytes, sent_bytes) = traffic(&read("/proc/self/net/dev")?);
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Ok(Self {
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            resident_bytes: resident,
            received_bytes,
            sent_bytes,
        })
    }

    /// The share of one core that was used in the time since `earlier`, from 0 to the number of cores.
    #[must_use]
    pub fn cpu_share(&self, earlier: &Self, elapsed: Duration) -> f64 {
        let used = self.cpu.saturating_sub(earlier.cpu);
        used.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The resident set of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Bytes received and sent by `/proc/self/net/dev`; a line that is not understood is none.
fn traffic(devices: &str) -> (u64, u64) {
    let of_device = |line: &str| {
        let (name, figures) = line.split_once(':')?;
        let figures: Vec<u64> = figures
            .split_whitespace()
            .map_while(|figure| figure.parse().ok())
            .collect();
        let real = name.trim() != "lo";
        real.then_some((*figures.first()?, *figures.get(8)?))
    };
    let devices = devices.lines().filter_map(of_device);
    devices.fold((0, 0), |sum, (received, sent)| {
        (sum.0 + received, sum.1 + sent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_understood() {
        let status = "Name:\tservice\nVmPeak:\t  9000 kB\nVmRSS:\t    4096 kB\nThreads:\t2\n";
        assert_eq!(resident(status), Some(4 << 20));
        assert_eq!(resident("Name:\tkernel thread\n"), None);
        assert_eq!(resident("VmRSS:\tmany kB\n"), None);
        let devices = "Inter-|   Receive                            |  Transmit\n\
             face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n\
             \x20   lo:  500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n\
             \x20 eth0: 1000 8 0 0 0 0 0 0 200 4 0 0 0 0 0 0\n\
             \x20 eth1:   30 8 0 0 0 0 0 0   7 4 0 0 0 0 0 0\n\
             broken: 1\n";
        assert_eq!(traffic(devices), (1_030, 207));
        assert_eq!(traffic(""), (0, 0));
    }
}
