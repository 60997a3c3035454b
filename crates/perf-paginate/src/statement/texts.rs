use super::key::Key;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The texts of the shapes that one source has written.
///
/// Clients choose the shape, so the number of texts is bounded; past it, all are written anew. A text
/// costs less than a microsecond to write, so it does not matter which are kept.
#[derive(Default)]
pub(crate) struct Texts(RwLock<HashMap<Key, Arc<str>>>);

/// Twice what a connection of sqlx keeps prepared.
const MOST: usize = 256;

impl Texts {
    pub(super) fn find(&self, key: &Key) -> Option<Arc<str>> {
        let texts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        texts.get(key).map(Arc::clone)
    }

    pub(super) fn keep(&self, key: Key, text: String) -> Arc<str> {
        let text: Arc<str> = text.into();
        let mut texts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= MOST {
            texts.clear();
        }
        texts.insert(key, Arc::clone(&text));
        text
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_shapes_there_are_a_few_texts_are_kept() {
        let texts = Texts::default();
        for shape in 0..=u8::MAX {
            texts.keep(Key::new(shape), shape.to_string());
        }
        assert_eq!(texts.find(&Key::new(7)).as_deref(), Some("7"));
        let mut another = Key::new(0);
        another.number(300);
        texts.keep(another, "300".into());
        assert_eq!(texts.find(&Key::new(7)), None);
        assert_eq!(texts.0.read().unwrap().len(), 1);
    }
}
