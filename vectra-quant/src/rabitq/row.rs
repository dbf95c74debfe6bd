//! Where the codes and the factors of a row lie.
//!
//! A code is cut into planes of four, two and one bits, the highest first. A plane of `w` bits has `8 / w` codes to a byte:
//! those of its bytes in one line of 64 are in their lowest `w` bits, then in the next, and so on, so that kernels take whole lines.
//! Each plane begins with a line where the row does not become longer by it, and otherwise where the one before it ends; in a
//! line that two planes share, the query has zeros for the bytes of the other.

use std::ops::Range;

/// Bytes of a line: a row is a whole number of them, and so is each plane.
pub(super) const LINE: usize = 64;

/// Bytes of the factors at the end of a row.
pub(super) const FACTOR_BYTES: usize = 12;

/// The widths of the planes of codes of so many bits, 1 to 8, in bits, the highest first.
pub(super) const fn planes(bits: u32) -> &'static [u32] {
    match bits {
        1 => &[1],
        2 => &[2],
        3 => &[2, 1],
        4 => &[4],
        5 => &[4, 1],
        6 => &[4, 2],
        7 => &[4, 2, 1],
        _ => &[4, 4],
    }
}

/// The bits of all codes that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    /// Bits of a code in it.
    pub(super) width: u32,
    /// Bits of a code in the planes behind it.
    below: u32,
    /// Its first byte in the row.
    start: usize,
    /// How many bytes it has.
    len: usize,
}

impl Plane {
    /// Codes to a byte.
    pub(super) fn fields(self) -> usize {
        8 / self.width as usize
    }

    /// The lines of the row that it has bytes in.
    pub(super) fn lines(self) -> Range<usize> {
        self.start / LINE..self.end().div_ceil(LINE)
    }

    /// Where it ends in the row.
    fn end(self) -> usize {
        self.start + self.len
    }

    /// Its bytes in a line of the row.
    fn bytes_in(self, line: usize) -> Range<usize> {
        self.start.max(line * LINE)..self.end().min((line + 1) * LINE)
    }

    /// The same in a row that has as many bytes in front.
    pub(super) fn behind(self, bytes: usize) -> Self {
        Self { start: self.start + bytes, ..self }
    }
}

/// The planes of rows of `dim` codes of `bits`.
pub(super) fn layout(dim: usize, bits: u32) -> Vec<Plane> {
    let step = if row_end(dim, bits, LINE) <= row_end(dim, bits, 1) { LINE } else { 1 };
    let (mut below, mut end) = (bits, 0_usize);
    let plane = |width: &u32| {
        below -= width;
        let start = end.next_multiple_of(step);
        let plane = Plane { width: *width, below, start, len: plane_bytes(dim, *width) };
        end = plane.end();
        plane
    };
    planes(bits).iter().map(plane).collect()
}

/// Bytes of a plane.
const fn plane_bytes(dim: usize, width: u32) -> usize {
    dim.div_ceil(8 / width as usize)
}

/// Where a row ends, its factors included, whose planes begin at multiples of `step`.
const fn row_end(dim: usize, bits: u32, step: usize) -> usize {
    let (widths, mut end, mut at) = (planes(bits), 0_usize, 0);
    while at < widths.len() {
        end = end.next_multiple_of(step) + plane_bytes(dim, widths[at]);
        at += 1;
    }
    (end + FACTOR_BYTES).next_multiple_of(LINE)
}

/// Bytes of a row: never more than planes without gaps need.
pub(super) const fn row_bytes(dim: usize, bits: u32) -> usize {
    row_end(dim, bits, 1)
}

/// Calls `visit` with each field of each line of each plane.
fn each_field(dim: usize, bits: u32, mut visit: impl FnMut(Field)) {
    for plane in layout(dim, bits) {
        let mut first = 0;
        for bytes in plane.lines().map(|line| plane.bytes_in(line)) {
            for field in 0..plane.fields() {
                let count = bytes.len().min(dim - first);
                visit(Field {
                    at: bytes.start,
                    codes: first..first + count,
                    shift: field as u32 * plane.width,
                    below: plane.below,
                    width: plane.width,
                });
                first += count;
            }
        }
    }
}

