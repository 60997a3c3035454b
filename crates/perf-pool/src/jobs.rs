//! Pools of workers: bounded queues of jobs that either start in time or never.
//!
//! A queue without an end hides an overload until it is an outage: everybody waits, and most of the work is
//! done for callers who have gone. Here a queue has an end, a job has a moment by which it must have started,
//! and whoever stops waiting takes the job along. Which of the three happens first is decided by one
//! exchange on the job's state, so a job is started or given up, never both.
//!
//! A pool starts a worker for a job while there are fewer than allowed, and a worker ends when the queue is empty:
//! an unused pool has neither threads nor tasks.

mod blocking;
#[cfg(feature = "rayon")]
mod cpu;
mod queue;
mod shared;
mod worker;

pub use blocking::BlockingPool;
#[cfg(feature = "rayon")]
pub use cpu::CpuPool;
pub use queue::JobFigures;
pub use worker::WorkerPool;
