//! Short texts without an allocation and without the machinery of `format!`: each request has some.

/// A text of at most `N` bytes. What does not fit is cut off.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

/// The digits of the largest number.
const DIGITS: usize = 20;

impl<const N: usize> Text<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    pub(super) fn push_number(&mut self, mut number: u64) {
        let mut digits = [b'0'; DIGITS];
        let mut first = DIGITS;
        loop {
            first -= 1;
            digits[first] += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push_bytes(&digits[first..]);
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(N - self.length)];
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }
}

impl<const N: usize> AsRef<[u8]> for Text<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn written<const N: usize>(numbers: &[u64]) -> String {
        let mut text = Text::<N>::new();
        for number in numbers {
            text.push("<");
            text.push_number(*number);
        }
        String::from_utf8_lossy(text.as_ref()).into_owned()
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        let numbers = [0, 7, 10, 4_711, u64::MAX];
        assert_eq!(written::<64>(&numbers), "<0<7<10<4711<18446744073709551615");
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        assert_eq!(written::<5>(&[123, 456]), "<123<");
        assert_eq!(written::<0>(&[1]), "");
    }
}
