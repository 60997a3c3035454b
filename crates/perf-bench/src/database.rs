//! The patterns of database access, the naive way and the good one, on the same rows.

mod outcome;
mod patterns;

use crate::cli::DatabaseArguments;
use crate::failure::Failure;
use crate::{output, progress};
use outcome::DatabaseOutcome;
use sqlx::{MySqlPool, PgPool, SqlitePool};
use std::time::Duration;

pub(crate) async fn run(arguments: &DatabaseArguments) -> Result<(), Failure> {
    let (url, rows) = (arguments.url.as_str(), arguments.rows);
    if rows < patterns::LEAST_ROWS {
        let least = patterns::LEAST_ROWS;
        return Err(Failure::Usage(format!("--rows must be at least {least}")));
    }
    let work = async {
        match url.split(':').next() {
            Some("sqlite") => {
                // Each connection to a database in memory would have one of its own.
                let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
                let pool: SqlitePool = options.connect(url).await.map_err(unreachable)?;
                patterns::sqlite::measure(&pool, rows).await
            }
            Some("postgres" | "postgresql") => {
                let pool = PgPool::connect(url).await.map_err(unreachable)?;
                patterns::postgres::measure(&pool, rows).await
            }
            Some("mysql" | "mariadb") => {
                let pool = MySqlPool::connect(url).await.map_err(unreachable)?;
                patterns::mysql::measure(&pool, rows).await
            }
            _ => Err(Failure::Usage(
                "a database's URL begins with postgres:, mysql: or sqlite:".into(),
            )),
        }
    };
    let patterns = progress::during("database patterns", Duration::from_secs(30), work).await?;
    output::write(&arguments.output, &DatabaseOutcome { rows, patterns })
}

/// The URL is not repeated: it may hold a password.
fn unreachable(error: sqlx::Error) -> Failure {
    Failure::Unreachable(format!("cannot connect to the database: {error}"))
}
