//! What a service gains over its naive variant, in requests a second and in the slowest hundredth.

use super::line::{Line, figure};
use std::fmt::Write as _;

/// Whom a service is compared with, and how its column is called.
const PEERS: [&str; 2] = ["naive", "first_page"];

/// A section with a row for each workload of which both rates and slowest hundredths were measured; nothing if there is
/// none.
pub(super) fn table(lines: &[Line]) -> String {
    let mut rows = String::new();
    for rate in lines {
        let parts: Vec<_> = rate.id.split('/').collect();
        let [crate_name, workload, engine, peer] = parts[..] else {
            continue;
        };
        let p99 = format!("{crate_name}/{workload}_p99/{engine}/{peer}");
        let p99 = lines.iter().find(|line| line.id == p99);
        let Some(p99) = p99.filter(|_| PEERS.contains(&peer)) else {
            continue;
        };
        let _ = writeln!(
            rows,
            "| {} | {engine} | {} | {} | {} | {} | {} | {} |",
            workload.replace('_', " "),
            peer.replace('_', " "),
            figure(rate.peer),
            figure(p99.peer),
            figure(rate.ours),
            figure(p99.ours),
            figure(rate.ours / rate.peer),
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n## Before and after\n\n\
         The flight service of the examples, both variants in one run and in turns; times in {}.\n\n\
         | workload | engine | compared with | its requests/s | its p99 | ours, requests/s | our p99 | times as many |\n\
         |---|---|---|---|---|---|---|---|\n{rows}",
        lines
            .iter()
            .find(|line| line.id.contains("_p99/"))
            .map_or("", |line| &line.unit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, ours: f64, peer: f64) -> Line {
        Line {
            id: id.into(),
            ours,
            peer,
            ratio: peer / ours,
            unit: "ms".into(),
        }
    }

    #[test]
    fn a_rate_and_its_slowest_hundredth_are_one_row() {
        let lines = [
            line("perfkit/the_list/sqlite/naive", 2_000.0, 100.0),
            line("perfkit/the_list_p99/sqlite/naive", 4.0, 80.0),
            line("perfkit/no_p99/sqlite/naive", 2_000.0, 100.0),
            line("perfkit/trivial/on/bare_axum", 1.0, 1.0),
            line("perfkit/trivial_p99/on/bare_axum", 1.0, 1.0),
        ];
        let table = table(&lines);
        let rows: Vec<_> = table.lines().skip(7).collect();
        let row = "| the list | sqlite | naive | 100.0 | 80.00 | 2000 | 4.000 | 20.00 |";
        assert_eq!(rows, [row]);
        assert!(table.contains("times in ms."));
    }

    #[test]
    fn a_crate_without_a_naive_variant_has_no_such_section() {
        assert_eq!(table(&[line("pool/a/b/deadpool", 1.0, 1.0)]), "");
    }
}
