//! What a cursor may and may not do.

use crate::rows::Row;
use futures_util::TryStreamExt as _;
use perf_core::ManualClock;
use perf_paginate::{
    Binding, Cursor, CursorCodec, CursorFault, Error, Filter, Page, PageQuery, Paginator, Plain,
    Resource, Sealed, Signed, SliceSource,
};
use proptest::prelude::*;
use std::time::Duration;

fn rows() -> Vec<Row> {
    (0..30)
        .map(|id| Row {
            id,
            a: Some(id % 4),
            b: None,
            c: id % 3,
            d: id % 2 == 0,
        })
        .collect()
}

fn paginator(key: u8) -> Paginator<SliceSource<Row>> {
    let source = SliceSource::new(Row::schema().unwrap(), rows());
    Paginator::new(source, Signed::new(&[key; 32]).unwrap())
}

async fn cursor(paginator: &Paginator<SliceSource<Row>>, query: &PageQuery) -> Cursor {
    paginator.page(query).await.unwrap().info.next.unwrap()
}

#[tokio::test]
async fn a_cursor_leads_nowhere_but_into_its_own_walk() {
    let paginator = paginator(1);
    let query = PageQuery::new()
        .sort("a,-c")
        .filter(Filter::is_in("c", [0_i64, 1]))
        .size(3);
    let cursor = cursor(&paginator, &query).await;
    let refused = |paginator: &Paginator<SliceSource<Row>>, query: PageQuery| match paginator
        .check(&query.cursor(cursor.clone()))
        .unwrap_err()
    {
        Error::CursorMismatch(binding) => binding,
        error => panic!("{error}"),
    };
    let other_sort = PageQuery::new()
        .sort("a,c")
        .filter(Filter::is_in("c", [0_i64, 1]));
    assert_eq!(refused(&paginator, other_sort), Binding::Sort);
    assert_eq!(
        refused(&paginator, PageQuery::new().sort("a,-c")),
        Binding::Filter
    );
    assert_eq!(
        refused(&paginator.scoped("tenant 2"), query.clone()),
        Binding::Scope
    );
    let restricted = paginator.restricted(&Filter::eq("d", true)).unwrap();
    assert_eq!(refused(&restricted, query.clone()), Binding::Filter);

    let same = PageQuery::new()
        .sort("a,-c")
        .filter(Filter::is_in("c", ["1", "0", "1"]))
        .size(9);
    assert!(paginator.check(&same.cursor(cursor.clone())).is_ok());
}

#[tokio::test]
async fn a_rotated_key_breaks_no_cursor_and_a_dropped_one_breaks_all() {
    let query = PageQuery::new().size(3);
    let old = cursor(&paginator(1), &query).await;
    let source = || SliceSource::new(Row::schema().unwrap(), rows());
    let both = Signed::new(&[2; 32]).unwrap().accepting(&[1; 32]).unwrap();
    let rotating = Paginator::new(source(), both);
    assert_eq!(
        rotating
            .page(&query.clone().cursor(old.clone()))
            .await
            .unwrap()
            .items[0]
            .id,
        3
    );
    let new = cursor(&rotating, &query).await;
    assert!(paginator(2).check(&query.clone().cursor(new)).is_ok());
    let error = paginator(2).check(&query.cursor(old)).unwrap_err();
    assert!(matches!(
        error,
        Error::InvalidCursor(CursorFault::UnknownKey)
    ));
}

#[tokio::test]
async fn a_cursor_expires_by_the_clock_that_made_it() {
    let clock = ManualClock::new();
    let signed = || Signed::new(&[1; 32]).unwrap();
    let source = || SliceSource::new(Row::schema().unwrap(), rows());
    let hour = Duration::from_secs(3_600);
    let expiring = Paginator::new(source(), signed().expiring(hour, clock.clone()));
    let cursor = cursor(&expiring, &PageQuery::new()).await;
    let query = PageQuery::new().cursor(cursor);
    clock.advance(hour);
    assert!(expiring.check(&query).is_ok());
    clock.advance(Duration::from_secs(1));
    let expired = |query: &PageQuery| {
        let error = expiring.check(query).unwrap_err();
        matches!(error, Error::InvalidCursor(CursorFault::Expired)) && error.status() == 400
    };
    assert!(expired(&query));
    // Without a lifetime its age is of no matter; made without one, it is unknown.
    let timeless = Paginator::new(source(), signed());
    assert!(timeless.check(&query).is_ok());
    let ageless = timeless
        .page(&PageQuery::new())
        .await
        .unwrap()
        .info
        .next
        .unwrap();
    assert!(expired(&PageQuery::new().cursor(ageless)));
}

