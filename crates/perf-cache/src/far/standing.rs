//! Whether what a process holds near still stands in the far tier, without moving the values.

use super::known::Known;
use super::protocol::Far;
use crate::CacheError;
use crate::envelope;
use crate::versions::Version;

/// How many processes may know of each other before they have spoken.
const SEATS: usize = 128;

impl<K, V> Far<K, V> {
    /// Which writing stands under each key, if one does whose tags are valid: two round trips for all.
    pub(crate) async fn standing(
        &self,
        keys: &[String],
    ) -> Result<Vec<Option<Version>>, CacheError> {
        let heads = self.tier.store.heads(keys, envelope::HEAD_BYTES);
        let heads = self.ask("read", heads).await?;
        let heads = heads.iter().map(|head| envelope::head(head.as_deref()?));
        let heads: Vec<_> = heads.collect();
        let mut known = Known::default();
        let tags = heads.iter().flatten().flat_map(|(_, tags)| tags);
        let tags = tags.map(|(tag, _)| *tag).collect();
        self.know(&mut known, tags).await?;
        let standing = heads.iter().map(|head| {
            let (seal, tags) = head.as_ref()?;
            known.confirms(tags).then(|| Version::of_seal(*seal))?
        });
        Ok(standing.collect())
    }

    /// Who sits where, by publisher.
    pub(crate) async fn seats(&self) -> Result<Vec<Option<u64>>, CacheError> {
        let seats: Vec<String> = (0..SEATS).map(|seat| self.seat(seat)).collect();
        let read = self.ask("read", self.tier.store.read(&[], &seats)).await?;
        Ok(read.generations)
    }

    /// Sits down, whoever sits there.
    pub(crate) async fn take_seat(&self, seat: usize, publisher: u64) -> Result<(), CacheError> {
        let seat = [(self.seat(seat), publisher)];
        self.ask("renew", self.tier.store.renew(&seat)).await
    }

    /// Whether the store answers.
    pub(crate) async fn answers(&self) -> bool {
        let tags = [self.clear_tag()];
        self.ask("read", self.tier.store.read(&[], &tags))
            .await
            .is_ok()
    }
}
