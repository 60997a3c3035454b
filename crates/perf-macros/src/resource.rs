//! `#[derive(Resource)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, parse_quote};

/// What `#[resource(…)]` says of the struct.
struct Table {
    table: LitStr,
    /// The resource's name, where it is not the table's.
    name: Option<LitStr>,
    joins: Vec<Join>,
    root: Path,
}

/// What `join(…)` says.
struct Join {
    table: LitStr,
    own: LitStr,
    other: LitStr,
}

/// What `#[resource(…)]` says of a field.
#[derive(Default)]
struct Column {
    name: Option<LitStr>,
    column: Option<LitStr>,
    /// The joined table that has it.
    of: Option<LitStr>,
    key: bool,
    sort: bool,
    filter: Option<Vec<Ident>>,
    aggregate: bool,
    leading: bool,
    skip: bool,
}

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    let Table {
        table,
        name: resource,
        joins,
        root,
    } = Table::parse(&input)?;
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
        let own = ident.unraw().to_string();
        let name = column
            .name
            .as_ref()
            .map_or_else(|| own.clone(), LitStr::value);
        steps.push(column.step(&private, ident, &own, &name));
        if column.key {
            key.push(name);
        }
    }
    if key.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "mark the unique field, or fields, `#[resource(key)]`",
        ));
    }
    let resource = resource.map(|resource| quote!(.name(#resource)));
    let joins = joins
        .iter()
        .map(|Join { table, own, other }| quote!(.join(#table, #own, #other)));
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics #private::Resource for #ident #arguments #bounds {
            fn schema() -> #private::Result<#private::Schema<Self>, #private::Error> {
                #private::Schema::builder(#table)
                    #resource
                    #(#joins)*
                    #(#steps)*
                    .key([#(#key),*])
                    .build()
            }
        }
    })
}

impl Table {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let mut table = None;
        let mut name = None;
        let mut joins = Vec::new();
        let mut root: Path = parse_quote!(::perf_paginate);
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("resource"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("table") {
                    table = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("name") {
                    name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("join") {
                    joins.push(Join::parse(&meta)?);
                } else if meta.path.is_ident("crate") {
                    root = meta.value()?.parse()?;
                } else {
                    return Err(meta.error("expected `table`, `name`, `join` or `crate`"));
                }
                Ok(())
            })?;
        }
        let missing =
            || Error::new_spanned(&input.ident, "name the table: `#[resource(table = \"…\")]`");
        Ok(Self {
            table: table.ok_or_else(missing)?,
            name,
            joins,
            root,
        })
    }
}

impl Join {
    /// `join(table = "airlines", own = "carrier", other = "code")`.
    fn parse(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let [mut table, mut own, mut other] = [None, None, None];
        meta.parse_nested_meta(|part| {
            let said = match part.path.get_ident().map(ToString::to_string).as_deref() {
                Some("table") => &mut table,
                Some("own") => &mut own,
                Some("other") => &mut other,
                _ => return Err(part.error("expected `table`, `own` or `other`")),
            };
            *said = Some(part.value()?.parse()?);
            Ok(())
        })?;
        match (table, own, other) {
            (Some(table), Some(own), Some(other)) => Ok(Self { table, own, other }),
            _ => Err(meta.error("a join names its `table`, the `own` column and the `other`")),
        }
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
        let is_said = column.name.is_some() || column.column.is_some();
        if column.skip && (column.is_declared() || is_said) {
            return Err(Error::new_spanned(field, "a skipped field has no column"));
        }
        Ok(column)
    }

    /// Whether it is more than selected. A joined column is always told from one of the table's own.
    const fn is_declared(&self) -> bool {
        self.key
            || self.sort
            || self.filter.is_some()
            || self.aggregate
            || self.leading
            || self.of.is_some()
            || self.name.is_some()
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let flag = |flag: &mut bool| {
            *flag = true;
            Ok(())
        };
        let text = |text: &mut Option<LitStr>| {
            *text = Some(meta.value()?.parse()?);
            Ok(())
        };
        match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("key") => flag(&mut self.key),
            Some("sort") => flag(&mut self.sort),
            Some("aggregate") => flag(&mut self.aggregate),
            Some("leading") => flag(&mut self.leading),
            Some("skip") => flag(&mut self.skip),
            Some("name") => text(&mut self.name),
            Some("column") => text(&mut self.column),
            Some("of") => text(&mut self.of),
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
            _ => Err(meta.error(
                "expected `key`, `sort`, `filter`, `aggregate`, `leading`, `name`, `column`, `of` or `skip`",
            )),
        }
    }

    /// The call that adds the field, whose own name is `own` and which requests call `name`, to the schema's builder.
    fn step(&self, private: &TokenStream, ident: &Ident, own: &str, name: &str) -> TokenStream {
        let column = self.column.as_ref();
        let column = column.map_or_else(|| own.to_owned(), LitStr::value);
        if !self.is_declared() {
            return quote!(.column(#column));
        }
        let of = self.of.as_ref().map(|table| quote!(.of(#table)));
        let sortable = self.sort.then(|| quote!(.sortable()));
        let aggregatable = self.aggregate.then(|| quote!(.aggregatable()));
        let leading = self.leading.then(|| quote!(.leading()));
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
                    #of
                    #sortable
                    #filterable
                    #aggregatable
                    #leading
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

    #[test]
    fn a_join_says_all_it_takes() {
        let declared = |join: TokenStream| {
            expand(parse_quote! {
                #[resource(table = "rows", #join)]
                struct Row {
                    #[resource(key)]
                    id: i64,
                }
            })
        };
        assert!(declared(quote!(join(table = "others", own = "other", other = "id"))).is_ok());
        assert!(declared(quote!(join(table = "others", own = "other"))).is_err());
        assert!(declared(quote!(join(table = "others", on = "other"))).is_err());
        assert!(declared(quote!(joined = "others")).is_err());
    }

    #[test]
    fn a_skipped_field_has_nothing_else() {
        let declared = |options: TokenStream| {
            expand(parse_quote! {
                #[resource(table = "rows")]
                struct Row {
                    #[resource(key)]
                    id: i64,
                    #[resource(skip, #options)]
                    note: String,
                }
            })
        };
        assert!(declared(quote!()).is_ok());
        for options in [
            quote!(aggregate),
            quote!(of = "others"),
            quote!(name = "n"),
            quote!(column = "n"),
        ] {
            assert!(declared(options).is_err());
        }
    }
}
