//! Splitting an input into chunks.

/// Draws chunks of at most `rows` rows from an iterator.
///
/// The input is pulled one chunk at a time, so an endless or lazy one costs no more memory than a chunk.
#[derive(Debug)]
pub(crate) struct Chunks<I> {
    input: I,
    rows: usize,
}

impl<I: Iterator> Chunks<I> {
    pub(crate) const fn new(input: I, rows: usize) -> Self {
        Self { input, rows }
    }

    /// The next chunk; empty at the end.
    pub(crate) fn next_chunk(&mut self) -> Vec<I::Item> {
        self.input.by_ref().take(self.rows).collect()
    }

    /// How many items are left, when the input is sure.
    pub(crate) fn exact_len(&self) -> Option<u64> {
        match self.input.size_hint() {
            (low, Some(high)) if low == high => u64::try_from(low).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_are_full_but_the_last_and_add_up(items in 0_usize..200, rows in 1_usize..50) {
            let mut chunks = Chunks::new(0..items, rows);
            prop_assert_eq!(chunks.exact_len(), Some(items as u64));
            let mut all = Vec::new();
            loop {
                let chunk = chunks.next_chunk();
                prop_assert_eq!(chunk.len(), rows.min(items - all.len()));
                if chunk.is_empty() {
                    break;
                }
                all.extend(chunk);
            }
            prop_assert_eq!(all, (0..items).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_filtered_input_has_no_exact_length() {
        assert_eq!(
            Chunks::new((0..9).filter(|n| n % 2 == 0), 4).exact_len(),
            None
        );
    }
}
