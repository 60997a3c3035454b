//! Rows by keys that a collation may take for the same.

use super::{Backend, SqlSource, failed, undecodable};
use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::source::Runner;
use crate::value::{Kind, Value};
use perf_core::Dialect;
use sqlx::{FromRow, Row as _};
use std::collections::HashMap;

impl<DB, T, E> SqlSource<DB, T, E>
where
    DB: Backend,
    E: Runner<DB>,
    T: for<'r> FromRow<'r, DB::Row>,
{
    pub(super) async fn matching_text(
        &self,
        condition: &Condition,
        order: &TotalOrder,
        field: usize,
        keys: &[Value],
    ) -> Result<Vec<(usize, T)>, Error> {
        let statement = self.shape(condition).listed(order, field, keys);
        let rows = self.all(statement).await?;
        if DB::DIALECT == Dialect::MySql {
            return self.by_collation(field, keys, &rows).await;
        }
        let placed = |row: &DB::Row| {
            // Counted from one.
            let place = match DB::read(row, row.len() - 1, Kind::Int)? {
                Value::Int(place) => usize::try_from(place - 1).ok(),
                _ => None,
            };
            let place = place.ok_or_else(|| undecodable(row.len() - 1, "no place"))?;
            Ok((place, T::from_row(row)?))
        };
        let placed: Result<_, sqlx::Error> = rows.iter().map(placed).collect();
        placed.map_err(failed::<DB>)
    }

    /// The rows of each key, if the collation in their last column is asked what equals what.
    async fn by_collation(
        &self,
        field: usize,
        keys: &[Value],
        rows: &[DB::Row],
    ) -> Result<Vec<(usize, T)>, Error> {
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let collation = match DB::read(first, first.len() - 1, Kind::Text) {
            Ok(Value::Text(collation)) => collation,
            Ok(_) => String::new(),
            Err(error) => return Err(failed::<DB>(error)),
        };
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(T::from_row(row).map_err(failed::<DB>)?);
        }
        let texts = items.iter().map(|item| self.schema.read(item, field));
        let classes = self.classes(&collation, keys, texts.collect()).await?;
        let mut matching = Vec::with_capacity(rows.len());
        for ((row, item), class) in rows.iter().zip(items).zip(classes) {
            let (first, others) = match class.split_first() {
                Some((first, others)) => (*first, others),
                None => continue,
            };
            for other in others {
                matching.push((*other, T::from_row(row).map_err(failed::<DB>)?));
            }
            matching.push((first, item));
        }
        Ok(matching)
    }

    /// For each text, the places of the keys that it equals.
    async fn classes(
        &self,
        collation: &str,
        keys: &[Value],
        texts: Vec<Value>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut compared = keys.to_vec();
        for (place, key) in keys.iter().enumerate() {
            places.insert(key.form(), vec![place]);
        }
        let forms: Vec<Vec<u8>> = texts.iter().map(Value::form).collect();
        if !is_exact(collation) {
            for (form, text) in forms.iter().zip(texts) {
                if !places.contains_key(form) {
                    places.insert(form.clone(), Vec::new());
                    compared.push(text);
                }
            }
            let mut equal: HashMap<i64, Vec<usize>> = HashMap::new();
            let ranks = self.ranks(collation, &compared).await?;
            for (place, rank) in ranks.iter().enumerate().take(keys.len()) {
                equal.entry(*rank).or_default().push(place);
            }
            for (text, rank) in compared.iter().zip(ranks) {
                let same = equal.get(&rank).cloned().unwrap_or_default();
                places.insert(text.form(), same);
            }
        }
        let class = |form| places.get(form).cloned().unwrap_or_default();
        Ok(forms.iter().map(class).collect())
    }

    /// Numbers of which two are the same where the collation takes their texts for the same.
    async fn ranks(&self, collation: &str, texts: &[Value]) -> Result<Vec<i64>, Error> {
        let condition = Condition::always();
        let rows = self
            .all(self.shape(&condition).ranks(collation, texts))
            .await?;
        let mut ranks = vec![0; texts.len()];
        for row in rows {
            let [place, rank] = [0, 1].map(|column| DB::read(&row, column, Kind::Int));
            let pair = (place.map_err(failed::<DB>)?, rank.map_err(failed::<DB>)?);
            if let (Value::Int(place), Value::Int(rank)) = pair
                && let Some(slot) = usize::try_from(place)
                    .ok()
                    .and_then(|place| ranks.get_mut(place))
            {
                *slot = rank;
            }
        }
        Ok(ranks)
    }
}

/// Whether a collation of MySQL or MariaDB takes only the same texts for the same.
fn is_exact(collation: &str) -> bool {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    // What a server calls so is a name. Anything else must not become part of a statement.
    !collation.chars().all(is_name)
        || matches!(collation, "" | "binary" | "utf8mb4_0900_bin")
        || collation.ends_with("_nopad_bin")
}
