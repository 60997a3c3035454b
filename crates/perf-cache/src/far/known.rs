//! Generations as they were read, by the tag's name.

/// A sorted list: to compare the few names of a hit costs less than to hash them, and a batch of many still
/// finds each in a few steps.
#[derive(Debug, Default)]
pub(super) struct Known<'a>(Vec<(&'a str, Option<u64>)>);

impl<'a> Known<'a> {
    /// Notes what was read of `tags`, in their order.
    pub(super) fn learn(
        &mut self,
        tags: impl Iterator<Item = &'a str>,
        generations: Vec<Option<u64>>,
    ) {
        self.0.extend(tags.zip(generations));
        self.0.sort_unstable_by_key(|(tag, _)| *tag);
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.place(tag).is_ok()
    }

    /// Whether no tag has been invalidated since its number was read.
    pub(super) fn confirms(&self, tags: &[(&str, u64)]) -> bool {
        let stands = |(tag, number): &(&str, u64)| {
            let place = self.place(tag);
            place.is_ok_and(|place| self.0[place].1 == Some(*number))
        };
        tags.iter().all(stands)
    }

    fn place(&self, tag: &str) -> Result<usize, usize> {
        self.0.binary_search_by_key(&tag, |(tag, _)| tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_where_its_number_is_the_one_that_was_read() {
        let mut known = Known::default();
        known.learn(["", "b", "a"].into_iter(), vec![Some(1), Some(2), None]);
        known.learn(["c"].into_iter(), vec![Some(3)]);
        assert!(known.has("a") && known.has("c") && !known.has("d"));
        assert!(known.confirms(&[("", 1), ("b", 2), ("c", 3)]) && known.confirms(&[]));
        for moved in [("b", 1), ("a", 0), ("d", 0)] {
            assert!(!known.confirms(&[("", 1), moved]), "{moved:?}");
        }
    }
}
