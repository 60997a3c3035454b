/// How far a write or an invalidation has come when it returns `Ok`.
///
/// In this process it is in force either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// The far tier has it, and other processes have been sent word.
    Acked,
    /// The far tier or the other processes could not be reached. They are told as soon as they can be,
    /// for as long as this process lives; until then it reads nothing from the far tier.
    ///
    /// Only a cache with [`Coherence`](crate::Coherence) says so; another returns the error.
    Queued,
}
