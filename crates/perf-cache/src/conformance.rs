//! The suite that every [`RemoteStore`] must pass, ours and yours.

use crate::envelope;
use crate::store::{LeaseRequest, RemoteStore, StoreError};
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
    generations(store, prefix).await?;
    expiry(store, &format!("{prefix}expiry")).await
}

fn request(token: u64, replacing: &[u8]) -> LeaseRequest<'_> {
    LeaseRequest {
        lease: envelope::lease(token),
        replacing,
        hold: LONG,
        tags: &[],
    }
}

async fn value(store: &dyn RemoteStore, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.read(key, &[]).await?.value)
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
    store.put(key, b"", LONG).await?;
    assert_eq!(
        value(store, key).await?,
        Some(Vec::new()),
        "no bytes are a value too"
    );
    store.remove(key).await?;
    store.remove(key).await?;
    assert_eq!(value(store, key).await?, None, "what was removed is gone");
    Ok(())
}

async fn leases(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    let lease = envelope::lease(1);
    let first = store.lease(key, request(1, b"")).await?;
    assert!(first.is_some(), "a free key can be leased");
    let second = store.lease(key, request(2, b"")).await?;
    assert!(second.is_none(), "a leased key cannot");
    assert_eq!(
        value(store, key).await?,
        Some(lease.to_vec()),
        "readers see the lease"
    );
    let foreign = store
        .settle(key, &envelope::lease(2), Some((b"foreign", LONG)))
        .await?;
    assert!(!foreign, "another's lease cannot be settled");
    let settled = store.settle(key, &lease, Some((b"value", LONG))).await?;
    assert!(settled, "one's own can");
    assert_eq!(value(store, key).await?, Some(b"value".to_vec()));
    let twice = store.settle(key, &lease, Some((b"again", LONG))).await?;
    assert!(!twice, "a lease is settled once");

    store.remove(key).await?;
    store.lease(key, request(3, b"")).await?;
    store.remove(key).await?;
    let overtaken = store
        .settle(key, &envelope::lease(3), Some((b"old", LONG)))
        .await?;
    assert!(!overtaken, "removal takes the lease away");
    store.lease(key, request(4, b"")).await?;
    store.put(key, b"newer", LONG).await?;
    let overtaken = store
        .settle(key, &envelope::lease(4), Some((b"old", LONG)))
        .await?;
    assert!(!overtaken, "a write takes the lease away");
    store.remove(key).await?;
    store.lease(key, request(5, b"")).await?;
    let released = store.settle(key, &envelope::lease(5), None).await?;
    assert!(released, "a lease can be given back");
    assert_eq!(value(store, key).await?, None);
    Ok(())
}

async fn replacing(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    store.put(key, b"old value", LONG).await?;
    for wrong in [&b""[..], b"other", b"old value and more"] {
        let refused = store.lease(key, request(1, wrong)).await?;
        assert!(refused.is_none(), "what begins otherwise is not replaced");
    }
    let granted = store.lease(key, request(1, b"old")).await?;
    assert!(granted.is_some(), "what was seen can be replaced");
    store.put(key, b"", LONG).await?;
    let granted = store.lease(key, request(2, b"")).await?;
    assert!(granted.is_some(), "no bytes can be replaced by anyone");
    Ok(())
}

async fn generations(store: &dyn RemoteStore, prefix: &str) -> Result<(), StoreError> {
    let names = [format!("{prefix}tag a"), format!("{prefix}tag b")];
    let with = |numbers: [u64; 2]| names.clone().into_iter().zip(numbers).collect::<Vec<_>>();
    let read = store.read(&format!("{prefix}none"), &names).await?;
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
    let tags = with([9, 9]);
    let request = LeaseRequest {
        tags: &tags,
        ..request(1, b"")
    };
    let leased = store.lease(&key, request).await?;
    assert_eq!(
        leased,
        Some(vec![7, u64::MAX]),
        "a lease tells the generations"
    );
    let read = store.read(&key, &names).await?;
    assert_eq!(
        read.generations,
        [Some(7), Some(u64::MAX)],
        "a read tells them too"
    );
    Ok(())
}

async fn expiry(store: &dyn RemoteStore, key: &str) -> Result<(), StoreError> {
    store.put(key, b"short", Duration::from_millis(1)).await?;
    // No clock of ours tells when a store's has moved on, so it is asked until then.
    while value(store, key).await?.is_some() {
        tokio::task::yield_now().await;
    }
    let granted = store.lease(key, request(1, b"")).await?;
    assert!(granted.is_some(), "what has expired is gone");
    Ok(())
}
