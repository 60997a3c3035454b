//! The suite that every [`RemoteStore`] must pass, ours and yours.

use crate::envelope;
use crate::store::{LeaseRequest, Pattern, RemoteStore, Settlement, StoreError};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Checks a store, under keys that begin with `prefix` and that nobody else uses.
///
/// # Errors
///
/// When the store cannot be asked.
///
/// # Panics
///
/// When the store breaks its contract; the message says where.
///
/// # Cancel safety
///
/// Some keys are left in the store.
pub async fn remote_store(store: &dyn RemoteStore, prefix: &str) -> Result<(), StoreError> {
    values(store, &format!("{prefix}value")).await?;
    leases(store, &format!("{prefix}lease")).await?;
    replacing(store, &format!("{prefix}replacing")).await?;
    batches(store, &format!("{prefix}batch")).await?;
    generations(store, prefix).await?;
    walks(store, &format!("{prefix}walk:")).await?;
    expiry(store, &format!("{prefix}expiry")).await
}

async fn value(store: &dyn RemoteStore, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let reading = store.read(&[key.to_owned()], &[]).await?;
    Ok(reading.values.into_iter().next().flatten())
}

/// Whether a lease is granted on `key`.
async fn lease(
    store: &dyn RemoteStore,
    key: &str,
    token: u64,
    replacing: &[u8],
) -> Result<bool, StoreError> {
    let lease = envelope::lease(token);
    let request = LeaseRequest {
        key,
        lease,
        replacing,
    };
    Ok(store.lease(&[request], LONG, &[]).await?.granted == [true])
}

/// Whether a lease was settled.
async fn settle(
    store: &dyn RemoteStore,
    key: &str,
    token: u64,
    value: Option<&[u8]>,
) -> Result<bool, StoreError> {
    let settlement = Settlement {
        key,
        lease: envelope::lease(token),
        value: value.map(|value| (value, LONG)),
    };
    Ok(store.settle(&[settlement]).await? == [true])
}

async fn values(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    assert_eq!(
        value(store, key).await?,
        None,
        "an unknown key has no value"
    );
    let bytes: Vec<u8> = (0..=255).collect();
    store.put(key, &bytes, LONG).await?;
    assert_eq!(
        value(store, key).await?,
        Some(bytes),
        "bytes come back as they are"
    );
    let heads = store
        .heads(&[key.to_owned(), format!("{key} none")], 3)
        .await?;
    assert_eq!(
        heads[0].as_deref(),
        Some(&[0, 1, 2][..]),
        "a head is a beginning"
    );
    assert!(
        heads[1].as_ref().is_none_or(Vec::is_empty),
        "nothing has no head"
    );
    store.put(key, b"", LONG).await?;
    assert_eq!(
        value(store, key).await?,
        Some(Vec::new()),
        "no bytes are a value too"
    );
    store.remove(&[key.to_owned()]).await?;
    store.remove(&[key.to_owned()]).await?;
    assert_eq!(value(store, key).await?, None, "what was removed is gone");
    Ok(())
}

async fn leases(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    assert!(lease(store, key, 1, b"").await?, "a free key can be leased");
    assert!(!lease(store, key, 2, b"").await?, "a leased key cannot");
    assert_eq!(
        value(store, key).await?,
        Some(envelope::lease(1).to_vec()),
        "readers see the lease"
    );
    let foreign = settle(store, key, 2, Some(b"foreign")).await?;
    assert!(!foreign, "another's lease cannot be settled");
    let settled = settle(store, key, 1, Some(b"value")).await?;
    assert!(settled, "one's own can");
    assert_eq!(value(store, key).await?, Some(b"value".to_vec()));
    let twice = settle(store, key, 1, Some(b"again")).await?;
    assert!(!twice, "a lease is settled once");

    store.remove(&[key.to_owned()]).await?;
    assert!(lease(store, key, 3, b"").await?);
    store.remove(&[key.to_owned()]).await?;
    let overtaken = settle(store, key, 3, Some(b"old")).await?;
    assert!(!overtaken, "removal takes the lease away");
    assert!(lease(store, key, 4, b"").await?);
    store.put(key, b"newer", LONG).await?;
    let overtaken = settle(store, key, 4, Some(b"old")).await?;
    assert!(!overtaken, "a write takes the lease away");
    store.remove(&[key.to_owned()]).await?;
    assert!(lease(store, key, 5, b"").await?);
    let released = settle(store, key, 5, None).await?;
    assert!(released, "a lease can be given back");
    assert_eq!(value(store, key).await?, None);
    Ok(())
}

async fn replacing(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    store.put(key, b"old value", LONG).await?;
    for wrong in [&b""[..], b"other", b"old value and more"] {
        let granted = lease(store, key, 1, wrong).await?;
        assert!(!granted, "what begins otherwise is not replaced");
    }
    let granted = lease(store, key, 1, b"old").await?;
    assert!(granted, "what was seen can be replaced");
    store.put(key, b"", LONG).await?;
    let granted = lease(store, key, 2, b"").await?;
    assert!(granted, "no bytes can be replaced by anyone");
    Ok(())
}