/// Codes in the same bits of the bytes of a line.
struct Field {
    /// The byte of the first of them.
    at: usize,
    /// Which they are.
    codes: Range<usize>,
    /// The lowest of their bits in a byte.
    shift: u32,
    /// Bits of the code below those.
    below: u32,
    /// Bits of the code that are there.
    width: u32,
}

/// Writes `codes` of `bits` to a row of zeros.
pub(super) fn pack(codes: &[u8], bits: u32, row: &mut [u8]) {
    each_field(codes.len(), bits, |field| {
        let mask = (1 << field.width) - 1;
        for (byte, code) in row[field.at..].iter_mut().zip(&codes[field.codes]) {
            *byte |= (code >> field.below & mask) << field.shift;
        }
    });
}

/// Writes the codes of `row` to `codes`.
pub(super) fn unpack(row: &[u8], bits: u32, codes: &mut [u8]) {
    codes.fill(0);
    each_field(codes.len(), bits, |field| {
        let mask = (1 << field.width) - 1;
        for (byte, code) in row[field.at..].iter().zip(&mut codes[field.codes]) {
            *code |= (byte >> field.shift & mask) << field.below;
        }
    });
}

/// Codes of a query that meet those of one field of a line. Aligned, so that no load of them takes two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct QueryLine(pub(super) [i8; LINE]);

/// The codes of a query as kernels read them: for each line of each plane one for each field, zeros for what is not the plane's.
pub(super) fn spread(codes: &[i8], bits: u32) -> Vec<QueryLine> {
    let mut spread = Vec::with_capacity(row_bytes(codes.len(), bits) / LINE * 8);
    each_field(codes.len(), bits, |field| {
        let mut line = QueryLine([0; LINE]);
        line.0[field.at % LINE..][..field.codes.len()].copy_from_slice(&codes[field.codes]);
        spread.push(line);
    });
    spread
}

/// The codes that were spread.
pub(super) fn collect(spread: &[QueryLine], dim: usize, bits: u32) -> Vec<i8> {
    let (mut codes, mut lines) = (vec![0; dim], spread.iter());
    each_field(dim, bits, |field| {
        let line = lines.next().expect("a line for each field");
        let count = field.codes.len();
        codes[field.codes].copy_from_slice(&line.0[field.at % LINE..][..count]);
    });
    codes
}

/// Three `f32`, little-endian, in this order: with `u` the codes, component i is `scale * (u_i - (2^bits - 1) / 2)`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Factors {
    /// The squared length of the vector; under dot that less the one before a centre was taken from it.
    pub(super) energy: f32,
    /// The width of a level.
    pub(super) scale: f32,
    /// The standard deviation of products with a vector of length 1 in a random direction.
    pub(super) error: f32,
}

impl Factors {
    /// The factors at the end of `row`.
    #[inline]
    pub(super) fn read(row: &[u8]) -> Self {
        let (_, bytes) = row.split_last_chunk().expect("a row ends with its factors");
        Self::of_bytes(*bytes)
    }

    /// The factors as they lie in a row.
    #[inline]
    pub(super) fn of_bytes(bytes: [u8; FACTOR_BYTES]) -> Self {
        let float = |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { energy: float(0), scale: float(4), error: float(8) }
    }

