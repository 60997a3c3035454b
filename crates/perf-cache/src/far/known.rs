//! Generations as they were read, by the tag's name.

/// A list that is searched by a few comparisons, without a hash of any name. The tags of a value mostly come
/// in the order in which they were asked for, so each is looked for at its own place first.
#[derive(Debug, Default)]
pub(super) struct Known<'a>(Vec<Number<'a>>);

type Number<'a> = (&'a str, Option<u64>);

/// More than this are kept sorted.
const FEW: usize = 8;

impl<'a> Known<'a> {
    /// Notes what was read of `tags`, in their order.
    pub(super) fn learn(
        &mut self,
        tags: impl Iterator<Item = &'a str>,
        generations: Vec<Option<u64>>,
    ) {
        self.0.extend(tags.zip(generations));
        if self.0.len() > FEW {
            self.0.sort_unstable_by_key(|(tag, _)| *tag);
        }
    }

    /// Those of the tags that nothing is known of.
    pub(super) fn lacks<'t>(&self, tags: &[(&'t str, u64)]) -> impl Iterator<Item = &'t str> {
        let places = tags.iter().enumerate();
        places.filter_map(|(place, (tag, _))| self.number(tag, place).is_none().then_some(*tag))
    }

    /// Whether no tag has been invalidated since its number was read.
    pub(super) fn confirms(&self, tags: &[(&str, u64)]) -> bool {
        let mut places = tags.iter().enumerate();
        places.all(|(place, (tag, number))| self.number(tag, place) == Some(Some(*number)))
    }

    /// What was read of `tag`, if it was, which is perhaps at `place`.
    fn number(&self, tag: &str, place: usize) -> Option<Option<u64>> {
        let is_it = |(own, _): &&Number<'_>| *own == tag;
        let there = self.0.get(place).filter(is_it);
        let found = there.or_else(|| match self.0.len() {
            0..=FEW => self.0.iter().find(is_it),
            _ => {
                let place = self.0.binary_search_by_key(&tag, |(own, _)| own);
                self.0.get(place.ok()?)
            }
        });
        found.map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_where_its_number_is_the_one_that_was_read() {
        let many: Vec<String> = (0..20).rev().map(|number| format!("t{number}")).collect();
        for others in [0, many.len()] {
            let mut known = Known::default();
            known.learn(["", "b", "a"].into_iter(), vec![Some(1), Some(2), None]);
            let others = many[..others].iter().map(|tag| &**tag);
            known.learn(others.clone(), others.map(|_| Some(9)).collect());
            known.learn(["c"].into_iter(), vec![Some(3)]);
            let asked = [("a", 0), ("d", 0), ("c", 3), ("", 1), ("e", 0)];
            assert_eq!(known.lacks(&asked).collect::<Vec<_>>(), ["d", "e"]);
            for right in [
                &[][..],
                &[("", 1), ("b", 2), ("c", 3)],
                &[("c", 3), ("", 1)],
            ] {
                assert!(known.confirms(right), "{right:?}");
            }
            for moved in [("b", 1), ("a", 0), ("d", 0)] {
                assert!(!known.confirms(&[("", 1), moved]), "{moved:?}");
            }
        }
    }
}
