//! What servers print, of versions that are not at hand too.

use perf_core::Dialect::{MariaDb, MySql, Postgres, Sqlite};
use perf_profile::{Access, Plan, PlanFinding, ProfileError};
use proptest::prelude::*;

fn accesses(plan: &Plan) -> Vec<(Access, Option<&str>, Option<&str>)> {
    let steps = plan
        .steps
        .iter()
        .filter(|step| step.access != Access::Other);
    steps
        .map(|step| (step.access, step.table.as_deref(), step.index.as_deref()))
        .collect()
}

#[test]
fn postgres_plans_are_trees() {
    let text = r#"[{"Plan": {"Node Type": "Limit", "Total Cost": 812.5, "Plan Rows": 10, "Plans": [
        {"Node Type": "Sort", "Plan Rows": 400, "Sort Key": ["dep_time"], "Plans": [
            {"Node Type": "Nested Loop", "Plan Rows": 400, "Plans": [
                {"Node Type": "Seq Scan", "Relation Name": "flights", "Filter": "(origin = $1)", "Plan Rows": 400,
                    "Actual Rows": 12000, "Disabled": false},
                {"Node Type": "Index Scan", "Relation Name": "planes", "Index Name": "planes_pkey",
                    "Index Cond": "(tailnum = flights.tailnum)", "Plan Rows": 1}]}]}]}}]"#;
    let plan = Plan::parse(Postgres, text).unwrap();
    assert_eq!(plan.cost, Some(812.5));
    let expected = [
        (Access::Sort, None, None),
        (Access::Scan, Some("flights"), None),
        (Access::Seek, Some("planes"), Some("planes_pkey")),
    ];
    assert_eq!(accesses(&plan), expected);
    let table = || "flights".to_owned();
    let expected = [
        PlanFinding::Sort,
        PlanFinding::ScanWithFilter { table: table() },
        PlanFinding::Misestimate {
            table: table(),
            expected: 400.0,
            actual: 12_000.0,
        },
    ];
    assert_eq!(plan.findings(), expected);
}

#[test]
fn mariadb_plans_are_nested_blocks() {
    let text = r#"{"query_block": {"select_id": 1, "cost": 1.2, "filesort": {"sort_key": "f.dep_time",
        "temporary_table": {"nested_loop": [
            {"table": {"table_name": "f", "access_type": "ALL", "rows": 1000, "filtered": 10,
                "attached_condition": "f.origin = 'EWR'"}},
            {"table": {"table_name": "p", "access_type": "eq_ref", "key": "PRIMARY", "rows": 1, "filtered": 100}}]}}}}"#;
    let plan = Plan::parse(MariaDb, text).unwrap();
    let expected = [
        (Access::Sort, None, None),
        (Access::TemporaryTable, None, None),
        (Access::Scan, Some("f"), None),
        (Access::Seek, Some("p"), Some("PRIMARY")),
    ];
    assert_eq!(accesses(&plan), expected);
    assert_eq!(plan.cost, Some(1_100.0));
}

#[test]
fn mysql_plans_come_in_two_versions() {
    let first = r#"{"query_block": {"select_id": 1, "cost_info": {"query_cost": "101.35"},
        "ordering_operation": {"using_filesort": true, "table": {"table_name": "flights", "access_type": "ALL",
            "rows_examined_per_scan": 996, "attached_condition": "(flights.origin = 'EWR')"}}}}"#;
    let second = r#"{"query": "/* select#1 */ …", "query_plan": {"operation": "Sort: flights.dep_time",
        "access_type": "sort", "estimated_total_cost": 101.35, "inputs": [{"operation": "Filter: (flights.origin = 'EWR')",
            "access_type": "filter", "inputs": [{"operation": "Table scan on flights", "access_type": "table",
                "table_name": "flights", "estimated_rows": 996.0}]}]}}"#;
    for text in [first, second] {
        let plan = Plan::parse(MySql, text).unwrap();
        assert_eq!(plan.cost, Some(101.35), "{text}");
        let expected = [
            (Access::Sort, None, None),
            (Access::Scan, Some("flights"), None),
        ];
        assert_eq!(accesses(&plan), expected, "{text}");
        assert_eq!(plan.findings().len(), 2, "{text}");
    }
}

#[test]
fn sqlite_plans_are_lines_of_changing_wording() {
    let text = "SCAN TABLE flights AS f\nSEARCH p USING AUTOMATIC COVERING INDEX (tailnum=?)
        SEARCH b USING INDEX bookings_flight (flight_id=?)\nSEARCH a USING INTEGER PRIMARY KEY (rowid=?)
        SCAN planes USING COVERING INDEX planes_model\nSCAN CONSTANT ROW\nUSE TEMP B-TREE FOR LAST TERM OF ORDER BY
        MULTI-INDEX OR\nA STEP OF THE FUTURE";
    let plan = Plan::parse(Sqlite, text).unwrap();
    let expected = [
        (Access::Scan, Some("flights"), None),
        (Access::AutomaticIndex, Some("p"), Some("")),
        (Access::Seek, Some("b"), Some("bookings_flight")),
        (Access::Seek, Some("a"), None),
        (Access::IndexScan, Some("planes"), Some("planes_model")),
        (Access::Sort, None, None),
    ];
    assert_eq!(accesses(&plan), expected);
    assert_eq!(plan.steps.len(), 9);
}

#[test]
fn what_is_no_plan_is_refused() {
    for dialect in [Postgres, MariaDb, MySql] {
        for text in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "[{}]",
            "\"query_block\"",
            r#"[{"Query": 1}]"#,
        ] {
            let refused = Plan::parse(dialect, text);
            let unreadable = matches!(refused, Err(ProfileError::UnreadablePlan { .. }));
            assert!(unreadable, "{dialect:?} {text}: {refused:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,300}", deep in 0_usize..200) {
        let nested = format!("{}{text}{}", "[{\"Plan\":".repeat(deep), "}]".repeat(deep));
        for dialect in [Postgres, MariaDb, MySql, Sqlite] {
            let _outcome = Plan::parse(dialect, &text);
            let _outcome = Plan::parse(dialect, &nested);
        }
    }
}
