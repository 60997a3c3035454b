//! One schema and forty queries that every engine is asked about.

/// Tables without any index but their keys. Statements are separated by semicolons.
pub(super) const SCHEMA: &str = "
CREATE TABLE airports (faa VARCHAR(3) NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, tz INTEGER NOT NULL);
CREATE TABLE planes (tailnum VARCHAR(8) NOT NULL PRIMARY KEY, model VARCHAR(20) NOT NULL, seats INTEGER NOT NULL);
CREATE TABLE flights (id INTEGER NOT NULL PRIMARY KEY, origin VARCHAR(3) NOT NULL, dest VARCHAR(3) NOT NULL,
    tailnum VARCHAR(8), flight INTEGER NOT NULL, dep_time INTEGER, delay INTEGER NOT NULL, carrier VARCHAR(2) NOT NULL);
CREATE TABLE bookings (id INTEGER NOT NULL PRIMARY KEY, flight_id INTEGER NOT NULL, customer INTEGER NOT NULL,
    status VARCHAR(10) NOT NULL, price INTEGER NOT NULL)";

/// Rows, made from a table `n(i)` of 0 to 9,999.
pub(super) const ROWS: [&str; 4] = [
    "INSERT INTO airports SELECT CONCAT(CHAR(65 + i / 26 / 26 % 26), CHAR(65 + i / 26 % 26), CHAR(65 + i % 26)),
        CONCAT('airport ', i), i % 24 FROM n WHERE i < 1000",
    "INSERT INTO planes SELECT CONCAT('N', i), CONCAT('model ', i % 100), 50 + i * 7 % 350 FROM n WHERE i < 5000",
    "INSERT INTO flights SELECT i, CONCAT(CHAR(65), CHAR(65 + i * 31 / 26 % 26), CHAR(65 + i * 31 % 26)),
        CONCAT(CHAR(65), CHAR(65 + i * 17 / 26 % 26), CHAR(65 + i * 17 % 26)),
        CONCAT('N', i * 13 % 5000), i * 7 % 3000, i * 37 % 86400, i * 11 % 500, CONCAT('C', i % 10) FROM n",
    "INSERT INTO bookings SELECT i, i * 3 % 10000, i * 7 % 4000, CASE WHEN i % 500 = 0 THEN 'open' ELSE 'done' END,
        i * 29 % 9000 FROM n",
];

/// Queries, their parameters written as `?`.
pub(super) const QUERIES: [&str; 40] = [
    "SELECT * FROM flights WHERE tailnum = ?",
    "SELECT * FROM flights WHERE flight = ? AND origin = ?",
    "SELECT * FROM flights WHERE dep_time BETWEEN ? AND ? AND tailnum = ?",
    "SELECT * FROM flights WHERE origin = ? ORDER BY dep_time LIMIT 10",
    "SELECT * FROM flights WHERE origin = ? ORDER BY dep_time DESC LIMIT 10",
    "SELECT * FROM flights ORDER BY delay DESC LIMIT 10",
    "SELECT * FROM flights ORDER BY dep_time, flight LIMIT 20",
    "SELECT * FROM flights ORDER BY dep_time DESC, flight DESC LIMIT 20",
    "SELECT id FROM flights WHERE flight IN (?, ?, ?)",
    "SELECT id FROM flights WHERE dest = ? AND flight > ? ORDER BY flight LIMIT 5",
    "SELECT count(*) FROM flights WHERE tailnum = ?",
    "SELECT max(dep_time) FROM flights WHERE tailnum = ?",
    "SELECT * FROM flights f WHERE f.flight = ?",
    "SELECT f.id, b.price FROM flights f JOIN bookings b ON b.flight_id = f.id WHERE f.id = ?",
    "SELECT b.* FROM bookings b WHERE b.flight_id = ? AND b.status = ?",
    "SELECT * FROM bookings WHERE customer = ?",
    "SELECT * FROM bookings WHERE customer = ? ORDER BY id DESC LIMIT 3",
    "SELECT * FROM bookings WHERE customer = ? ORDER BY price LIMIT 3",
    "SELECT * FROM bookings ORDER BY price LIMIT 5",
    "SELECT status, price FROM bookings WHERE customer = ? AND price > ?",
    "SELECT f.* FROM bookings b JOIN flights f ON f.id = b.flight_id WHERE b.customer = ?",
    "SELECT p.model FROM flights f JOIN planes p ON p.tailnum = f.tailnum WHERE f.flight = ?",
    "SELECT * FROM planes WHERE seats = ?",
    "SELECT * FROM planes WHERE model = ?",
    "SELECT * FROM planes WHERE model = ? AND seats > ?",
    "SELECT * FROM planes ORDER BY seats LIMIT 5",
    "SELECT tailnum FROM planes WHERE model = ? ORDER BY seats DESC LIMIT 2",
    "SELECT * FROM airports WHERE name = ?",
    "SELECT name FROM airports ORDER BY name LIMIT 10",
    "SELECT f.id FROM flights f LEFT JOIN bookings b ON b.flight_id = f.id WHERE f.id = ?",
    "SELECT * FROM flights WHERE id IN (SELECT flight_id FROM bookings WHERE customer = ?)",
    "SELECT * FROM flights f WHERE EXISTS (SELECT 1 FROM bookings b WHERE b.flight_id = f.id AND b.customer = ?) AND f.id = ?",
    "SELECT * FROM flights WHERE (flight = ?) AND (dep_time = ?)",
    "SELECT * FROM flights WHERE ? = tailnum",
    "SELECT carrier, dep_time FROM flights WHERE tailnum = ? AND carrier = ? ORDER BY dep_time",
    "SELECT * FROM flights WHERE dep_time = ? ORDER BY flight",
    "SELECT origin FROM flights WHERE origin = ? AND dest = ? AND flight = ?",
    "SELECT price FROM bookings WHERE price = ?",
    "SELECT * FROM bookings WHERE flight_id IN (?, ?) ORDER BY flight_id",
    "SELECT DISTINCT customer FROM bookings WHERE flight_id = ?",
];

/// Queries that an index which exists serves already, or that no index serves.
pub(super) const SERVED: [&str; 10] = [
    "SELECT * FROM flights WHERE id = ?",
    "SELECT * FROM planes WHERE tailnum = ?",
    "SELECT * FROM airports WHERE faa IN (?, ?)",
    "SELECT * FROM bookings ORDER BY id LIMIT 10",
    "SELECT * FROM bookings WHERE id > ? ORDER BY id LIMIT 10",
    "SELECT * FROM flights f JOIN planes p ON p.tailnum = f.tailnum WHERE f.id = ?",
    "SELECT 1",
    "SELECT * FROM flights WHERE id = ? AND origin = ?",
    "SELECT b.id FROM bookings b JOIN flights f ON f.id = b.flight_id WHERE b.id = ?",
    "SELECT max(id) FROM flights",
];

/// The query with parameters as Postgres writes them.
pub(super) fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (position, part) in parts.enumerate() {
        numbered.push_str(&format!("${}{part}", position + 1));
    }
    numbered
}
