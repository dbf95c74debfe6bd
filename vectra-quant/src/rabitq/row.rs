//! Where the codes and the factors of a row lie.
//!
//! A code is cut into planes of four, two and one bits, the highest first. A plane of `w` bits has `8 / w` codes to a byte:
//! those of a line of 64 bytes are in its lowest `w` bits, then in the next, and so on, so that kernels take whole lines.

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

/// Some lines of a row whose codes are of the same width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    /// Bits of a code in it.
    pub(super) width: u32,
    /// How many.
    pub(super) lines: usize,
}

impl Plane {
    /// Codes to a byte.
    fn fields(self) -> usize {
        8 / self.width as usize
    }
}

/// The planes of rows of `dim` codes of `bits`; the factors are at the end of the last.
pub(super) fn layout(dim: usize, bits: u32) -> impl Iterator<Item = Plane> {
    let widths = planes(bits);
    widths.iter().enumerate().map(move |(at, width)| {
        let behind = if at + 1 == widths.len() { FACTOR_BYTES } else { 0 };
        Plane { width: *width, lines: (dim.div_ceil(8 / *width as usize) + behind).div_ceil(LINE) }
    })
}

/// Bytes of a row.
pub(super) fn row_bytes(dim: usize, bits: u32) -> usize {
    layout(dim, bits).map(|plane| plane.lines * LINE).sum()
}

/// For each line of a row its plane, the bits below it in a code, and its bytes of codes.
fn lines(dim: usize, bits: u32) -> impl Iterator<Item = (Plane, u32, usize)> {
    let mut below = bits;
    let lines = layout(dim, bits).flat_map(move |plane| {
        below -= plane.width;
        std::iter::repeat_n((plane, below), plane.lines)
    });
    let last = row_bytes(dim, bits) / LINE - 1;
    lines.enumerate().map(move |(line, (plane, below))| {
        (plane, below, if line == last { LINE - FACTOR_BYTES } else { LINE })
    })
}

/// Calls `visit` with each field of each line, plane after plane.
fn each_field(dim: usize, bits: u32, mut visit: impl FnMut(Field)) {
    let (mut first, mut current) = (0, u32::MAX);
    for (line, (plane, below, bytes)) in lines(dim, bits).enumerate() {
        if below != current {
            (first, current) = (0, below);
        }
        for field in 0..plane.fields() {
            let count = bytes.min(dim - first);
            visit(Field {
                at: line * LINE,
                codes: first..first + count,
                shift: field as u32 * plane.width,
                below,
                width: plane.width,
            });
            first += count;
        }
    }
}

/// Codes in the same bits of the bytes of a line.
struct Field {
    /// The byte of the first of them.
    at: usize,
    /// Which they are.
    codes: std::ops::Range<usize>,
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

/// The codes of a query as kernels read them: for each line of a row one for each field, zeros where the row has no codes.
pub(super) fn spread(codes: &[i8], bits: u32) -> Vec<QueryLine> {
    let mut spread = Vec::with_capacity(row_bytes(codes.len(), bits) / LINE * 8);
    each_field(codes.len(), bits, |field| {
        let mut line = QueryLine([0; LINE]);
        line.0[..field.codes.len()].copy_from_slice(&codes[field.codes]);
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
        codes[field.codes].copy_from_slice(&line.0[..count]);
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
        assert_eq!(lengths(64), [64, 64, 128, 64, 128, 128, 192, 128]);
        assert_eq!(lengths(384), [64, 128, 192, 256, 256, 320, 384, 448]);
        assert_eq!(lengths(768), [128, 256, 320, 448, 512, 640, 704, 832]);
        for bits in 1..=8 {
            assert_eq!(planes(bits).iter().sum::<u32>(), bits);
            assert!(row_bytes(65_536, bits) >= 65_536 * bits as usize / 8 + FACTOR_BYTES);
        }
    }

    #[test]
    fn codes_lie_where_the_document_says() {
        let codes: Vec<u8> = (0..192).map(|i| (i * 7 % 8) as u8).collect();
        let mut row = vec![0; row_bytes(192, 3)];
        pack(&codes, 3, &mut row);
        for (i, code) in codes.iter().enumerate() {
            assert_eq!(row[i % 64] >> (2 * (i / 64)) & 3, code >> 1, "high bits of {i}");
            assert_eq!(row[64 + i % 52] >> (i / 52) & 1, code & 1, "low bit of {i}");
        }
        assert_eq!(row[116..], [0; 12]);
    }

    #[test]
    fn every_dimension_is_unpacked_as_packed_and_meets_its_query() {
        for dim in (1..300).chain([383, 384, 417, 768, 1000]) {
            for bits in 1..=8 {
                let codes: Vec<u8> = (0..dim).map(|i| (i * 37 % (1 << bits)) as u8).collect();
                let signed: Vec<i8> = (0..dim).map(|i| (i * 31 % 255) as u8 as i8).collect();
                let mut row = vec![0; row_bytes(dim, bits)];
                pack(&codes, bits, &mut row);
                let mut found = vec![99; dim];
                unpack(&row, bits, &mut found);
                assert_eq!(found, codes, "{dim} {bits}");
                let query = spread(&signed, bits);
                assert_eq!(collect(&query, dim, bits), signed);
                let mut fields = query.iter();
                let mut product = 0;
                for ((plane, below, _), line) in lines(dim, bits).zip(row.chunks(LINE)) {
                    for field in 0..plane.fields() {
                        let QueryLine(query) = fields.next().expect("one for each field");
                        for (q, byte) in query.iter().zip(line) {
                            let code = byte >> (field as u32 * plane.width) & ((1 << plane.width) - 1);
                            product += i32::from(*q) * (i32::from(code) << below);
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
