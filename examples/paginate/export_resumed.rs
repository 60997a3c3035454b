//! How does an export go on after its process was killed in the middle of a line?
//!
//! The program starts itself a second time. That process exports a table and dies half-way; this one
//! finds out how much of the file is sound, cuts the rest off and appends what is missing. The result is
//! byte for byte an export that was never interrupted.
//!
//! ```text
//! cargo run --example paginate_export_resumed
//! ```

use anyhow::{Context as _, Result, ensure};
use futures_util::TryStreamExt as _;
use perfkit::paginate::{Export, PageQuery, Paginator, Recovery, Resource, Signed, SqlSource};
use serde::Serialize;
use sqlx::{Sqlite, SqlitePool};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

#[derive(Resource, Serialize, sqlx::FromRow)]
#[resource(table = "readings", crate = ::perfkit::paginate)]
struct Reading {
    #[resource(key)]
    id: i64,
    #[resource(sort)]
    value: Option<i64>,
}

type Readings = SqlSource<Sqlite, Reading>;

const FILL: &str = "CREATE TABLE readings (id INTEGER PRIMARY KEY, value INTEGER);
    WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20000)
    INSERT INTO readings SELECT id, NULLIF(id * 7919 % 1000, 0) FROM n;
    CREATE INDEX readings_by_value ON readings (value, id)";

async fn database(folder: &Path) -> Result<SqlitePool> {
    let file = folder.join("readings.sqlite");
    Ok(SqlitePool::connect(&format!("sqlite:{}?mode=rwc", file.display())).await?)
}

/// All readings. Both processes know the cursors' key, as two runs of a service would.
fn export(pool: SqlitePool) -> Result<Export<Readings>> {
    let readings = Paginator::new(Readings::new(pool)?, Signed::new(&[7; 32])?);
    Ok(readings.export(&PageQuery::new().sort("-value"))?)
}

/// Writes some pieces and half of another one, and is gone.
async fn die_half_way(folder: &Path) -> Result<()> {
    let mut file = File::create(folder.join("readings.ndjson"))?;
    let mut export = export(database(folder).await?)?;
    for _ in 0..3 {
        file.write_all(&export.try_next().await?.context("more than three pieces")?)?;
    }
    let piece = export.try_next().await?.context("more than three pieces")?;
    file.write_all(&piece[..piece.len() / 2])?;
    std::process::abort()
}

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(folder) = std::env::args_os().nth(1) {
        return die_half_way(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir()?;
    let pool = database(folder.path()).await?;
    sqlx::raw_sql(FILL).execute(&pool).await?;
    let child = Command::new(std::env::current_exe()?)
        .arg(folder.path())
        .status()?;
    ensure!(!child.success(), "it was to die");

    let path = folder.path().join("readings.ndjson");
    let found = Recovery::read(File::open(&path)?)?;
    let left = fs::metadata(&path)?.len();
    ensure!(!found.is_complete, "the end cannot be there");
    println!(
        "{} rows are sound, {} bytes are not",
        found.rows,
        left - found.length
    );

    let mut file = OpenOptions::new().append(true).open(&path)?;
    file.set_len(found.length)?;
    let mut rest = export(pool.clone())?;
    if let Some(checkpoint) = &found.checkpoint {
        rest = rest.resume(checkpoint)?;
    }
    while let Some(piece) = rest.try_next().await? {
        file.write_all(&piece)?;
    }

    let resumed = fs::read(&path)?;
    let found = Recovery::read(resumed.as_slice())?;
    ensure!(found.is_complete, "the end is missing");
    let unbroken = export(pool)?.try_collect::<Vec<_>>().await?.concat();
    ensure!(resumed == unbroken, "the exports differ");
    println!("{} rows, the same bytes as unbroken", found.rows);
    Ok(())
}
