//! How vectors are cut, and where the codes of the pieces lie in a row.

use std::ops::Range;

use vectra_core::Metric;

use crate::fastscan::COLUMNS_MAX;
use crate::sq::DIM_MAX;

/// Codes of one line of a row.
const LINE: usize = 64;

/// What a section of rows says about the codes: with the model it names, all there is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PqShape {
    pub(super) dim: u32,
    pub(super) metric: Metric,
    pub(super) subspaces: u32,
    pub(super) bits: u8,
    /// The checksum of the model.
    pub(super) model: u32,
}

impl PqShape {
    /// The shape with these fields, if there can be one.
    pub(crate) fn new(dim: usize, metric: Metric, subspaces: usize, bits: u8, model: u32) -> Option<Self> {
        let fits = (1..=DIM_MAX).contains(&dim) && (1..=dim.min(COLUMNS_MAX)).contains(&subspaces);
        let known = matches!(bits, 4 | 8) && metric != Metric::L1;
        (fits && known).then_some(Self { dim: dim as u32, metric, subspaces: subspaces as u32, bits, model })
    }

    /// Components per vector.
    pub fn dim(&self) -> usize {
        self.dim as usize
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Pieces to a vector, each with a code.
    pub fn subspaces(&self) -> usize {
        self.subspaces as usize
    }

    /// Bits of a code, 4 or 8.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The checksum of the model, by which rows and model know each other.
    pub fn model(&self) -> u32 {
        self.model
    }

    /// Centroids of a piece.
    pub(super) fn centroids(&self) -> usize {
        1 << self.bits
    }

    /// Bytes of a row that hold codes.
    pub fn code_bytes(&self) -> usize {
        if self.bits == 8 { self.subspaces() } else { self.subspaces().div_ceil(2) }
    }

    /// Bytes from one row to the next, a multiple of 64.
    pub fn row_bytes(&self) -> usize {
        self.code_bytes().next_multiple_of(LINE)
    }

    /// The components of each piece, the longer pieces first.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (dim, subspaces) = (self.dim(), self.subspaces());
        let (short, longer) = (dim / subspaces, dim % subspaces);
        let start = move |piece: usize| piece * short + piece.min(longer);
        (0..subspaces).map(move |piece| start(piece)..start(piece + 1))
    }

    /// Writes one code for each piece to a row.
    pub(super) fn pack(&self, codes: &[u8], row: &mut [u8]) {
        debug_assert_eq!(
            (codes.len(), row.len()),
            (self.subspaces(), self.row_bytes()),
            "checked by the caller"
        );
        row.fill(0);
        if self.bits == 8 {
            row[..codes.len()].copy_from_slice(codes);
            return;
        }
        for (byte, pair) in row.iter_mut().zip(codes.chunks(2)) {
            *byte = pair[0] | pair.get(1).copied().unwrap_or(0) << 4;
        }
    }

    /// Reads one code for each piece from a row; whatever the bytes, none is beyond the centroids.
    pub(super) fn unpack(&self, row: &[u8], codes: &mut [u8]) {
        debug_assert_eq!(
            (codes.len(), row.len()),
            (self.subspaces(), self.row_bytes()),
            "checked by the caller"
        );
        if self.bits == 8 {
            codes.copy_from_slice(&row[..codes.len()]);
            return;
        }
        for (byte, pair) in row.iter().zip(codes.chunks_mut(2)) {
            pair[0] = byte & 15;
            if let Some(high) = pair.get_mut(1) {
                *high = byte >> 4;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_pieces_are_longer_where_the_dimension_does_not_divide() {
        let shape = PqShape::new(11, Metric::L2, 4, 8, 0).expect("a shape");
        assert_eq!(shape.pieces().collect::<Vec<_>>(), [0..3, 3..6, 6..9, 9..11]);
        assert_eq!((shape.code_bytes(), shape.row_bytes(), shape.centroids()), (4, 64, 256));
        let odd = PqShape::new(300, Metric::Dot, 257, 4, 7).expect("a shape");
        assert_eq!((odd.code_bytes(), odd.row_bytes(), odd.centroids()), (129, 192, 16));
        assert_eq!(
            (odd.dim(), odd.metric(), odd.subspaces(), odd.bits(), odd.model()),
            (300, Metric::Dot, 257, 4, 7)
        );
    }

    #[test]
    fn what_no_model_has_is_no_shape() {
        assert!(PqShape::new(8, Metric::L1, 4, 8, 0).is_none());
        for (dim, subspaces, bits) in
            [(0, 1, 8), (8, 0, 8), (8, 9, 8), (8, 4, 5), (65_537, 4, 4), (65_536, 16_385, 8)]
        {
            assert!(PqShape::new(dim, Metric::L2, subspaces, bits, 0).is_none(), "{dim} {subspaces} {bits}");
        }
        assert!(PqShape::new(65_536, Metric::Cosine, 16_384, 4, 0).is_some());
    }

    proptest! {
        #[test]
        fn codes_are_read_as_written(subspaces in 1..300_usize, four: bool, bytes in prop::collection::vec(any::<u8>(), 320)) {
            let shape = PqShape::new(400, Metric::L2, subspaces, if four { 4 } else { 8 }, 0).expect("a shape");
            let mask = (shape.centroids() - 1) as u8;
            let codes: Vec<u8> = bytes[..subspaces].iter().map(|byte| byte & mask).collect();
            let (mut row, mut read) = (vec![0xff; shape.row_bytes()], vec![0xff; subspaces]);
            shape.pack(&codes, &mut row);
            shape.unpack(&row, &mut read);
            prop_assert_eq!(&read, &codes);
            prop_assert!(row[shape.code_bytes()..].iter().all(|byte| *byte == 0));
            // Any bytes are codes.
            shape.unpack(&bytes[..shape.row_bytes()], &mut read);
            prop_assert!(read.iter().all(|code| usize::from(*code) < shape.centroids()));
        }
    }
}
