use super::Coherence;
use perf_core::{Codec, MessagePack};
use serde::{Deserialize, Serialize};

/// What has been written or invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject<K> {
    Key(K),
    Tag(Box<str>),
    /// Some keys, which are not told one by one.
    Some,
    All,
}

/// What one process tells the others.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) publisher: u64,
    /// The number of this message among the publisher's; the same if it is sent again.
    pub(super) number: u64,
    /// The publisher's last message.
    pub(super) is_farewell: bool,
    pub(super) subjects: Vec<Told>,
}

/// A [`Subject`] as it travels.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    #[serde(rename = "k")]
    Key(Vec<u8>),
    #[serde(rename = "t")]
    Tag(Box<str>),
    #[serde(rename = "s")]
    Some,
    #[serde(rename = "a")]
    All,
}

const MAGIC: [u8; 4] = *b"PFB\x01";

impl Message {
    /// The message as bytes. It holds nothing that has no form in the codec.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let written = MessagePack.encode_into(self, &mut bytes);
        debug_assert!(written.is_ok(), "numbers and bytes have a form");
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        MessagePack.decode(bytes.strip_prefix(&MAGIC)?).ok()
    }
}

impl<K> Coherence<K> {
    /// A key that has no encoded form is told as some key.
    pub(super) fn told(&self, subject: &Subject<K>) -> Told {
        match subject {
            Subject::Key(key) => (self.encode)(key).map_or(Told::Some, Told::Key),
            Subject::Tag(tag) => Told::Tag(tag.clone()),
            Subject::Some => Told::Some,
            Subject::All => Told::All,
        }
    }

    /// A key that cannot be read is some key.
    pub(super) fn heard(&self, told: Told) -> Subject<K> {
        match told {
            Told::Key(bytes) => (self.decode)(&bytes).map_or(Subject::Some, Subject::Key),
            Told::Tag(tag) => Subject::Tag(tag),
            Told::Some => Subject::Some,
            Told::All => Subject::All,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backplane::MemoryBackplane;
    use proptest::prelude::*;

    #[test]
    fn what_was_told_is_heard() {
        let coherence = Coherence::<String>::new(MemoryBackplane::new());
        let subjects = [
            Subject::Key("a".to_owned()),
            Subject::Tag("t".into()),
            Subject::Some,
            Subject::All,
        ];
        let message = Message {
            publisher: u64::MAX,
            number: 7,
            is_farewell: false,
            subjects: subjects
                .iter()
                .map(|subject| coherence.told(subject))
                .collect(),
        };
        let decoded = Message::decode(&message.encode()).expect("a message");
        assert_eq!(decoded, message);
        let heard = decoded
            .subjects
            .into_iter()
            .map(|told| coherence.heard(told));
        assert!(heard.eq(subjects));
    }

    #[test]
    fn a_key_of_another_type_is_some_key() {
        let coherence = Coherence::<u64>::new(MemoryBackplane::new());
        assert_eq!(coherence.heard(Told::Key(vec![0xC1])), Subject::Some);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Message::decode(&bytes));
            bytes.splice(0..0, MAGIC);
            drop(Message::decode(&bytes));
        }
    }
}
