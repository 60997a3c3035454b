//! Attribute and derive macros of the perf-* crates.

mod bulk_row;
mod cached;
mod invalidates;
mod profile;
mod resource;
mod template;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Keeps what a function returns in a cache; `perf_cache::cached` documents it.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(arguments.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Invalidates what a function has changed; `perf_cache::invalidates` documents it.
#[proc_macro_attribute]
pub fn invalidates(arguments: TokenStream, item: TokenStream) -> TokenStream {
    invalidates::expand(arguments.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Times every call of a function, sync or async; `perf_profile::profile` documents it.
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
