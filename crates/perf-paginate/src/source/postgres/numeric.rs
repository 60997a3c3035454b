//! `numeric` as PostgreSQL sends it: digits to the base of 10,000, the place of the first, a sign and a scale.

use crate::value::Decimal;

const NEGATIVE: u16 = 0x4000;

/// The wire form; `None` beyond what the type holds.
pub(super) fn encode(number: &Decimal) -> Option<Vec<u8>> {
    let (whole, fraction) = number.parts();
    let scale = i16::try_from(fraction.len()).ok()?;
    let padded = whole.len().div_ceil(4) * 4;
    let mut digits = format!("{whole:0>padded$}{fraction}");
    let groups = digits.len().div_ceil(4);
    digits.extend(std::iter::repeat_n('0', groups * 4 - digits.len()));
    let weight = i16::try_from(padded / 4).ok()? - 1;
    let mut bytes = Vec::with_capacity(8 + groups * 2);
    bytes.extend(i16::try_from(groups).ok()?.to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(if number.is_negative() { NEGATIVE } else { 0 }.to_be_bytes());
    bytes.extend(scale.to_be_bytes());
    for group in digits.as_bytes().chunks(4) {
        bytes.extend(
            str::from_utf8(group)
                .ok()?
                .parse::<i16>()
                .ok()?
                .to_be_bytes(),
        );
    }
    Some(bytes)
}

/// The number of a wire form; `None` for what is none, as `NaN`.
pub(super) fn decode(bytes: &[u8]) -> Option<Decimal> {
    let mut words = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let groups = usize::from(words.next()?);
    let weight = i64::from(words.next()?.cast_signed());
    let sign = words.next()?;
    let _scale = words.next()?;
    if sign != 0 && sign != NEGATIVE {
        return None;
    }
    let mut whole = String::new();
    let mut fraction = String::new();
    if weight < -1 {
        fraction = "0000".repeat(usize::try_from(-1 - weight).ok()?);
    }
    let mut place = weight;
    for group in words.take(groups) {
        let part = if place >= 0 {
            &mut whole
        } else {
            &mut fraction
        };
        part.push_str(&format!("{group:04}"));
        place -= 1;
    }
    if place >= 0 {
        whole.push_str(&"0000".repeat(usize::try_from(place + 1).ok()?));
    }
    Some(Decimal::from_parts(sign == NEGATIVE, &whole, &fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_survives_the_wire(text in "-?[0-9]{1,30}(\\.[0-9]{1,30})?") {
            let number = Decimal::parse(&text).unwrap();
            prop_assert_eq!(decode(&encode(&number).unwrap()), Some(number));
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _does_not_panic = decode(&bytes);
        }
    }

    #[test]
    fn groups_that_are_left_out_are_zeros() {
        // 1.5e9 and 1.5e-9, as the server shortens them.
        let large = [0, 2, 0, 2, 0, 0, 0, 0, 0, 15, 0, 0];
        assert_eq!(decode(&large).unwrap().to_string(), "1500000000");
        let small = [0, 1, 0xff, 0xfd, 0, 0, 0, 10, 0, 15];
        assert_eq!(decode(&small).unwrap().to_string(), "0.000000000015");
        assert_eq!(decode(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None);
    }
}
