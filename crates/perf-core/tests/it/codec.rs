use perf_core::{Codec, CodecError, Compressed, Json, MessagePack};
use perf_testkit::allocations::{CountingAllocator, peak_bytes};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    id: u64,
    title: Option<String>,
    tags: Vec<String>,
    counts: BTreeMap<String, i32>,
}

fn document() -> impl Strategy<Value = Document> {
    let text = "[a-zé\"\\\\]{0,12}";
    (
        any::<u64>(),
        proptest::option::of(text),
        vec(text, 0..8),
        btree_map(text, any::<i32>(), 0..8),
    )
        .prop_map(|(id, title, tags, counts)| Document {
            id,
            title,
            tags,
            counts,
        })
}

fn round_trips<C: Codec>(codec: &C, document: &Document) {
    let bytes = codec.encode(document).unwrap();
    assert_eq!(&codec.decode::<Document>(&bytes).unwrap(), document);
}

proptest! {
    #[test]
    fn every_codec_round_trips(document in document()) {
        round_trips(&MessagePack, &document);
        round_trips(&Json, &document);
        round_trips(&Compressed::new(MessagePack).with_threshold(0), &document);
        round_trips(&Compressed::new(Json), &document);
    }

    #[test]
    fn hostile_bytes_are_an_error_and_allocate_within_bounds(mut bytes in vec(any::<u8>(), 0..64), head in 0_u8..4) {
        // Half of the cases claim to be compressed or plain instead of failing at the first byte.
        if let Some(first) = bytes.first_mut().filter(|_| head < 2) {
            *first = head;
        }
        let codec = Compressed::new(MessagePack).with_limit(1 << 16);
        let peak = peak_bytes(|| {
            let _outcome = codec.decode::<Document>(&bytes);
            let _outcome = MessagePack.decode::<Vec<Vec<u64>>>(&bytes);
            let _outcome = Json.decode::<Document>(&bytes);
        });
        // serde reserves at most 1 MiB on the word of a length it has not seen the data for.
        prop_assert!(peak <= 3 << 20, "{peak} bytes");
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let bomb = Compressed::new(MessagePack)
        .with_limit(1 << 30)
        .encode(&"0".repeat(64 << 20))
        .unwrap();
    let codec = Compressed::new(MessagePack).with_limit(1 << 20);
    let mut outcome = None;
    let peak = peak_bytes(|| outcome = Some(codec.decode::<String>(&bomb)));
    assert!(matches!(
        outcome,
        Some(Err(CodecError::TooLarge { limit: 1_048_576 }))
    ));
    assert!(peak <= 4 << 20, "{peak} bytes");
}

#[test]
fn a_claimed_length_of_four_gigabytes_is_not_believed() {
    for head in [
        [0xdb, 0xff, 0xff, 0xff, 0xff],
        [0xdd, 0xff, 0xff, 0xff, 0xff],
    ] {
        let peak = peak_bytes(|| {
            assert!(MessagePack.decode::<String>(&head).is_err());
            assert!(MessagePack.decode::<Vec<u64>>(&head).is_err());
        });
        assert!(peak <= 2 << 20, "{peak} bytes");
    }
}

#[test]
fn bytes_after_the_value_are_refused() {
    let mut bytes = MessagePack.encode(&7_u8).unwrap();
    bytes.push(0);
    assert!(matches!(
        MessagePack.decode::<u8>(&bytes),
        Err(CodecError::TrailingBytes(1))
    ));
    assert!(Json.decode::<u8>(b"7 8").is_err());
}

#[test]
fn fields_may_be_reordered_between_writer_and_reader() {
    #[derive(Serialize)]
    struct Writer {
        origin: &'static str,
        dest: &'static str,
    }
    #[derive(Deserialize)]
    struct Reader {
        dest: String,
        origin: String,
    }
    let bytes = MessagePack
        .encode(&Writer {
            origin: "JFK",
            dest: "SFO",
        })
        .unwrap();
    let Reader { dest, origin } = MessagePack.decode(&bytes).unwrap();
    assert_eq!((origin.as_str(), dest.as_str()), ("JFK", "SFO"));
}

#[test]
fn small_or_dense_values_stay_plain_and_large_ones_shrink() {
    let codec = Compressed::new(MessagePack);
    assert_eq!(codec.encode(&"short").unwrap()[0], 0);
    let noise: Vec<u64> = {
        let mut rng = fastrand::Rng::with_seed(5);
        (0..1_000).map(|_| rng.u64(..)).collect()
    };
    assert_eq!(codec.encode(&noise).unwrap()[0], 0);
    let text = "la ".repeat(1_000);
    assert!(codec.encode(&text).unwrap().len() < text.len() / 10);
}

#[test]
fn empty_truncated_and_unknown_forms_are_errors() {
    let codec = Compressed::new(MessagePack);
    let packed = codec.encode(&"x".repeat(5_000)).unwrap();
    for bytes in [&[][..], &[0], &[1], &[9, 1, 2], &packed[..packed.len() / 2]] {
        assert!(codec.decode::<String>(bytes).is_err());
    }
}
