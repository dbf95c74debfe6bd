//! Sizes in bytes as people write them: `24MiB`, `1.5 GB`, `4096`.

/// The units that there are, and how many bytes they stand for.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// The most digits behind the point.
const DECIMALS_MAX: usize = 12;

/// Reads a size; without a unit it is in bytes. What is left of a byte is dropped.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (text[..at].trim_end(), &text[at..]);
    let unit = match unit {
        "" => 1,
        _ => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, bytes)| *bytes)
            .ok_or_else(|| {
                let names = UNITS.map(|(name, _)| name).join(", ");
                format!("`{unit}` is no unit of sizes; there are {names}")
            })?,
    };
    let unreadable = || "write a number and perhaps a unit, e.g. 24MiB or 1.5GiB".to_owned();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS_MAX {
        return Err(unreadable());
    }
    let too_large = || "that is more than 16 EiB".to_owned();
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let decimals_of = 10_u128.pow(decimals.len() as u32);
    let decimals: u128 = decimals.parse().map_err(|_| unreadable())?;
    // Below 2^64 units of 2^40 bytes, and a part of one.
    let bytes = u128::from(whole) * u128::from(unit) + decimals * u128::from(unit) / decimals_of;
    u64::try_from(bytes).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_in_every_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("12 B", 12),
            ("24MiB", 24 << 20),
            ("24.0 MiB", 24 << 20),
            ("1.5GiB", 3 << 29),
            ("2.25 kb", 2250),
            (" 3gb ", 3_000_000_000),
            ("0.0000004MiB", 0),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1e6", "1.MiB", ".5MiB", "1..5", "1 000", "0x10", "1.0000000000001"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("5 apples").expect_err("no unit").contains("`apples` is no unit"));
        assert!(parse("99999999999TiB").expect_err("too much").contains("EiB"));
        assert!(parse("99999999999999999999").expect_err("too much").contains("EiB"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_shown_can_be_read(bytes in 0_u64..1 << 60) {
            let read = parse(&crate::output::bytes(bytes)).expect("a size");
            prop_assert!(read.abs_diff(bytes) as f64 <= 0.05 * bytes as f64, "{bytes}: {read}");
        }
    }
}
