//! Figures of all rows: the four sources agree, and a request reaches only what it may.

use async_trait::async_trait;
use perf_paginate::{
    AggregateQuery, AggregateSource, Decimal, Error, Field, Filter, Group, Measure, Paginator,
    Plain, Schema, SliceSource, SqlSource, Timestamp, Value,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{MySql, Postgres, Sqlite};

#[derive(Clone, Debug)]
struct Sale {
    id: i64,
    shop: Option<String>,
    units: Option<i64>,
    weight: f64,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for Sale {
    fn from_row(_: &'r R) -> Result<Self, sqlx::Error> {
        panic!("a whole row was read")
    }
}

fn schema() -> Schema<Sale> {
    Schema::builder("sales")
        .field(Field::new("id", |sale: &Sale| sale.id))
        .field(Field::new("shop", |sale: &Sale| sale.shop.clone()).aggregatable())
        .field(
            Field::new("units", |sale: &Sale| sale.units)
                .aggregatable()
                .filterable(),
        )
        .field(Field::new("weight", |sale: &Sale| sale.weight).aggregatable())
        .key(["id"])
        .build()
        .unwrap()
}

const MOST: i64 = i64::MAX / 2;

fn sales() -> Vec<Sale> {
    let shops = ["b", "a", "b"].map(|shop| Some(shop.to_owned()));
    let units = [Some(MOST), Some(-3), None, Some(10), Some(4), None];
    let sale = |id: usize| Sale {
        id: i64::try_from(id).unwrap(),
        shop: shops.get(id % 4).cloned().flatten(),
        units: units[id % 6],
        weight: [0.5, 1.25][id % 2],
    };
    (0..12).map(sale).collect()
}

const FILL: [&str; 2] = [
    "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop VARCHAR(9), units BIGINT, weight DOUBLE PRECISION NOT NULL)",
    "INSERT INTO sales VALUES ",
];

/// The statements that fill a table with the sales.
fn fill() -> Vec<String> {
    let null = || "NULL".to_owned();
    let row = |sale: &Sale| {
        let shop = sale
            .shop
            .as_ref()
            .map_or_else(null, |shop| format!("'{shop}'"));
        let units = sale.units.map_or_else(null, |units| units.to_string());
        format!("({}, {shop}, {units}, {})", sale.id, sale.weight)
    };
    let rows: Vec<String> = sales().iter().map(row).collect();
    vec![
        FILL[0].to_owned(),
        format!("{}{}", FILL[1], rows.join(", ")),
    ]
}

async fn answers<S: AggregateSource>(source: S) -> Vec<Vec<Group>> {
    let paginator = Paginator::new(source, Plain);
    let every = || {
        AggregateQuery::new()
            .measure(Measure::Min, "units")
            .measure(Measure::Max, "shop")
            .measure(Measure::Avg, "weight")
            .measure(Measure::Sum, "weight")
    };
    let few = || {
        every()
            .measure(Measure::Sum, "units")
            .measure(Measure::Avg, "units")
    };
    let small = || Filter::lt("units", 100_i64);
    let restricted = paginator.restricted(&Filter::eq("shop", "b")).unwrap();
    let mut answers = Vec::new();
    for query in [
        AggregateQuery::new(),
        every(),
        every().group_by("shop"),
        every().group_by("units"),
        few().filter(small()),
        few().filter(small()).group_by("shop"),
        few().filter(Filter::eq("units", 77_i64)),
        few().filter(Filter::eq("units", 77_i64)).group_by("shop"),
    ] {
        answers.push(paginator.aggregate(&query).await.unwrap());
        answers.push(
            restricted
                .aggregate(&query.clone().filter(small()))
                .await
                .unwrap(),
        );
    }
    answers
}

#[tokio::test]
async fn four_sources_compute_alike() {
    let memory = answers(SliceSource::new(schema(), sales())).await;
    assert_eq!(memory[0], [Group::new(Value::Null, 12, Vec::new())]);
    let by_shop: Vec<(&Value, u64)> = memory[4]
        .iter()
        .map(|group| (&group.key, group.rows))
        .collect();
    assert_eq!(
        by_shop,
        [(&"a".into(), 3), (&"b".into(), 6), (&Value::Null, 3)]
    );
    let total = &memory[8][0].values[4];
    assert_eq!(*total, Value::Decimal(Decimal::from(22)));
    assert_eq!(
        memory[12],
        [Group::new(Value::Null, 0, vec![Value::Null; 6])]
    );
    assert_eq!(memory[14], []);

    let options = SqlitePoolOptions::new().max_connections(1);
    let sqlite = options.connect("sqlite::memory:").await.unwrap();
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let postgres = PgPool::connect(&database.url_unix()).await.unwrap();
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let mariadb = MySqlPool::connect(&database.url_unix()).await.unwrap();
    for sql in fill() {
        let sql = || sqlx::AssertSqlSafe(sql.clone());
        sqlx::query(sql()).execute(&sqlite).await.unwrap();
        sqlx::query(sql()).execute(&postgres).await.unwrap();
        sqlx::query(sql()).execute(&mariadb).await.unwrap();
    }
    let source = SqlSource::<Sqlite, Sale>::with_schema(sqlite, schema()).unwrap();
    assert_eq!(answers(source).await, memory);
    let source = SqlSource::<Postgres, Sale>::with_schema(postgres, schema()).unwrap();
    assert_eq!(answers(source).await, memory);
    let source = SqlSource::<MySql, Sale>::with_schema(mariadb, schema()).unwrap();
    assert_eq!(answers(source).await, memory);
}

/// A source that must not be asked.
#[derive(Debug)]
struct Untouchable(SliceSource<(i64, Timestamp)>);

#[async_trait]
impl perf_paginate::PageSource for Untouchable {
    type Item = (i64, Timestamp);

    fn schema(&self) -> &Schema<Self::Item> {
        self.0.schema()
    }

    async fn rows(&self, _: &perf_paginate::Selection<'_>) -> Result<Vec<Self::Item>, Error> {
        panic!("the source was asked for rows")
    }

    async fn count(&self, _: &perf_paginate::Condition, _: Option<u64>) -> Result<u64, Error> {
        panic!("the source was asked to count")
    }
}

#[async_trait]
impl AggregateSource for Untouchable {
    async fn aggregate(&self, _: &perf_paginate::Aggregation<'_>) -> Result<Vec<Group>, Error> {
        panic!("the source was asked for figures")
    }
}

#[tokio::test]
async fn what_may_not_be_measured_is_refused_before_the_source_is_asked() {
    let schema = Schema::builder("events")
        .field(Field::new("id", |event: &(i64, Timestamp)| event.0))
        .field(Field::new("at", |event: &(i64, Timestamp)| event.1).aggregatable())
        .field(Field::new("truth", |_: &(i64, Timestamp)| true).aggregatable())
        .field(Field::new("float", |_: &(i64, Timestamp)| 0.5).aggregatable())
        .key(["id"])
        .build()
        .unwrap();
    let paginator = Paginator::new(Untouchable(SliceSource::new(schema, [])), Plain);
    let query = AggregateQuery::new;
    for (query, message) in [
        (
            query().measure(Measure::Sum, "x"),
            "there is no field \"x\"",
        ),
        (
            query().measure(Measure::Sum, "id"),
            "field \"id\" cannot be aggregated by sum",
        ),
        (
            query().measure(Measure::Sum, "at"),
            "field \"at\" cannot be aggregated by sum",
        ),
        (
            query().measure(Measure::Max, "truth"),
            "field \"truth\" cannot be aggregated by max",
        ),
        (
            query().group_by("id"),
            "field \"id\" cannot be aggregated by group_by",
        ),
        (
            query().group_by("float"),
            "field \"float\" cannot be aggregated by group_by",
        ),
        (
            query().filter(Filter::eq("id", 1_i64)),
            "field \"id\" cannot be filtered by",
        ),
        (
            (0..21).fold(query(), |query, _| query.measure(Measure::Max, "at")),
            "more than 20 measures",
        ),
    ] {
        let error = paginator.aggregate(&query).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.status()), (message, 400));
    }
}

#[tokio::test]
async fn groups_are_bounded() {
    let schema = Schema::builder("n")
        .field(Field::new("n", |n: &i64| *n).aggregatable())
        .key(["n"])
        .build()
        .unwrap();
    let numbers: Vec<i64> = (0..1_001).collect();
    let all = Paginator::new(SliceSource::new(schema.clone(), numbers.clone()), Plain);
    let query = AggregateQuery::new().group_by("n");
    let error = all.aggregate(&query).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.status()),
        ("more than 1000 groups", 400)
    );
    let fewer = Paginator::new(SliceSource::new(schema, numbers[1..].to_vec()), Plain);
    assert_eq!(fewer.aggregate(&query).await.unwrap().len(), 1_000);
}
