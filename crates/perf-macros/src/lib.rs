//! Attribute and derive macros of the perf-* crates.

mod bulk_row;
mod profile;
mod resource;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Times every call of a function, sync or async.
///
/// `name = "…"` replaces the function's own name; `crate = …` is the path under which `perf_profile`
/// is reachable, `::perf_profile` unless told otherwise.
///
/// An async function is timed poll by poll, on whichever threads it runs: time on a thread, time
/// waiting, and cancellations are told apart. A `const fn` cannot be profiled.
///
/// ```
/// use perf_profile::{Profiler, profile};
///
/// #[profile]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// #[profile(name = "sum of squares")]
/// async fn sum(n: u64) -> u64 {
///     (1..=n).map(square).sum()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let profiler = Profiler::builder().build();
/// assert_eq!(sum(3).await, 14);
/// let snapshot = profiler.snapshot();
/// let calls = |name| snapshot.functions().iter().find(|f| f.name == name).map(|f| f.calls);
/// assert_eq!((calls("square"), calls("sum of squares")), (Some(3), Some(1)));
/// # }
/// ```
///
/// What may run where there is no clock is refused, and so is an argument that it does not know:
///
/// ```compile_fail
/// #[perf_profile::profile]
/// const fn seven() -> u8 {
///     7
/// }
/// ```
///
/// ```compile_fail
/// #[perf_profile::profile(title = "seven")]
/// fn seven() -> u8 {
///     7
/// }
/// ```
#[proc_macro_attribute]
pub fn profile(arguments: TokenStream, item: TokenStream) -> TokenStream {
    profile::expand(arguments.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Declares a row type as a resource that requests may sort and filter.
#[proc_macro_derive(Resource, attributes(resource))]
pub fn resource(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    resource::expand(input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Makes a struct with named fields a row of bulk writes: each field is a column of its name.
///
/// Every field's type must be a `BulkValue` of the database that the row is written to.
///
/// | attribute | on | means |
/// |---|---|---|
/// | `#[bulk(column = "name")]` | a field | the column's name |
/// | `#[bulk(skip)]` | a field | no column |
/// | `#[bulk(crate = ::perfkit::bulk)]` | the struct | where `perf_bulk` is found |
#[proc_macro_derive(BulkRow, attributes(bulk))]
pub fn derive_bulk_row(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    bulk_row::expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}
