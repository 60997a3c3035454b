//! Exports: what arrives, what a truncated one looks like, and how much memory they need.

use flate2::read::GzDecoder;
use futures_util::stream::{self, iter};
use futures_util::{Stream, StreamExt, TryStreamExt};
use perf_bulk::{Export, ExportError};
use perf_testkit::allocations::peak_bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plane {
    tailnum: String,
    seats: Option<i64>,
    weight: f64,
}

fn plane(number: i64) -> Plane {
    Plane {
        tailnum: format!("N{number},\"{}\"\né", number % 7),
        seats: (number % 3 != 0).then_some(number),
        weight: number as f64 / 8.0,
    }
}

fn planes(count: i64) -> impl Stream<Item = Result<Plane, io::Error>> + Unpin {
    iter((0..count).map(plane).map(Ok))
}

/// As [`planes`], with an error after them.
fn broken(count: i64) -> impl Stream<Item = Result<Plane, io::Error>> + Unpin {
    planes(count).chain(stream::once(std::future::ready(Err(io::Error::other(
        "lost",
    )))))
}

fn read_ndjson(bytes: &[u8]) -> Vec<Plane> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn read_csv(bytes: &[u8]) -> Vec<Plane> {
    csv::Reader::from_reader(bytes)
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

async fn whole<T>(chunks: impl Stream<Item = Result<Vec<u8>, T>>) -> Result<Vec<u8>, T> {
    chunks.try_concat().await
}

#[tokio::test]
async fn every_row_arrives_in_every_format() {
    for count in [0, 1, 3_000] {
        let expected: Vec<_> = (0..count).map(plane).collect();
        let ndjson = whole(Export::ndjson().stream(planes(count))).await.unwrap();
        assert_eq!(read_ndjson(&ndjson), expected);
        let csv = whole(Export::csv().stream(planes(count))).await.unwrap();
        assert_eq!(read_csv(&csv), expected);
        let packed = whole(Export::csv().gzip().stream(planes(count)))
            .await
            .unwrap();
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, csv);
    }
}

#[tokio::test]
async fn chunks_have_their_size() {
    let export = Export::ndjson().chunk_bytes(1_000);
    let chunks: Vec<_> = export.stream(planes(500)).try_collect().await.unwrap();
    let (last, full) = chunks.split_last().unwrap();
    assert!(full.len() > 5);
    for chunk in full {
        assert!((1_000..1_200).contains(&chunk.len()), "{}", chunk.len());
    }
    assert!(!last.is_empty());
}

#[tokio::test]
async fn an_export_without_rows_has_its_header_and_its_end() {
    let header = Export::csv_with_header(["tailnum", "seats"]).with_end_record();
    let csv = whole(header.stream(planes(0))).await.unwrap();
    assert_eq!(csv, b"tailnum,seats\n#end,0\n");
    let ndjson = whole(Export::ndjson().with_end_record().stream(planes(0)))
        .await
        .unwrap();
    assert_eq!(ndjson, b"{\"end\":{\"rows\":0}}\n");
    assert!(
        whole(Export::ndjson().stream(planes(0)))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn rows_that_end_with_an_error_leave_no_end() {
    let mut file = Vec::new();
    let export = Export::ndjson().with_end_record().gzip().chunk_bytes(100);
    let error = export
        .write_to(&mut file, broken(10_000))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ExportError::Rows { rows: 10_000, .. }),
        "{error:?}"
    );
    let mut unpacked = Vec::new();
    let torn = GzDecoder::new(&file[..]).read_to_end(&mut unpacked);
    assert_eq!(torn.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(!unpacked.is_empty() && !String::from_utf8_lossy(&unpacked).contains("\"end\""));

    let mut chunks = Export::ndjson().stream(broken(3));
    let error = chunks.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ExportError::Rows { rows: 3, .. }));
    assert!(chunks.next().await.is_none(), "it has ended");
}

#[tokio::test]
async fn a_row_without_a_form_is_named() {
    let rows = (0..5).map(|number| {
        let key = if number == 3 { vec![1] } else { Vec::new() };
        Ok::<_, io::Error>(
            key.into_iter()
                .map(|number| ([number], 1))
                .collect::<HashMap<[u8; 1], u8>>(),
        )
    });
    let error = whole(Export::ndjson().stream(iter(rows)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ExportError::Encode { row: 3, .. }),
        "{error:?}"
    );
}

/// Takes a few bytes, then breaks.
struct Broken(usize);

impl AsyncWrite for Broken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_writer_that_fails_ends_the_export() {
    let export = Export::ndjson().chunk_bytes(64);
    let error = export
        .write_to(&mut Broken(100), planes(5_000))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ExportError::Write(_)) && error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_report_counts_rows_and_bytes() {
    let mut file = Vec::new();
    let report = Export::csv()
        .write_to(&mut file, planes(100))
        .await
        .unwrap();
    assert_eq!((report.rows, report.bytes), (100, file.len() as u64));
}

/// Counts and forgets.
#[derive(Default)]
struct Sink(u64);

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0 += bytes.len() as u64;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The most memory that this process ever had, in KiB.
fn peak_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `PERF_SOAK_CASES` says how many rows, up to the full 1,000,000.
#[test]
fn soak_memory_does_not_grow_with_the_rows() {
    let cases = std::env::var("PERF_SOAK_CASES").ok();
    let count: i64 = cases.map_or(20_000, |cases| cases.parse().expect("a number"));
    let count = count.min(1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for is_packed in [false, true] {
        let before = peak_resident();
        let mut written = 0;
        let peak = peak_bytes(|| {
            let mut sink = Sink::default();
            let export = Export::ndjson();
            let export = if is_packed { export.gzip() } else { export };
            let rows = planes(count);
            let report = runtime.block_on(export.write_to(&mut sink, rows)).unwrap();
            assert_eq!(report.rows, count.unsigned_abs());
            written = sink.0;
        });
        let grown = peak_resident() - before;
        println!(
            "{count} rows, packed: {is_packed}: {written} bytes written, {peak} bytes \
             allocated at once, {grown} KiB more resident"
        );
        assert!(peak < 2 << 20, "{peak} bytes at once");
        assert!(grown < 16 << 10, "{grown} KiB more resident");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_survives_any_chunking(
        texts in proptest::collection::vec((".*", proptest::option::of(any::<i64>())), 1..30),
        chunk_bytes in 1_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows: Vec<_> = texts
            .into_iter()
            .map(|(tailnum, seats)| Plane { tailnum, seats, weight: 0.5 })
            .collect();
        let stream = || iter(rows.clone().into_iter().map(Ok::<_, io::Error>));
        let ndjson = Export::ndjson().chunk_bytes(chunk_bytes).stream(stream());
        prop_assert_eq!(&read_ndjson(&runtime.block_on(whole(ndjson)).unwrap()), &rows);
        let csv = Export::csv().chunk_bytes(chunk_bytes).stream(stream());
        prop_assert_eq!(&read_csv(&runtime.block_on(whole(csv)).unwrap()), &rows);
    }
}