/// Several keys in one request: each has an answer of its own, in order.
async fn batches(store: &dyn RemoteStore, prefix: &str) -> Result<(), StoreError> {
    let keys: Vec<String> = (0..4).map(|key| format!("{prefix}{key}")).collect();
    store.put(&keys[1], b"taken", LONG).await?;
    let requests = keys[..3].iter().zip(1..).map(|(key, token)| LeaseRequest {
        key,
        lease: envelope::lease(token),
        replacing: b"",
    });
    let requests: Vec<_> = requests.collect();
    let leased = store.lease(&requests, LONG, &[]).await?;
    assert_eq!(leased.granted, [true, false, true], "each for itself");
    let settlement = |key: usize, token, value| Settlement {
        key: &keys[key],
        lease: envelope::lease(token),
        value,
    };
    let settlements = [
        settlement(2, 3, Some((&b"two"[..], LONG))),
        settlement(1, 2, Some((b"one", LONG))),
        settlement(0, 1, None),
    ];
    assert_eq!(store.settle(&settlements).await?, [true, false, true]);
    let values = store.read(&keys, &[]).await?.values;
    let expected = [None, Some(b"taken".to_vec()), Some(b"two".to_vec()), None];
    assert_eq!(values, expected, "values come back in order");
    assert!(store.read(&[], &[]).await?.values.is_empty());
    assert!(store.lease(&[], LONG, &[]).await?.granted.is_empty());
    assert!(store.settle(&[]).await?.is_empty());
    Ok(())
}

async fn generations(store: &dyn RemoteStore, prefix: &str) -> Result<(), StoreError> {
    let names = [format!("{prefix}tag a"), format!("{prefix}tag b")];
    let with = |numbers: [u64; 2]| names.clone().into_iter().zip(numbers).collect::<Vec<_>>();
    let read = store.read(&[], &names).await?;
    assert_eq!(
        read.generations,
        [None, None],
        "an unknown tag has no generation"
    );
    let made = store.generations(&with([1, u64::MAX])).await?;
    assert_eq!(made, [1, u64::MAX], "a missing one is made");
    let kept = store.generations(&with([5, 6])).await?;
    assert_eq!(kept, [1, u64::MAX], "one that exists is kept");
    store.renew(&with([7, 8])[..1]).await?;
    let key = format!("{prefix}tagged");
    let request = LeaseRequest {
        key: &key,
        lease: envelope::lease(1),
        replacing: b"",
    };
    let leased = store.lease(&[request], LONG, &with([9, 9])).await?;
    assert_eq!(leased.granted, [true]);
    assert_eq!(
        leased.generations,
        [7, u64::MAX],
        "a lease tells the generations"
    );
    let read = store.read(&[key], &names).await?;
    assert_eq!(
        read.generations,
        [Some(7), Some(u64::MAX)],
        "a read tells them too"
    );
    Ok(())
}

async fn walks(store: &dyn RemoteStore, prefix: &str) -> Result<(), StoreError> {
    let names = ["a:1", "a:2", "b:1", "a*", "a?"];
    let keys = names.map(|name| format!("{prefix}{name}"));
    for key in &keys {
        store.put(key, b"value", LONG).await?;
    }
    let escaped = Pattern::escape(prefix);
    for (pattern, expected) in [
        ("a:*", &keys[..2]),
        ("*:1", &[keys[0].clone(), keys[2].clone()]),
        (r"a\*", &keys[3..4]),
    ] {
        let pattern = Pattern::new(&format!("{escaped}{pattern}"));
        let mut found = walk(store, &pattern).await?;
        found.sort();
        found.dedup();
        assert_eq!(found, expected, "{pattern:?}");
    }
    store.remove(&keys).await?;
    store.remove(&[]).await?;
    let pattern = Pattern::new(&format!("{escaped}*"));
    assert!(
        walk(store, &pattern).await?.is_empty(),
        "what was removed is gone"
    );
    assert!(!store.info().await?.kind.is_empty(), "a store has a name");
    Ok(())
}

async fn walk(store: &dyn RemoteStore, pattern: &Pattern) -> Result<Vec<String>, StoreError> {
    let (mut keys, mut position) = (Vec::new(), Some(0));
    while let Some(at) = position {
        let scanned = store.scan(pattern, at).await?;
        keys.extend(scanned.keys);
        position = scanned.next;
    }
    Ok(keys)
}

async fn expiry(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    store.put(key, b"short", Duration::from_millis(1)).await?;
    // No clock of ours tells when a store's has moved on, so it is asked until then.
    while value(store, key).await?.is_some() {
        tokio::task::yield_now().await;
    }
    let granted = lease(store, key, 1, b"").await?;
    assert!(granted, "what has expired is gone");
    Ok(())
}
