use super::{AIRLINE, Case, FLIGHTS, PLANE, SEATS};

/// Each with the statements to be found, in the order of their first execution.
pub(super) const POSITIVE: [Case; 44] = [
    (
        "a list and a lookup for each row",
        |r| _ = r.for_each(100, PLANE, 1),
        &[PLANE],
    ),
    (
        "two lookups for each row, taking turns",
        |r| {
            r.query(FLIGHTS, 50)
                .times(50, |r, _| _ = r.query(PLANE, 1).query(AIRLINE, 1));
        },
        &[PLANE, AIRLINE],
    ),
    (
        "two loops, one after the other",
        |r| {
            r.query(FLIGHTS, 50)
                .times(50, |r, _| _ = r.query(PLANE, 1))
                .times(50, |r, _| _ = r.query(AIRLINE, 1));
        },
        &[PLANE, AIRLINE],
    ),
    (
        "children of each row",
        |r| _ = r.for_each(20, SEATS, 180),
        &[SEATS],
    ),
    (
        "a count for each row",
        |r| _ = r.for_each(20, "SELECT count(*) FROM seats WHERE flight_id = $1", 1),
        &["SELECT count(*) FROM seats WHERE flight_id = $1"],
    ),
    (
        "loops within loops",
        |r| {
            let passenger = "SELECT name FROM passengers WHERE seat_id = $1";
            r.query(FLIGHTS, 6).times(6, |r, _| {
                _ = r.query(SEATS, 7).times(7, |r, _| _ = r.query(passenger, 1))
            });
        },
        &[SEATS, "SELECT name FROM passengers WHERE seat_id = $1"],
    ),
    (
        "the loop ends early",
        |r| {
            r.query(FLIGHTS, 100)
                .times(60, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "some rows have no key",
        |r| {
            r.query(FLIGHTS, 100)
                .times(71, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "some keys lead nowhere",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, index| _ = r.query(PLANE, index % 2));
        },
        &[PLANE],
    ),
    (
        "rows are streamed while the lookups run",
        |r| {
            r.overlapped(FLIGHTS, 40, 5_000, 100)
                .times(40, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "other queries stand between list and loop",
        |r| {
            r.query(FLIGHTS, 40)
                .query("SELECT now()", 1)
                .query("SELECT role FROM users WHERE id = $1", 1)
                .times(40, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "a write for each row beside the lookup",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r
                    .query(PLANE, 1)
                    .query("UPDATE flights SET model = $1 WHERE id = $2", 0)
            });
        },
        &[PLANE],
    ),
    (
        "within a transaction",
        |r| {
            r.query("BEGIN", 0)
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(PLANE, 1))
                .query("COMMIT", 0);
        },
        &[PLANE],
    ),
    (
        "a list of one key at a time",
        |r| _ = r.for_each(30, "SELECT model FROM planes WHERE tailnum IN ($1)", 1),
        &["SELECT model FROM planes WHERE tailnum IN ($1)"],
    ),
    (
        "the newest few of each row",
        |r| {
            _ = r.for_each(
                25,
                "SELECT t FROM events WHERE flight_id = $1 ORDER BY t DESC LIMIT 3",
                3,
            )
        },
        &["SELECT t FROM events WHERE flight_id = $1 ORDER BY t DESC LIMIT 3"],
    ),
    (
        "a join looked up row by row",
        |r| {
            let seat =
                "SELECT s.* FROM seats s JOIN planes p ON p.id = s.plane_id WHERE p.tailnum = $1";
            r.query(FLIGHTS, 25)
                .times(25, |r, _| _ = r.query(seat, 100));
        },
        &["SELECT s.* FROM seats s JOIN planes p ON p.id = s.plane_id WHERE p.tailnum = $1"],
    ),
    (
        "a key of two columns",
        |r| {
            _ = r.for_each(
                25,
                "SELECT w FROM weather WHERE origin = $1 AND hour = $2",
                1,
            )
        },
        &["SELECT w FROM weather WHERE origin = $1 AND hour = $2"],
    ),
    (
        "values written into the text",
        |r| {
            r.query(FLIGHTS, 25).times(25, |r, index| {
                _ = r.query(
                    &format!("SELECT model FROM planes WHERE tailnum = 'N{index}'"),
                    1,
                )
            });
        },
        &[PLANE],
    ),
    (
        "just as often as reported",
        |r| _ = r.for_each(5, PLANE, 1),
        &[PLANE],
    ),
    (
        "pages of a list, each with lookups",
        |r| {
            let page = "SELECT id, tailnum FROM flights WHERE id > $1 ORDER BY id LIMIT $2";
            r.times(3, |r, _| {
                _ = r.query(page, 20).times(20, |r, _| _ = r.query(PLANE, 1))
            });
        },
        &[PLANE],
    ),
    (
        "the caller computes for some milliseconds on each row",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.wait(4_000).query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "one slow pause in an otherwise tight loop",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, index| {
                _ = r.wait(if index == 9 { 80_000 } else { 0 }).query(PLANE, 1)
            });
        },
        &[PLANE],
    ),
    (
        "slow lookups",
        |r| {
            r.slow(FLIGHTS, 12, 30_000)
                .times(12, |r, _| _ = r.slow(PLANE, 1, 20_000));
        },
        &[PLANE],
    ),
    (
        "keys from elsewhere, many and slow",
        |r| {
            r.times(40, |r, _| _ = r.slow(PLANE, 1, 2_000));
        },
        &[PLANE],
    ),
    (
        "the list comes from a function",
        |r| {
            r.query("SELECT id FROM flights_near($1, $2)", 15)
                .times(15, |r, _| _ = r.query(SEATS, 10));
        },
        &[SEATS],
    ),
    (
        "the list comes from WITH",
        |r| {
            r.query(
                "WITH late AS (SELECT * FROM flights WHERE delay > $1) SELECT * FROM late",
                15,
            )
            .times(15, |r, _| _ = r.query(SEATS, 10));
        },
        &[SEATS],
    ),
    (
        "two streams of lookups that never overlap themselves",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.overlapped(PLANE, 1, 100, 10).query(AIRLINE, 1)
            });
        },
        &[PLANE, AIRLINE],
    ),
    (
        "a lookup by key within a range of time",
        |r| {
            _ = r.for_each(
                30,
                "SELECT sum(x) FROM fuel WHERE plane = $1 AND day > $2",
                1,
            )
        },
        &["SELECT sum(x) FROM fuel WHERE plane = $1 AND day > $2"],
    ),
    (
        "the two ends of each row",
        |r| {
            let airport = "SELECT name FROM airports WHERE code = $1";
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(airport, 1).query(airport, 1));
        },
        &["SELECT name FROM airports WHERE code = $1"],
    ),
    (
        "the list is read again for each of three loops",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(PLANE, 1))
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(AIRLINE, 1))
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(SEATS, 180));
        },
        &[PLANE, AIRLINE, SEATS],
    ),
    (
        "the list was longer where it was read before",
        |r| {
            r.query(FLIGHTS, 500)
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "two lists, each with the same lookup for each row",
        |r| {
            r.query(FLIGHTS, 20)
                .times(20, |r, _| _ = r.query(PLANE, 1))
                .query("SELECT tailnum FROM late WHERE day = $1", 30)
                .times(30, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "the list comes from a write",
        |r| {
            let taken = "UPDATE jobs SET state = $1 WHERE due < $2 RETURNING flight_id";
            r.query(taken, 15).times(15, |r, _| _ = r.query(SEATS, 10));
        },
        &[SEATS],
    ),
    (
        "the list comes from a cursor",
        |r| {
            r.query("FETCH 50 FROM late", 50)
                .times(50, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "what was looked up once is remembered, and the rest is slow",
        |r| {
            r.query(FLIGHTS, 100)
                .times(30, |r, _| _ = r.slow(PLANE, 1, 3_000));
        },
        &[PLANE],
    ),
    (
        "a few rows of a long list, slowly",
        |r| {
            r.query(FLIGHTS, 500)
                .times(9, |r, _| _ = r.slow(PLANE, 1, 20_000));
        },
        &[PLANE],
    ),
    (
        "a fixed list beside the key",
        |r| {
            _ = r.for_each(
                25,
                "SELECT number FROM seats WHERE flight_id = $1 AND class IN ('J', 'F')",
                8,
            )
        },
        &["SELECT number FROM seats WHERE flight_id = $1 AND class IN ('J', 'F')"],
    ),
    (
        "what is left out beside the key",
        |r| {
            _ = r.for_each(
                25,
                "SELECT number FROM seats WHERE flight_id = $1 AND id NOT IN ($2, $3)",
                8,
            )
        },
        &["SELECT number FROM seats WHERE flight_id = $1 AND id NOT IN ($2, $3)"],
    ),
    (
        "the latest before each row",
        |r| {
            _ = r.for_each(
                25,
                "SELECT w FROM weather WHERE origin = $1 AND hour <= $2 ORDER BY hour DESC LIMIT 1",
                1,
            )
        },
        &["SELECT w FROM weather WHERE origin = $1 AND hour <= $2 ORDER BY hour DESC LIMIT 1"],
    ),
    (
        "the key within a function",
        |r| _ = r.for_each(25, "SELECT model FROM planes WHERE tailnum = upper($1)", 1),
        &["SELECT model FROM planes WHERE tailnum = upper($1)"],
    ),
    (
        "a row as the key",
        |r| {
            _ = r.for_each(
                25,
                "SELECT w FROM weather WHERE (origin, hour) = ($1, $2)",
                1,
            )
        },
        &["SELECT w FROM weather WHERE (origin, hour) = ($1, $2)"],
    ),
    (
        "each row locked by itself",
        |r| {
            r.query("BEGIN", 0).query(FLIGHTS, 25).times(25, |r, _| {
                _ = r
                    .query("SELECT delay FROM flights WHERE id = $1 FOR UPDATE", 1)
                    .query("UPDATE flights SET delay = $1 WHERE id = $2", 0)
            });
        },
        &["SELECT delay FROM flights WHERE id = $1 FOR UPDATE"],
    ),
    (
        "each lookup begins a little before the end of the last is noted",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.overlapped(PLANE, 1, 100, 70));
        },
        &[PLANE],
    ),
    (
        "slow lookups, and slow work on what they found",
        |r| {
            r.query(FLIGHTS, 12)
                .times(12, |r, _| _ = r.slow(PLANE, 1, 20_000).wait(40_000));
        },
        &[PLANE],
    ),
];
