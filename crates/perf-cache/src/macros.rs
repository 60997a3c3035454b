/// Keeps what a function returns in a [`Cache<String, _>`](crate::Cache).
///
/// | argument | means |
/// |---|---|
/// | `cache = …` | an expression that gives the cache; it may name parameters and `self` |
/// | `key = "user:{id}"` | the key: text with parameters, or fields of them, in braces |
/// | `ttl = "5m"` | how long the value is fresh, in `ms`, `s`, `m`, `h` or `d`; else as the cache says |
/// | `tags("team:{team}")` | up to three tags, written as the key is |
/// | `skip(pool)` | parameters that are not part of the key; all others must be |
/// | `crate = ::perfkit::cache` | where this crate is found |
///
/// Text after a field begins with one of `:/|,;#&=`. These, and the backslash, are escaped by a backslash
/// in values, so `("a:b", "c")` and `("a", "b:c")` make different keys.
///
/// # On an async function
///
/// It owns its parameters, because the load may outlive its caller, and returns
/// `Result<V, LoadError<E>>`. Its body returns `Result<V, E>`.
///
/// ```
/// use perf_cache::{Cache, LoadError, cached, invalidates};
/// use std::sync::{Arc, LazyLock};
///
/// static USERS: LazyLock<Cache<String, Arc<str>>> =
///     LazyLock::new(|| Cache::builder("users").build().expect("valid settings"));
///
/// #[cached(cache = USERS, key = "user:{id}", ttl = "5m", tags("team:{team}"), skip(team))]
/// async fn user(id: u64, team: String) -> Result<Arc<str>, LoadError<std::io::Error>> {
///     Ok(format!("user {id} of {team}").into())
/// }
///
/// #[invalidates(cache = USERS, tags("team:{team}"))]
/// async fn disband(team: &str) -> Result<(), Box<dyn std::error::Error>> {
///     Ok(()) // delete it from the database
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(&*user(7, "red".into()).await?, "user 7 of red");
/// disband("red").await?;
/// assert_eq!(USERS.near("user:7"), None);
/// # Ok(())
/// # }
/// ```
///
/// The parameter that the key forgets is an error of the compiler:
///
/// ```compile_fail
/// # use perf_cache::{Cache, LoadError, cached};
/// # static USERS: std::sync::LazyLock<Cache<String, String>> =
/// #     std::sync::LazyLock::new(|| Cache::builder("users").build().expect("valid settings"));
/// #[cached(cache = USERS, key = "user:{id}")]
/// async fn user(id: u64, language: String) -> Result<String, LoadError<std::io::Error>> {
///     Ok(format!("{id} in {language}"))
/// }
/// ```
///
/// # On a sync function
///
/// Its value is kept in the near tier alone. Threads that miss one key at once each compute it.
///
/// ```
/// use perf_cache::{Cache, cached};
/// use std::sync::LazyLock;
///
/// static SUMS: LazyLock<Cache<String, u64>> =
///     LazyLock::new(|| Cache::builder("sums").max_entries(100).build().expect("valid settings"));
///
/// #[cached(cache = SUMS, key = "{from}:{to}")]
/// fn sum(from: u64, to: u64) -> u64 {
///     (from..to).sum()
/// }
///
/// assert_eq!((sum(1, 100), sum(1, 100)), (4950, 4950));
/// assert_eq!(SUMS.stats().loads, 1);
/// SUMS.forget_all();
/// assert_eq!(sum(1, 100), 4950);
/// assert_eq!(SUMS.stats().loads, 2);
/// ```
pub use perf_macros::cached;

/// Invalidates what a function has changed, after it returned `Ok`.
///
/// | argument | means |
/// |---|---|
/// | `cache = …` | an expression that gives the [`Cache<String, _>`](crate::Cache) |
/// | `key = "user:{id}"` | the key that [`cached`] made of the same template |
/// | `tags("team:{team}")` | tags |
/// | `event = "user_created"` | an [`event`](crate::CacheBuilder::event) of the cache |
/// | `pattern = "resource:*:{id}"` | a [pattern](crate::Cache::delete_pattern), for administrators |
/// | `crate = ::perfkit::cache` | where this crate is found |
///
/// An async function returns a `Result` whose error is `From<CacheError>`: an invalidation that failed is
/// its error, though what the function did has happened. A future that is dropped between the two has
/// changed the data and invalidated nothing. A sync function forgets near entries, by `key` and `tags(…)`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_cache::{Cache, invalidates};
///
/// #[derive(Clone)]
/// struct Users {
///     names: Cache<String, String>,
/// }
///
/// impl Users {
///     #[invalidates(cache = self.names, key = "user:{id}")]
///     async fn rename(&self, id: u64, name: &str) -> Result<(), Box<dyn std::error::Error>> {
///         assert!(!name.is_empty()); // update the database
///         Ok(())
///     }
/// }
///
/// let users = Users { names: Cache::builder("names").build()? };
/// users.names.insert("user:7".into(), "old".into()).await?;
/// users.rename(7, "new").await?;
/// assert_eq!(users.names.near("user:7"), None);
/// # Ok(())
/// # }
/// ```
pub use perf_macros::invalidates;
