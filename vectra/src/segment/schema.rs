//! The section that says which vector fields a `rows` part holds and how they are stored.
//!
//! One entry of eight bytes for each field: number `u16`, dimension `u32`, element type `u8`, metric `u8`. Today there is
//! exactly one, field 0.

use vectra_core::Metric;
use vectra_core::codec::{Reader, Writer};
use vectra_core::distance::ElementKind;

use super::sections::DEFAULT_FIELD;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;

/// The section's bytes.
pub(crate) fn encode(settings: &Settings) -> Vec<u8> {
    let mut out = Writer::new();
    out.u16(DEFAULT_FIELD).u32(settings.dim).u8(settings.element.code()).u8(settings.metric.code());
    out.into_bytes()
}

/// Compares what a part says of its fields with what the index says; total over arbitrary bytes.
pub(crate) fn check(section: &[u8], settings: &Settings) -> Result<()> {
    let broken = |e| Error::caused(ErrorKind::Corrupt, "the schema of a segment's rows cannot be read", e);
    let newer = |what: String| {
        let text =
            format!("a segment's rows have {what}; a newer program wrote them, use it to read this index");
        Err(Error::new(ErrorKind::Unsupported, text))
    };
    let mut r = Reader::new(section);
    let (field, dim) = (r.u16().map_err(broken)?, r.u32().map_err(broken)?);
    let (element, metric) = (r.u8().map_err(broken)?, r.u8().map_err(broken)?);
    if field != DEFAULT_FIELD || r.remaining() > 0 {
        return newer("vector fields other than the default one".to_owned());
    }
    if ElementKind::from_code(element).is_none() {
        return newer(format!("vectors of the unknown element type {element}"));
    }
    if Metric::from_code(metric).is_none() {
        return newer(format!("vectors of the unknown metric {metric}"));
    }
    if (dim, element, metric) != (settings.dim, settings.element.code(), settings.metric.code()) {
        let text = format!(
            "a segment's rows have dimension {dim}, element type {element} and metric {metric}; the index says {}, {} \
             and {}",
            settings.dim,
            settings.element.code(),
            settings.metric.code()
        );
        return Err(Error::corrupt(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(section: &[u8]) -> Option<ErrorKind> {
        check(section, &Settings::new(3)).err().map(|e| e.kind())
    }

    #[test]
    fn what_is_written_is_accepted_and_anything_else_is_told_apart() {
        let own = encode(&Settings::new(3));
        assert_eq!(own.len(), 8);
        assert_eq!(kind(&own), None);
        assert_eq!(kind(&encode(&Settings::new(4))), Some(ErrorKind::Corrupt), "another dimension");
        let dot = Settings::new(3).with_metric(Metric::Dot);
        assert_eq!(kind(&encode(&dot)), Some(ErrorKind::Corrupt), "another metric");
        let half = Settings::new(3).with_element(ElementKind::F16);
        assert_eq!(kind(&encode(&half)), Some(ErrorKind::Corrupt), "another element type");
        assert_eq!(kind(&own[..7]), Some(ErrorKind::Corrupt));
        assert_eq!(kind(&[&own[..], &own].concat()), Some(ErrorKind::Unsupported), "two fields");
        for (at, value) in [(0, 1), (6, 77), (7, 77)] {
            let mut newer = own.clone();
            newer[at] = value;
            assert_eq!(kind(&newer), Some(ErrorKind::Unsupported), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn check_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let own = bytes == encode(&Settings::new(3));
            prop_assert_eq!(kind(&bytes).is_none(), own);
        }
    }
}
