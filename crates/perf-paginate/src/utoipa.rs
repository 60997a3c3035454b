//! What pages, connections and requests look like, for OpenAPI documents.

use crate::connection::{Connection, ConnectionInfo, Edge};
use crate::cursor::Cursor;
use crate::page::{Page, PageInfo, Total};
use crate::query::PageQuery;
use std::borrow::Cow;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

type Schemas = Vec<(String, RefOr<Schema>)>;

fn of_type(kind: Type, description: &str) -> Object {
    let object = ObjectBuilder::new().schema_type(kind);
    object.description(Some(description)).build()
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn list<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(reference::<T>())
}

/// A schema of a name of its own, with those it refers to.
macro_rules! schema {
    ([$($parameter:ident)?] $type:ty, $name:expr, [$($part:ty),*], $schema:expr) => {
        impl$(<$parameter: ToSchema>)? PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl$(<$parameter: ToSchema>)? ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schemas(schemas: &mut Schemas) {
                $(
                    schemas.push((<$part>::name().into_owned(), <$part>::schema()));
                    <$part>::schemas(schemas);
                )*
                let _none_for_some = schemas;
            }
        }
    };
}

schema!([] Cursor, "Cursor", [], Schema::Object(of_type(Type::String, "An opaque position between rows.")));

schema!([] Total, "Total", [], Schema::Object(
    ObjectBuilder::new()
        .description(Some("How many rows there are, and how well that is known."))
        .property("kind", ObjectBuilder::new().schema_type(Type::String)
            .enum_values(Some(["exact", "at_least", "estimated", "unknown"])))
        .property("rows", of_type(Type::Integer, "Absent where nothing was counted."))
        .required("kind")
        .build(),
));

schema!([] PageInfo, "PageInfo", [Cursor], Schema::Object(
    ObjectBuilder::new()
        .property("size", of_type(Type::Integer, "Most rows the page could have held."))
        .property("offset", of_type(Type::Integer, "Rows before the page, where it was asked for by number or offset."))
        .property("has_next", of_type(Type::Boolean, "Whether rows follow."))
        .property("has_prev", of_type(Type::Boolean, "Whether rows precede."))
        .property("next", reference::<Cursor>())
        .property("prev", reference::<Cursor>())
        .required("size")
        .required("has_next")
        .required("has_prev")
        .build(),
));

schema!([T] Page<T>, format!("Page_{}", T::name()), [T, PageInfo, Total], Schema::Object(
    ObjectBuilder::new()
        .property("items", list::<T>())
        .property("page_info", reference::<PageInfo>())
        .property("total", reference::<Total>())
        .required("items")
        .required("page_info")
        .required("total")
        .build(),
));

schema!([] ConnectionInfo, "ConnectionInfo", [Cursor], Schema::Object(
    ObjectBuilder::new()
        .property("hasNextPage", of_type(Type::Boolean, "Whether rows follow."))
        .property("hasPreviousPage", of_type(Type::Boolean, "Whether rows precede."))
        .property("startCursor", reference::<Cursor>())
        .property("endCursor", reference::<Cursor>())
        .required("hasNextPage")
        .required("hasPreviousPage")
        .build(),
));

schema!([T] Edge<T>, format!("Edge_{}", T::name()), [T, Cursor], Schema::Object(
    ObjectBuilder::new()
        .property("node", reference::<T>())
        .property("cursor", reference::<Cursor>())
        .required("node")
        .build(),
));

schema!([T] Connection<T>, format!("Connection_{}", T::name()), [Edge<T>, ConnectionInfo], Schema::Object(
    ObjectBuilder::new()
        .property("edges", list::<Edge<T>>())
        .property("pageInfo", reference::<ConnectionInfo>())
        .property("totalCount", of_type(Type::Integer, "Rows on all pages, where they were counted to the last."))
        .required("edges")
        .required("pageInfo")
        .build(),
));

/// The parameters of [`PageQuery::parse`], less its synonyms. Which fields may be named is the schema's to say.
impl IntoParams for PageQuery {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |(name, kind, description): (&str, Type, &str)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(parameter_in().unwrap_or(ParameterIn::Query))
                .required(Required::False)
                .description(Some(description))
                .schema(Some(Schema::Object(
                    ObjectBuilder::new().schema_type(kind).build(),
                )))
                .build()
        };
        let parameters = [
            ("size", Type::Integer, "Rows on a page."),
            (
                "cursor",
                Type::String,
                "Where to start: `next` or `prev` of another page.",
            ),
            (
                "page",
                Type::Integer,
                "Where to start: a page's number, from 1.",
            ),
            (
                "offset",
                Type::Integer,
                "Where to start: after so many rows.",
            ),
            (
                "sort",
                Type::String,
                "Fields parted by commas; `-` before one sorts it downward, `:nulls_first` behind one puts its NULLs first.",
            ),
            ("fields", Type::String, "Fields to show, parted by commas."),
            (
                "filters",
                Type::String,
                "Conditions that must all hold: `{\"field\": {\"operator\": \"gte\", \"value\": 60}}`.",
            ),
        ];
        parameters.map(parameter).into()
    }
}
