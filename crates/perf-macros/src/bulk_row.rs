//! `#[derive(BulkRow)]`: a struct's fields as the columns of a bulk write.

use proc_macro2::TokenStream;
use quote::quote;
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Path, Result, Type};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let root = container_path(&input.attrs)?;
    let columns = columns(input)?;
    let names = columns.iter().map(|column| &column.name);
    let fields = columns.iter().map(|column| &column.field);
    let types = distinct(&columns);

    let ident = &input.ident;
    let mut generics = input.generics.clone();
    generics
        .params
        .push(syn::parse_quote!(__B: #root::__private::Backend));
    let bounds = generics.make_where_clause();
    for ty in types {
        bounds
            .predicates
            .push(syn::parse_quote!(#ty: #root::__private::BulkValue<__B>));
    }
    let (implemented, _, bounds) = generics.split_for_impl();
    let (_, arguments, _) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #implemented #root::__private::BulkRow<__B> for #ident #arguments #bounds {
            const COLUMNS: &'static [&'static str] = &[#(#names),*];

            fn encode<'__r>(
                &'__r self,
                cells: &mut <__B as #root::__private::Backend>::Cells<'__r>,
            ) -> ::core::result::Result<(), #root::__private::BoxError> {
                #(#root::__private::BulkValue::<__B>::encode(&self.#fields, cells)?;)*
                ::core::result::Result::Ok(())
            }
        }
    })
}

struct Column {
    name: String,
    field: Ident,
    ty: Type,
}

fn columns(input: &DeriveInput) -> Result<Vec<Column>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a bulk row is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            &input.ident,
            "a bulk row names its columns: give its fields names",
        ));
    };
    let columns: Vec<_> = fields
        .named
        .iter()
        .filter_map(|field| column(field).transpose())
        .collect::<Result<_>>()?;
    if columns.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a bulk row has at least one column",
        ));
    }
    Ok(columns)
}

/// The column of one field; `None` when the field is skipped.
fn column(field: &Field) -> Result<Option<Column>> {
    let Some(ident) = &field.ident else {
        return Err(Error::new_spanned(field, "a column needs a name"));
    };
    let mut name = ident.unraw().to_string();
    let mut skipped = false;
    for attribute in bulk_attributes(&field.attrs) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("column") {
                name = meta.value()?.parse::<LitStr>()?.value();
                Ok(())
            } else if meta.path.is_ident("skip") {
                skipped = true;
                Ok(())
            } else {
                Err(meta.error("expected `column = \"name\"` or `skip`"))
            }
        })?;
    }
    Ok((!skipped).then(|| Column {
        name,
        field: ident.clone(),
        ty: field.ty.clone(),
    }))
}

fn container_path(attributes: &[Attribute]) -> Result<Path> {
    let mut root: Path = syn::parse_quote!(::perf_bulk);
    for attribute in bulk_attributes(attributes) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                root = meta.value()?.parse()?;
                Ok(())
            } else {
                Err(meta.error("expected `crate = path::to::perf_bulk`"))
            }
        })?;
    }
    Ok(root)
}

fn bulk_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("bulk"))
}

/// Each type once, in order of appearance: nineteen columns of four types need four bounds.
fn distinct(columns: &[Column]) -> Vec<&Type> {
    let mut seen = HashSet::new();
    columns
        .iter()
        .map(|column| &column.ty)
        .filter(|ty| seen.insert(quote!(#ty).to_string()))
        .collect()
}