    /// Writes the factors to the end of `row`.
    pub(super) fn write(self, row: &mut [u8]) {
        let (_, bytes) = row.split_last_chunk_mut::<FACTOR_BYTES>().expect("a row ends with its factors");
        for (bytes, float) in bytes.chunks_exact_mut(4).zip([self.energy, self.scale, self.error]) {
            bytes.copy_from_slice(&float.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_long_as_their_planes() {
        let lengths = |dim| [1, 2, 3, 4, 5, 6, 7, 8].map(|bits| row_bytes(dim, bits));
        assert_eq!(lengths(64), [64, 64, 64, 64, 64, 64, 128, 128]);
        assert_eq!(lengths(128), [64, 64, 64, 128, 128, 128, 128, 192]);
        assert_eq!(lengths(384), [64, 128, 192, 256, 256, 320, 384, 448]);
        assert_eq!(lengths(768), [128, 256, 320, 448, 512, 640, 704, 832]);
        for bits in 1..=8 {
            assert_eq!(planes(bits).iter().sum::<u32>(), bits);
            for dim in [1, 64, 128, 192, 384, 1000, 65_536_usize] {
                let least = planes(bits).iter().map(|width| dim.div_ceil(8 / *width as usize)).sum::<usize>();
                assert_eq!(
                    row_bytes(dim, bits),
                    (least + FACTOR_BYTES).next_multiple_of(LINE),
                    "{dim} {bits}"
                );
            }
        }
    }

    #[test]
    fn codes_lie_where_the_document_says() {
        // Planes of 48 bytes and of 24, the second with a line of its own.
        let codes: Vec<u8> = (0..192).map(|i| (i * 7 % 8) as u8).collect();
        let mut row = vec![0; row_bytes(192, 3)];
        pack(&codes, 3, &mut row);
        for (i, code) in codes.iter().enumerate() {
            assert_eq!(row[i % 48] >> (2 * (i / 48)) & 3, code >> 1, "high bits of {i}");
            assert_eq!(row[64 + i % 24] >> (i / 24) & 1, code & 1, "low bit of {i}");
        }
        assert_eq!(row[48..64], [0; 16]);
        assert_eq!(row[88..], [0; 40]);
        // Planes of 80, 40 and 20 bytes do not have lines of their own: the last is the end of one and the start of the next.
        let codes: Vec<u8> = (0..160).map(|i| (i * 37 % 128) as u8).collect();
        let mut row = vec![0; row_bytes(160, 7)];
        assert_eq!(row.len(), 192);
        pack(&codes, 7, &mut row);
        for (i, code) in codes.iter().enumerate() {
            let (byte, shift) =
                if i < 128 { (i % 64, 4 * (i / 64)) } else { (64 + (i - 128) % 16, 4 * ((i - 128) / 16)) };
            assert_eq!(row[byte] >> shift & 15, code >> 3, "high bits of {i}");
        }
        assert_eq!(row[180..], [0; 12]);
    }

    #[test]
    fn every_dimension_is_unpacked_as_packed_and_meets_its_query() {
        for dim in (1..300).chain([383, 384, 417, 768, 1000]) {
            for bits in 1..=8 {
                let codes: Vec<u8> = (0..dim).map(|i| (i * 37 % (1 << bits)) as u8).collect();
                let signed: Vec<i8> = (0..dim).map(|i| (i * 31 % 255) as u8 as i8).collect();
                let mut row = vec![0; row_bytes(dim, bits)];
                pack(&codes, bits, &mut row);
                row[row_bytes(dim, bits) - FACTOR_BYTES..].fill(0xff);
                let mut found = vec![99; dim];
                unpack(&row, bits, &mut found);
                assert_eq!(found, codes, "{dim} {bits}");
                let query = spread(&signed, bits);
                assert_eq!(collect(&query, dim, bits), signed);
                let mut fields = query.iter();
                let mut product = 0;
                for plane in layout(dim, bits) {
                    for line in plane.lines().map(|line| &row[line * LINE..][..LINE]) {
                        for field in 0..plane.fields() {
                            let QueryLine(query) = fields.next().expect("one for each field");
                            for (q, byte) in query.iter().zip(line) {
                                let code = byte >> (field as u32 * plane.width) & ((1 << plane.width) - 1);
                                product += i32::from(*q) * (i32::from(code) << plane.below);
                            }
                        }
                    }
                }
                assert!(fields.next().is_none());
                let expected: i32 =
                    codes.iter().zip(&signed).map(|(u, b)| i32::from(*u) * i32::from(*b)).sum();
                assert_eq!(product, expected, "{dim} {bits}");
            }
        }
    }

    #[test]
    fn factors_are_the_last_twelve_bytes() {
        let factors = Factors { energy: 3.0, scale: -0.5, error: 0.25 };
        let mut row = [9; 16];
        factors.write(&mut row);
        assert_eq!(row[..4], [9; 4]);
        assert_eq!(row[8..12], (-0.5_f32).to_le_bytes());
        assert_eq!(Factors::read(&row), factors);
    }
}