#[tokio::test]
async fn plain_cursors_are_not_taken_for_signed_ones() {
    let source = SliceSource::new(Row::schema().unwrap(), rows());
    let plain = Paginator::new(source, Plain);
    let cursor = cursor(&plain, &PageQuery::new()).await;
    let error = paginator(1)
        .check(&PageQuery::new().cursor(cursor))
        .unwrap_err();
    assert!(matches!(
        error,
        Error::InvalidCursor(CursorFault::UnsupportedVersion)
    ));
}

#[tokio::test]
async fn no_changed_bit_passes() {
    let paginator = paginator(1);
    let query = PageQuery::new().sort("-a");
    let cursor = cursor(&paginator, &query).await;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=";
    for position in 0..cursor.as_str().len() {
        for letter in letters {
            let mut token = cursor.as_str().as_bytes().to_vec();
            if token[position] == *letter {
                continue;
            }
            token[position] = *letter;
            let forged = String::from_utf8(token).unwrap();
            let error = paginator.check(&query.clone().cursor(forged)).unwrap_err();
            assert!(
                matches!(error, Error::InvalidCursor(_)),
                "{error} at {position}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_without_panic(token in "[A-Za-z0-9_-]{0,200}", header in 0_u8..32) {
        let forged = [token.clone(), format!("E{}{token}", char::from(b'A' + header))];
        for token in forged {
            let query = PageQuery::new().cursor(token);
            prop_assert_eq!(paginator(1).check(&query).unwrap_err().status(), 400);
            let source = SliceSource::new(Row::schema().unwrap(), rows());
            prop_assert!(Paginator::new(source, Plain).check(&query).is_err());
        }
    }
}

#[test]
fn a_cursor_does_not_show_itself_in_logs() {
    assert_eq!(
        format!("{:?}", Cursor::from("secret")),
        "Cursor(6 characters)"
    );
}

#[tokio::test]
async fn a_row_too_long_for_a_cursor_is_shown_without_one() {
    let rows: Vec<Row> = (0..6)
        .map(|id| Row {
            id,
            a: None,
            b: Some(format!(
                "{id}{}",
                "x".repeat(if id == 2 { 2_000 } else { 1 })
            )),
            c: 0,
            d: true,
        })
        .collect();
    let paginator = Paginator::new(SliceSource::new(Row::schema().unwrap(), rows), Plain);
    let ids = |page: &Page<Row>| page.items.iter().map(|row| row.id).collect::<Vec<_>>();
    let query = |size| PageQuery::new().sort("b").size(size);

    let page = paginator.page(&query(3)).await.unwrap();
    assert_eq!((ids(&page), page.info.has_next), (vec![0, 1, 2], true));
    assert_eq!((&page.info.next, &page.info.prev), (&None, &None));
    // A page of another size ends at another row, and so do those that follow it.
    let first = paginator.page(&query(2)).await.unwrap();
    let next = query(2).cursor(first.info.next.unwrap());
    let second = paginator.page(&next).await.unwrap();
    assert_eq!((ids(&second), second.info.has_prev), (vec![2, 3], true));
    assert_eq!((second.info.prev, second.info.next.is_some()), (None, true));
    let all: Vec<Row> = paginator
        .items(&query(3))
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 6);
}

fn sealing(codec: impl CursorCodec) -> Paginator<SliceSource<Row>> {
    Paginator::new(SliceSource::new(Row::schema().unwrap(), rows()), codec)
}

#[tokio::test]
async fn a_sealed_cursor_shows_nothing_and_bears_no_change() {
    let secret = Row {
        id: 7,
        a: None,
        b: Some("a secret of some length".into()),
        c: 0,
        d: true,
    };
    let other = Row {
        id: 8,
        ..secret.clone()
    };
    let source = SliceSource::new(Row::schema().unwrap(), vec![secret, other]);
    let paginator = Paginator::new(source, Sealed::new(&[1; 32]).unwrap());
    let query = PageQuery::new().sort("b").size(1);
    let cursor = cursor(&paginator, &query).await;
    use base64::Engine as _;
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(cursor.as_str())
        .unwrap();
    assert!(!token.windows(6).any(|window| window == b"secret"));
    assert_eq!(
        paginator
            .page(&query.clone().cursor(cursor.clone()))
            .await
            .unwrap()
            .items[0]
            .id,
        8
    );
    // Equal positions have equal cursors.
    assert_eq!(self::cursor(&paginator, &query).await, cursor);
    for position in 0..token.len() {
        for bit in 0..8 {
            let mut forged = token.clone();
            forged[position] ^= 1 << bit;
            let forged = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(forged);
            let error = paginator.check(&query.clone().cursor(forged)).unwrap_err();
            assert!(
                matches!(error, Error::InvalidCursor(_)),
                "{error} at {position}"
            );
        }
    }
}

#[tokio::test]
async fn sealing_keys_are_rotated_and_sealed_cursors_expire() {
    let query = PageQuery::new().size(3);
    let old = sealing(Sealed::new(&[1; 32]).unwrap());
    let cursor = cursor(&old, &query).await;
    let both = Sealed::new(&[2; 32]).unwrap().accepting(&[1; 32]).unwrap();
    let page = sealing(both)
        .page(&query.clone().cursor(cursor.clone()))
        .await;
    assert_eq!(page.unwrap().items[0].id, 3);
    let fault = |paginator: Paginator<SliceSource<Row>>, cursor: &Cursor| match paginator
        .check(&query.clone().cursor(cursor.clone()))
        .unwrap_err()
    {
        Error::InvalidCursor(fault) => fault,
        error => panic!("{error}"),
    };
    let new = || sealing(Sealed::new(&[2; 32]).unwrap());
    assert_eq!(fault(new(), &cursor), CursorFault::UnknownKey);
    assert_eq!(
        fault(paginator(1), &cursor),
        CursorFault::UnsupportedVersion
    );
    assert!(Sealed::new(&[1; 31]).is_err());

    let clock = ManualClock::new();
    let hour = Duration::from_secs(3_600);
    let expiring = || sealing(Sealed::new(&[1; 32]).unwrap().expiring(hour, clock.clone()));
    assert_eq!(fault(expiring(), &cursor), CursorFault::Expired);
    let timed = self::cursor(&expiring(), &query).await;
    clock.advance(hour);
    assert!(
        expiring()
            .check(&query.clone().cursor(timed.clone()))
            .is_ok()
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(fault(expiring(), &timed), CursorFault::Expired);
}

#[tokio::test]
async fn a_connections_cursors_lead_both_ways() {
    let paginator = paginator(1);
    let query = PageQuery::new().sort("a,-c").size(7);
    let whole = paginator.connection(&query.clone().size(30)).await.unwrap();
    let ids: Vec<i64> = whole.edges.iter().map(|edge| edge.node.id).collect();
    assert_eq!(ids.len(), 30);
    for (place, edge) in whole.edges.iter().enumerate() {
        let cursor = edge.cursor.clone().unwrap();
        let after = paginator
            .connection(&query.clone().after(cursor.clone()))
            .await
            .unwrap();
        let found: Vec<i64> = after.edges.iter().map(|edge| edge.node.id).collect();
        assert_eq!(found, ids[place + 1..(place + 8).min(30)]);
        assert_eq!(after.page_info.has_next_page, place + 8 < 30);
        assert!(after.page_info.has_previous_page);
        let before = paginator
            .connection(&query.clone().before(cursor))
            .await
            .unwrap();
        let found: Vec<i64> = before.edges.iter().map(|edge| edge.node.id).collect();
        assert_eq!(found, ids[place.saturating_sub(7)..place]);
        assert_eq!(before.page_info.has_previous_page, place > 7);
        assert!(before.page_info.has_next_page);
    }
    let shown = serde_json::to_value(&whole.page_info).unwrap();
    assert_eq!(shown["hasNextPage"], false);
    assert_eq!(
        shown["endCursor"],
        whole.edges[29].cursor.as_ref().unwrap().as_str()
    );
}
