//! Where the codes and the two factors of a row lie.

/// Bytes of a line: a row is a whole number of them.
pub(super) const LINE: usize = 64;

/// Bytes of the factors at the end of a row.
pub(super) const FACTOR_BYTES: usize = 8;

/// Bytes of a row of `dim` components.
pub(super) const fn row_bytes(dim: usize) -> usize {
    (dim.div_ceil(2) + FACTOR_BYTES).next_multiple_of(LINE)
}

/// Bytes of codes in each line of a row, from the first line on.
fn widths(row_bytes: usize) -> impl Iterator<Item = usize> {
    (LINE..=row_bytes).step_by(LINE).map(move |end| if end == row_bytes { LINE - FACTOR_BYTES } else { LINE })
}

/// Writes `codes`, below 16, to a row of zeros.
pub(super) fn pack(codes: &[u8], row: &mut [u8]) {
    let mut rest = codes;
    for (line, width) in row.as_chunks_mut::<LINE>().0.iter_mut().zip(widths(row_bytes(codes.len()))) {
        let (low, behind) = rest.split_at(width.min(rest.len()));
        let (high, behind) = behind.split_at(width.min(behind.len()));
        line[..low.len()].copy_from_slice(low);
        line.iter_mut().zip(high).for_each(|(byte, code)| *byte |= code << 4);
        rest = behind;
    }
}

/// Writes the codes of `row` to `codes`.
pub(super) fn unpack(row: &[u8], codes: &mut [u8]) {
    let mut rest = codes;
    for (line, width) in row.as_chunks::<LINE>().0.iter().zip(widths(row.len())) {
        let (low, behind) = rest.split_at_mut(width.min(rest.len()));
        let (high, behind) = behind.split_at_mut(width.min(behind.len()));
        low.iter_mut().zip(line).for_each(|(code, byte)| *code = byte & 15);
        high.iter_mut().zip(line).for_each(|(code, byte)| *code = byte >> 4);
        rest = behind;
    }
}

/// The codes of a query that meet one line of a row: those of its low nibbles and those of its high ones. Aligned, so that
/// no load of them takes two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Pair(pub(super) [[i8; LINE]; 2]);

/// The codes of a query as kernels read them: for each line of a row a pair of lines, zeros where the row has no codes.
pub(super) fn spread(codes: &[i8], row_bytes: usize) -> Vec<Pair> {
    let mut spread = vec![Pair([[0; LINE]; 2]); row_bytes / LINE];
    let mut rest = codes;
    for (pair, width) in spread.iter_mut().zip(widths(row_bytes)) {
        for half in &mut pair.0 {
            let (here, behind) = rest.split_at(width.min(rest.len()));
            half[..here.len()].copy_from_slice(here);
            rest = behind;
        }
    }
    spread
}

/// Two `f32`, little-endian, in this order: with `u` the codes, component i is `scale * (u_i - 7.5)`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Factors {
    /// The squared length of the whole vector; zero under dot.
    pub(super) energy: f32,
    /// The width of a level.
    pub(super) scale: f32,
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
        Self { energy: float(0), scale: float(4) }
    }

    /// Writes the factors to the end of `row`.
    pub(super) fn write(self, row: &mut [u8]) {
        let (_, bytes) = row.split_last_chunk_mut::<FACTOR_BYTES>().expect("a row ends with its factors");
        bytes[..4].copy_from_slice(&self.energy.to_le_bytes());
        bytes[4..].copy_from_slice(&self.scale.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_lines() {
        let expected = [(1, 64), (112, 64), (113, 128), (240, 128), (241, 192), (384, 256), (65_536, 32_832)];
        for (dim, bytes) in expected {
            assert_eq!(row_bytes(dim), bytes, "{dim}");
        }
    }

    #[test]
    fn codes_lie_where_the_document_says() {
        let codes: Vec<u8> = (0..200).map(|i| (i * 7 % 16) as u8).collect();
        let mut row = vec![0; 128];
        pack(&codes, &mut row);
        for (i, code) in codes.iter().enumerate() {
            let (line, width) = (i / 128, if i < 128 { 64 } else { 56 });
            let within = i % 128;
            let byte = row[64 * line + within % width];
            assert_eq!(if within < width { byte & 15 } else { byte >> 4 }, *code, "code {i}");
        }
        // The 72 codes of the last line fill the low nibbles and sixteen of the high ones.
        assert!(row[80..120].iter().all(|byte| byte >> 4 == 0), "unused nibbles are zero");
        assert_eq!(row[120..], [0; 8]);
    }

    #[test]
    fn every_dimension_is_unpacked_as_packed_and_meets_its_query() {
        for dim in (1..300).chain([383, 384, 1000, 1536]) {
            let codes: Vec<u8> = (0..dim).map(|i| (i * 5 % 16) as u8).collect();
            let signed: Vec<i8> = (0..dim).map(|i| (i * 31 % 255) as u8 as i8).collect();
            let mut row = vec![0; row_bytes(dim)];
            pack(&codes, &mut row);
            let mut found = vec![99; dim];
            unpack(&row, &mut found);
            assert_eq!(found, codes, "{dim}");
            let query = spread(&signed, row.len());
            assert_eq!(query.len(), row.len() / LINE);
            let mut product = 0;
            for (Pair([low, high]), line) in query.iter().zip(row.chunks(LINE)) {
                for (j, byte) in line.iter().enumerate() {
                    product += i32::from(low[j]) * i32::from(byte & 15);
                    product += i32::from(high[j]) * i32::from(byte >> 4);
                }
            }
            let expected: i32 = codes.iter().zip(&signed).map(|(u, b)| i32::from(*u) * i32::from(*b)).sum();
            assert_eq!(product, expected, "{dim}");
        }
    }

    #[test]
    fn factors_are_the_last_eight_bytes() {
        let factors = Factors { energy: 3.0, scale: -0.5 };
        let mut row = [9; 12];
        factors.write(&mut row);
        assert_eq!(row[..4], [9; 4]);
        assert_eq!(row[4..8], 3.0_f32.to_le_bytes());
        assert_eq!(row[8..], (-0.5_f32).to_le_bytes());
        assert_eq!(Factors::read(&row), factors);
    }
}
