//! The peer's entity, and a connection that only keeps what it is asked to run.

use async_trait::async_trait;
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, ExecResult, QueryResult, Statement};
use std::sync::Mutex;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) kind: i64,
    pub(crate) day: i64,
    pub(crate) note: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Finds nothing and remembers the last statement.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Option<Statement>>);

impl Recorder {
    pub(crate) fn take(&self) -> Statement {
        let recorded = self.0.lock().expect("nobody panics").take();
        recorded.expect("a statement was run")
    }
}

#[async_trait]
impl ConnectionTrait for Recorder {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("only reads".into()))
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("only reads".into()))
    }

    async fn query_one_raw(&self, _: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(None)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        *self.0.lock().expect("nobody panics") = Some(statement);
        Ok(Vec::new())
    }
}

/// The statement of a page after a row, sorted by three columns.
pub(crate) async fn page_after(recorder: &Recorder, row: (i64, i64, i64)) -> Statement {
    let page = Entity::find()
        .cursor_by((Column::Kind, Column::Day, Column::Id))
        .after(row)
        .first(21)
        .all(recorder)
        .await;
    assert_eq!(page, Ok(Vec::new()));
    recorder.take()
}

/// The same among the rows of one note.
pub(crate) async fn filtered_page_after(
    recorder: &Recorder,
    note: &str,
    row: (i64, i64, i64),
) -> Statement {
    let page = Entity::find()
        .filter(Column::Note.eq(note))
        .cursor_by((Column::Kind, Column::Day, Column::Id))
        .after(row)
        .first(21)
        .all(recorder)
        .await;
    assert_eq!(page, Ok(Vec::new()));
    recorder.take()
}
