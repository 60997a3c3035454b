//! Attribute and derive macros of the perf-* crates.

mod resource;

/// Declares a row type as a resource that requests may sort and filter.
#[proc_macro_derive(Resource, attributes(resource))]
pub fn resource(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    resource::expand(input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
