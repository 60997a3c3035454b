//! What an OpenAPI document says of a list endpoint.

use perf_paginate::{Connection, Page, PageQuery};
use serde_json::Value;
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams as _, PartialSchema as _, ToSchema};

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Flight {
    id: i64,
}

#[test]
fn a_page_refers_to_schemas_that_are_there() {
    let mut schemas = vec![
        ("page".to_owned(), Page::<Flight>::schema()),
        ("connection".to_owned(), Connection::<Flight>::schema()),
    ];
    Page::<Flight>::schemas(&mut schemas);
    Connection::<Flight>::schemas(&mut schemas);
    let names: Vec<&str> = schemas.iter().map(|(name, _)| name.as_str()).collect();
    let document =
        serde_json::to_value(schemas.iter().map(|(_, schema)| schema).collect::<Vec<_>>());
    let document = document.unwrap();
    let page = &document[0]["properties"];
    assert_eq!(
        page["items"]["items"]["$ref"],
        "#/components/schemas/Flight"
    );
    assert_eq!(page["page_info"]["$ref"], "#/components/schemas/PageInfo");
    let mut found = 0;
    references(&document, &mut |target| {
        let name = target.strip_prefix("#/components/schemas/").unwrap();
        assert!(names.contains(&name), "{name} in {names:?}");
        found += 1;
    });
    assert!(found > 8);
    assert!(names.contains(&"Edge_Flight"));
}

fn references(document: &Value, found: &mut impl FnMut(&str)) {
    match document {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found(target);
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_documented_parameter_is_read() {
    let parameters = PageQuery::into_params(|| Some(ParameterIn::Query));
    let document = serde_json::to_value(&parameters).unwrap();
    let names: Vec<&str> = document
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"cursor") && names.contains(&"filters"));
    for name in names {
        let value = match name {
            "size" | "page" | "offset" => "7",
            _ => r#"{"a":1}"#,
        };
        let query = PageQuery::parse(&format!("{name}={value}")).unwrap();
        assert_ne!(query, PageQuery::new(), "{name}");
    }
}
