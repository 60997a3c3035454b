//! `#[derive(Resource)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, parse_quote};

/// What `#[resource(…)]` says of the struct.
struct Table {
    name: LitStr,
    root: Path,
}

/// What `#[resource(…)]` says of a field.
#[derive(Default)]
struct Column {
    column: Option<LitStr>,
    key: bool,
    sort: bool,
    filter: Option<Vec<Ident>>,
    skip: bool,
}

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    let Table { name, root } = Table::parse(&input)?;
    let private = quote!(#root::__private);
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a resource is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            &input.ident,
            "a resource's fields have names",
        ));
    };
    let mut steps = Vec::new();
    let mut key = Vec::new();
    for field in &fields.named {
        let column = Column::parse(field)?;
        if column.skip {
            continue;
        }
        let Some(ident) = &field.ident else { continue };
        let name = ident.unraw().to_string();
        if column.key {
            key.push(name.clone());
        }
        steps.push(column.step(&private, ident, &name));
    }
    if key.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "mark the unique field, or fields, `#[resource(key)]`",
        ));
    }
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics #private::Resource for #ident #arguments #bounds {
            fn schema() -> #private::Result<#private::Schema<Self>, #private::Error> {
                #private::Schema::builder(#name)
                    #(#steps)*
                    .key([#(#key),*])
                    .build()
            }
        }
    })
}

impl Table {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let mut name = None;
        let mut root: Path = parse_quote!(::perf_paginate);
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("resource"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("table") {
                    name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("crate") {
                    root = meta.value()?.parse()?;
                } else {
                    return Err(meta.error("expected `table` or `crate`"));
                }
                Ok(())
            })?;
        }
        let missing =
            || Error::new_spanned(&input.ident, "name the table: `#[resource(table = \"…\")]`");
        Ok(Self {
            name: name.ok_or_else(missing)?,
            root,
        })
    }
}

impl Column {
    fn parse(field: &syn::Field) -> Result<Self> {
        let mut column = Self::default();
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("resource"))
        {
            attribute.parse_nested_meta(|meta| column.option(&meta))?;
        }
        let declared = column.key || column.sort || column.filter.is_some();
        if column.skip && (declared || column.column.is_some()) {
            return Err(Error::new_spanned(field, "a skipped field has no column"));
        }
        Ok(column)
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let flag = |flag: &mut bool| {
            *flag = true;
            Ok(())
        };
        match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("key") => flag(&mut self.key),
            Some("sort") => flag(&mut self.sort),
            Some("skip") => flag(&mut self.skip),
            Some("column") => {
                self.column = Some(meta.value()?.parse()?);
                Ok(())
            }
            Some("filter") => {
                let operators = self.filter.get_or_insert_with(Vec::new);
                if !meta.input.peek(syn::token::Paren) {
                    return Ok(());
                }
                meta.parse_nested_meta(|operator| {
                    // `in` is a keyword, which `get_ident` gives all the same.
                    let found = operator.path.get_ident().and_then(variant);
                    operators
                        .push(found.ok_or_else(|| operator.error("there is no such operator"))?);
                    Ok(())
                })
            }
            _ => Err(meta.error("expected `key`, `sort`, `filter`, `column` or `skip`")),
        }
    }

    /// The call that adds the field to the schema's builder.
    fn step(&self, private: &TokenStream, ident: &Ident, name: &str) -> TokenStream {
        let column = self
            .column
            .as_ref()
            .map_or_else(|| name.to_owned(), LitStr::value);
        if !self.key && !self.sort && self.filter.is_none() {
            return quote!(.column(#column));
        }
        let sortable = self.sort.then(|| quote!(.sortable()));
        let filterable = self.filter.as_ref().map(|operators| {
            if operators.is_empty() {
                quote!(.filterable())
            } else {
                quote!(.filterable_by([#(#private::FilterOp::#operators),*]))
            }
        });
        quote! {
            .field(
                #private::Field::new(#name, |row: &Self| #private::Clone::clone(&row.#ident))
                    .column(#column)
                    #sortable
                    #filterable
            )
        }
    }
}

/// The operator's variant: `not_in` is `NotIn`.
fn variant(name: &Ident) -> Option<Ident> {
    const OPERATORS: [(&str, &str); 14] = [
        ("eq", "Eq"),
        ("ne", "Ne"),
        ("lt", "Lt"),
        ("lte", "Lte"),
        ("gt", "Gt"),
        ("gte", "Gte"),
        ("in", "In"),
        ("not_in", "NotIn"),
        ("between", "Between"),
        ("is_null", "IsNull"),
        ("not_null", "NotNull"),
        ("contains", "Contains"),
        ("starts_with", "StartsWith"),
        ("ends_with", "EndsWith"),
    ];
    let found = OPERATORS
        .into_iter()
        .find(|(operator, _)| name == operator)?;
    Some(Ident::new(found.1, name.span()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_operators_is_refused() {
        let declared = |list: TokenStream| {
            expand(parse_quote! {
                #[resource(table = "rows")]
                struct Row {
                    #[resource(key, filter #list)]
                    id: i64,
                }
            })
        };
        assert!(declared(quote!(())).is_err());
        assert!(declared(quote!((equal))).is_err());
        assert!(declared(quote!((eq, in))).is_ok());
        assert!(declared(quote!()).is_ok());
    }
}
