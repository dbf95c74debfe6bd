//! A cursor over untrusted bytes.

/// What was wrong with encoded bytes, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} cannot be read")]
pub struct DecodeError {
    /// Offset from the start of the decoded bytes.
    pub offset: usize,
    /// The thing that should have stood there.
    pub what: &'static str,
}

impl DecodeError {
    /// An error about `what` at `offset`.
    pub fn new(offset: usize, what: &'static str) -> Self {
        Self { offset, what }
    }
}

/// Reads little-endian numbers and length-prefixed bytes; every read is checked against what is left.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// An error about `what` at the current position.
    pub fn error(&self, what: &'static str) -> DecodeError {
        DecodeError::new(self.at, what)
    }

    /// Succeeds only when nothing is left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error("end of data")) }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(self.error("bytes"));
        }
        let found = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(found)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("bytes(N) gives N bytes"))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A little-endian `u16`.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A little-endian `u32`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A little-endian `u64`.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A little-endian `u128`.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// A little-endian `f64`, any bit pattern.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// An LEB128 number of at most ten bytes, in its shortest form (so that one number has one encoding).
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8().map_err(|_| DecodeError::new(start, "varint"))?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 || shift > 0 && byte == 0 {
                return Err(DecodeError::new(start, "varint"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::new(start, "varint"))
    }

    /// A count of things of at least `size_min` bytes each: refused when the bytes left cannot hold that many.
    pub fn count(&mut self, size_min: usize) -> Result<usize, DecodeError> {
        let start = self.at;
        let count = self.varint()?;
        let fits = usize::try_from(count).ok().filter(|n| *n <= self.remaining() / size_min.max(1));
        fits.ok_or(DecodeError::new(start, "count"))
    }

    /// Bytes behind their varint length.
    pub fn prefixed(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1)?;
        self.bytes(len)
    }

    /// UTF-8 text behind its varint length.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        std::str::from_utf8(self.prefixed()?).map_err(|_| DecodeError::new(start, "text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::Writer;

    proptest! {
        #[test]
        fn what_is_written_is_read(a in any::<u64>(), b in any::<u32>(), c in any::<u16>(), d in any::<f64>(), s in "\\PC{0,20}") {
            let mut w = Writer::new();
            w.varint(a).u32(b).u16(c).f64(d).text(&s).u64(a);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(r.varint(), Ok(a));
            prop_assert_eq!(r.u32(), Ok(b));
            prop_assert_eq!(r.u16(), Ok(c));
            prop_assert_eq!(r.f64().map(f64::to_bits), Ok(d.to_bits()));
            prop_assert_eq!(r.text(), Ok(&*s));
            prop_assert_eq!(r.u64(), Ok(a));
            prop_assert!(r.finish().is_ok());
        }

        #[test]
        fn reading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut r = Reader::new(&bytes);
            while r.remaining() > 0 {
                let before = r.position();
                let _ = (r.clone().varint(), r.clone().count(3), r.clone().text(), r.clone().u128());
                if r.prefixed().is_err() { _ = r.u8(); }
                prop_assert!(r.position() > before);
            }
        }
    }

    #[test]
    fn overlong_varints_are_refused() {
        assert!(Reader::new(&[0x80, 0x00]).varint().is_err());
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).varint(),
            Ok(u64::MAX)
        );
    }

    #[test]
    fn a_count_larger_than_the_data_is_refused_before_any_allocation() {
        let mut w = Writer::new();
        w.varint(1 << 40);
        assert!(Reader::new(&w.into_bytes()).count(1).is_err());
    }
}
