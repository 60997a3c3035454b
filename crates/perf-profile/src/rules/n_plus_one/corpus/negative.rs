use super::{AIRLINE, Case, FLIGHTS, PLANE, SEATS};

/// What repeats for a reason.
pub(super) const NEGATIVE: [Case; 46] = [
    ("one list", |r| _ = r.query(FLIGHTS, 100), &[]),
    (
        "a list and one lookup of all its keys",
        |r| {
            r.query(FLIGHTS, 100)
                .query("SELECT model FROM planes WHERE tailnum IN ($1, $2, $3)", 90);
        },
        &[],
    ),
    (
        "a join",
        |r| {
            _ = r.query(
                "SELECT * FROM flights JOIN planes USING (tailnum) WHERE origin = $1",
                100,
            )
        },
        &[],
    ),
    (
        "keys in batches of a list",
        |r| {
            r.query(FLIGHTS, 5_000).times(10, |r, _| {
                _ = r.query(
                    "SELECT model FROM planes WHERE tailnum IN ($1, $2, $3)",
                    500,
                )
            });
        },
        &[],
    ),
    (
        "as many batches as rows",
        |r| {
            _ = r.for_each(
                10,
                "SELECT number FROM seats WHERE row IN ($1, $2, $3)",
                500,
            )
        },
        &[],
    ),
    (
        "keys in batches of an array",
        |r| _ = r.for_each(10, "SELECT model FROM planes WHERE tailnum = ANY($1)", 500),
        &[],
    ),
    (
        "lookups that run at once",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.overlapped(PLANE, 1, 2_000, 1));
        },
        &[],
    ),
    (
        "lookups, eight at a time",
        |r| {
            r.query(FLIGHTS, 40).times(5, |r, _| {
                _ = r
                    .times(8, |r, _| _ = r.overlapped(PLANE, 1, 2_000, 1))
                    .wait(2_000)
            });
        },
        &[],
    ),
    (
        "shards asked at once",
        |r| {
            r.query("SELECT shard FROM shards", 16).times(16, |r, _| {
                _ = r.overlapped("SELECT total FROM sales WHERE day = $1", 1, 9_000, 2)
            });
        },
        &[],
    ),
    (
        "a retry with growing pauses",
        |r| {
            r.times(7, |r, index| _ = r.query(PLANE, 0).wait(20_000 << index));
        },
        &[],
    ),
    (
        "a retry after a list of as many rows",
        |r| {
            r.query(FLIGHTS, 6)
                .times(6, |r, index| _ = r.query(PLANE, 0).wait(20_000 << index));
        },
        &[],
    ),
    (
        "an impatient retry",
        |r| _ = r.times(8, |r, _| _ = r.query(PLANE, 0)),
        &[],
    ),
    (
        "polling a job",
        |r| {
            r.times(60, |r, _| {
                _ = r
                    .query("SELECT state FROM jobs WHERE id = $1", 1)
                    .wait(100_000)
            });
        },
        &[],
    ),
    (
        "polling after a list of as many rows",
        |r| {
            r.query(FLIGHTS, 60).times(60, |r, _| {
                _ = r
                    .query("SELECT state FROM jobs WHERE id = $1", 1)
                    .wait(50_000)
            });
        },
        &[],
    ),
    (
        "pages by offset",
        |r| {
            r.query("SELECT count(*) FROM flights", 1)
                .times(20, |r, _| {
                    _ = r.query(
                        "SELECT id FROM flights WHERE origin = $1 LIMIT $2 OFFSET $3",
                        50,
                    )
                });
        },
        &[],
    ),
    (
        "pages by key",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query(
                    "SELECT id FROM flights WHERE origin = $1 AND id > $2 ORDER BY id LIMIT $3",
                    50,
                )
            });
        },
        &[],
    ),
    (
        "pages by MySQL's offset",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query("SELECT id FROM flights WHERE origin = ? LIMIT 40, 20", 20)
            });
        },
        &[],
    ),
    (
        "a queue that is drained",
        |r| {
            let take = "SELECT id FROM queue WHERE state = $1 AND due < $2 ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED";
            r.query(FLIGHTS, 30).times(30, |r, _| _ = r.query(take, 1));
        },
        &[],
    ),
    (
        "the same settings read over and over",
        |r| _ = r.for_each(30, "SELECT name, value FROM settings", 12),
        &[],
    ),
    (
        "a clock read for each row",
        |r| {
            _ = r
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query("SELECT now()", 1))
        },
        &[],
    ),
    (
        "a write for each row",
        |r| _ = r.for_each(30, "UPDATE flights SET delay = $1 WHERE id = $2", 0),
        &[],
    ),
    (
        "an insert for each row",
        |r| _ = r.for_each(30, "INSERT INTO log (flight) VALUES ($1)", 0),
        &[],
    ),
    (
        "savepoints",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("SAVEPOINT a", 0).query("RELEASE SAVEPOINT a", 0)
            });
        },
        &[],
    ),
    (
        "few lookups",
        |r| _ = r.query(FLIGHTS, 4).times(4, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "few lookups after a long list",
        |r| _ = r.query(FLIGHTS, 500).times(9, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "lookups without a list, quick",
        |r| _ = r.times(30, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "a list after the lookups",
        |r| _ = r.times(30, |r, _| _ = r.query(PLANE, 1)).query(FLIGHTS, 30),
        &[],
    ),
    (
        "the list returned one row",
        |r| _ = r.query(FLIGHTS, 1).times(9, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "a walk up a tree",
        |r| {
            r.query("SELECT id FROM nodes LIMIT $1", 3)
                .times(9, |r, _| {
                    _ = r.query("SELECT parent FROM nodes WHERE id = $1", 1)
                });
        },
        &[],
    ),
    (
        "everything, but each once",
        |r| {
            r.query(FLIGHTS, 30)
                .query(PLANE, 1)
                .query(AIRLINE, 1)
                .query(SEATS, 180)
                .query("COMMIT", 0);
        },
        &[],
    ),
    (
        "one setting read for each row",
        |r| _ = r.for_each(30, "SELECT value FROM settings WHERE name = 'theme'", 1),
        &[],
    ),
    (
        "a filter that a builder left empty",
        |r| _ = r.for_each(30, "SELECT name, value FROM settings WHERE 1 = 1", 12),
        &[],
    ),
    (
        "what has come since, of one stream",
        |r| {
            _ = r.for_each(
                30,
                "SELECT id FROM events WHERE stream = 'orders' AND id > $1",
                4,
            )
        },
        &[],
    ),
    (
        "pages by a row of keys",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query(
                    "SELECT id FROM flights WHERE origin = $1 AND (delay, id) > ($2, $3) ORDER BY id LIMIT $4",
                    50,
                )
            });
        },
        &[],
    ),
    (
        "pages from a row of keys on",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query(
                    "SELECT id FROM flights WHERE origin = $1 AND (delay, id) >= ($2, $3) ORDER BY id LIMIT $4",
                    50,
                )
            });
        },
        &[],
    ),
    (
        "pages of what is due by now",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query(
                    "SELECT id FROM jobs WHERE state = $1 AND due < now() ORDER BY due LIMIT 100",
                    100,
                )
            });
        },
        &[],
    ),
    (
        "a queue that is drained by its state",
        |r| {
            _ = r.for_each(
                30,
                "SELECT id FROM queue WHERE state = $1 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
                1,
            )
        },
        &[],
    ),
    (
        "batches of keys of two columns",
        |r| {
            _ = r.for_each(
                10,
                "SELECT w FROM weather WHERE (origin, hour) IN (($1, $2), ($3, $4))",
                2,
            )
        },
        &[],
    ),
    (
        "batches written into the text",
        |r| {
            r.query(FLIGHTS, 10).times(10, |r, index| {
                let (a, b) = (2 * index, 2 * index + 1);
                let sql = format!("SELECT model FROM planes WHERE tailnum IN ('N{a}', 'N{b}')");
                r.query(&sql, 2);
            });
        },
        &[],
    ),
    (
        "lookups, two at a time",
        |r| {
            r.query(FLIGHTS, 40);
            let start = r.now;
            (0..20).for_each(|index| {
                r.at(start + 1_000 * index, PLANE, 1, 980);
                r.at(start + 1_000 * index + 450, PLANE, 1, 990);
            });
        },
        &[],
    ),
    (
        "the user, asked for by each part of a page",
        |r| {
            r.query(FLIGHTS, 6).times(6, |r, index| {
                let part = format!("SELECT title FROM part{index} WHERE place = $1");
                r.query("SELECT role FROM users WHERE id = $1", 1)
                    .query(&part, 3);
            });
        },
        &[],
    ),
    (
        "polling a job at short intervals",
        |r| {
            r.times(60, |r, _| {
                _ = r
                    .slow("SELECT state FROM jobs WHERE id = $1", 1, 2_000)
                    .wait(5_000)
            });
        },
        &[],
    ),
    (
        "attempts that fail, after a list of as many rows",
        |r| {
            r.query(FLIGHTS, 8)
                .times(7, |r, _| _ = r.failing(PLANE))
                .query(PLANE, 1);
        },
        &[],
    ),
    (
        "a connection asked whether it lives",
        |r| _ = r.for_each(30, "SELECT 1", 1),
        &[],
    ),
    (
        "batches of one tenant's keys",
        |r| {
            let batch = "SELECT model FROM planes WHERE tenant = $1 AND tailnum IN ($2, $3)";
            r.for_each(10, batch, 2);
        },
        &[],
    ),
    (
        "batches of one tenant's keys, written into the text",
        |r| {
            r.query(FLIGHTS, 10).times(10, |r, index| {
                let (a, b) = (2 * index, 2 * index + 1);
                r.query(
                    &format!("SELECT model FROM planes WHERE tenant = 7 AND id IN ({a}, {b})"),
                    2,
                );
            });
        },
        &[],
    ),
];
