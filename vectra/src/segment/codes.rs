//! The codes of a segment and what made them: of eight bits, from which graphs are built, or of four, on which they are
//! walked.

use parking_lot::Mutex;
use vectra_core::Metric;
use vectra_core::env::in_parallel;
use vectra_core::io::Blob;
use vectra_core::memory::AlignedBuf;
use vectra_core::scorer::VectorStore;
use vectra_quant::format::HEADER_BYTES;
use vectra_quant::{Codec, Coder, FormatError, Header, Projection, Quantizer, RowScorer, Sq4, Sq8, View};
use vectra_tier::ReadBuf;

use super::truth::Truth;
use crate::error::{Error, ErrorKind, Result};

/// Rows of codes that are made or compared at a time.
pub(super) const BLOCK: u32 = 1024;

/// Rows of eight bits at least as long are walked on four: with shorter ones a walk does not read fewer lines, or one less and
/// reads more vectors for it.
const FOUR_FROM: usize = 256;

/// Rows of one codec and what made them.
#[derive(Debug)]
pub(crate) struct CodeRows<C: Codec> {
    pub(crate) coder: Coder<C>,
    pub(crate) view: View<C>,
}

/// The codes of a segment.
#[derive(Debug)]
pub(crate) enum Codes {
    Eight(CodeRows<Sq8>),
    Four(CodeRows<Sq4>),
}

impl Codes {
    /// The codes of a `section`, made of vectors of `dim` components, or of what `projection` makes of these.
    pub(super) fn open(
        section: &Blob,
        projection: Option<Projection>,
        dim: usize,
        metric: Metric,
    ) -> Result<Self> {
        let header = Header::decode(section).map_err(unreadable)?;
        match header.quantizer {
            Quantizer::Sq8(codec) => {
                Ok(Self::Eight(CodeRows::open(section, codec, projection, dim, metric)?))
            }
            Quantizer::Sq4(codec) => Ok(Self::Four(CodeRows::open(section, codec, projection, dim, metric)?)),
            _ => Err(foreign()),
        }
    }

    /// What people call the codec.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Eight(_) => "sq8",
            Self::Four(_) => "sq4",
        }
    }

    /// How many times as many rows must be compared exactly as with codes of eight bits of all components.
    pub(crate) fn coarseness(&self) -> usize {
        let is_fine = matches!(self, Self::Eight(_)) && self.projection().is_none();
        if is_fine { 1 } else { 2 }
    }

    /// Components that have a code.
    pub(crate) fn components(&self) -> usize {
        match self {
            Self::Eight(codes) => codes.coder.codec().dim(),
            Self::Four(codes) => codes.coder.codec().dim(),
        }
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(&self) -> usize {
        match self {
            Self::Eight(codes) => codes.coder.codec().row_bytes(),
            Self::Four(codes) => codes.coder.codec().row_bytes(),
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Eight(codes) => codes.view.len(),
            Self::Four(codes) => codes.view.len(),
        }
    }

    /// What vectors go through before they are encoded.
    pub(crate) fn projection(&self) -> Option<&Projection> {
        match self {
            Self::Eight(codes) => codes.coder.projection(),
            Self::Four(codes) => codes.coder.projection(),
        }
    }

    /// What makes codes of eight bits of the same vectors.
    pub(super) fn coder8(&self) -> Coder<Sq8> {
        match self {
            Self::Eight(codes) => codes.coder.clone(),
            Self::Four(codes) => {
                let four = codes.coder.codec();
                codes.coder.with_codec(Sq8::new(four.dim(), four.metric()))
            }
        }
    }

    /// Encodes every vector of `truth` again and compares.
    pub(crate) fn check(&self, truth: &Truth) -> Result<()> {
        match self {
            Self::Eight(codes) => codes.check(truth),
            Self::Four(codes) => codes.check(truth),
        }
    }
}

impl<C: Codec> CodeRows<C> {
    fn open(
        section: &Blob,
        codec: C,
        projection: Option<Projection>,
        dim: usize,
        metric: Metric,
    ) -> Result<Self> {
        let view = View::open_section(section, codec.clone()).map_err(unreadable)?;
        let coder = match projection {
            None => Coder::direct(codec),
            Some(projection) if (projection.kept(), projection.metric()) == (codec.dim(), codec.metric()) => {
                Coder::projected(projection, codec)
            }
            Some(_) => return Err(foreign()),
        };
        if (coder.dim(), coder.metric()) != (dim, metric) {
            return Err(foreign());
        }
        Ok(Self { coder, view })
    }

    /// Compares rows with a query that the coder bound.
    pub(super) fn scorer<'a>(&'a self, query: &'a C::Query) -> RowScorer<'a, C> {
        self.view.rows().scorer(query)
    }

    fn check(&self, truth: &Truth) -> Result<()> {
        let mut buf = ReadBuf::default();
        let mut expected = vec![0; self.coder.codec().row_bytes()];
        for first in (0..truth.rows()).step_by(BLOCK as usize) {
            let vectors = truth.vectors(first, BLOCK.min(truth.rows() - first), &mut buf)?.to_f32();
            for (vector, slot) in vectors.chunks_exact(self.coder.dim()).zip(first..) {
                self.coder.encode(vector, &mut expected);
                if self.view.rows().row(slot) != expected {
                    return Err(Error::corrupt(format!("the code of row {slot} is not that of its vector")));
                }
            }
        }
        Ok(())
    }
}

/// What makes the codes on which a graph is walked that was built on those of `coder`, if these are others: of four bits,
/// where that makes long rows half as long, and vectors lie around zero, as projected ones do.
pub(super) fn walked_coder(coder: &Coder<Sq8>) -> Option<Coder<Sq4>> {
    let eight = coder.codec();
    let pays = eight.row_bytes() >= FOUR_FROM && coder.projection().is_some();
    pays.then(|| coder.with_codec(Sq4::new(eight.dim(), eight.metric())))
}

/// A section of the codes that `coder` makes of all vectors of `truth`.
///
/// # Errors
/// Where a vector cannot be read.
pub(super) fn section_of<C: Codec>(coder: &Coder<C>, truth: &Truth, threads: usize) -> Result<Blob> {
    let codec = coder.codec();
    let header = Header { quantizer: codec.quantizer(), rows: truth.rows() };
    let mut section = AlignedBuf::zeroed(HEADER_BYTES + truth.rows() as usize * codec.row_bytes());
    section[..HEADER_BYTES].copy_from_slice(&header.encode());
    let blocks = section[HEADER_BYTES..].chunks_mut(BLOCK as usize * codec.row_bytes());
    let blocks = Mutex::new((0..truth.rows()).step_by(BLOCK as usize).zip(blocks));
    let take_turns = |_| {
        let mut buf = ReadBuf::default();
        loop {
            let Some((first, rows)) = blocks.lock().next() else { return Ok(()) };
            encode(coder, truth, first, rows, &mut buf)?;
        }
    };
    in_parallel(threads.max(1), take_turns).into_iter().collect::<Result<()>>()?;
    Ok(Blob::from_buf(section))
}

/// Writes the codes of the vectors from slot `first` on to `rows`, as many as it has room for.
pub(super) fn encode<C: Codec>(
    coder: &Coder<C>,
    truth: &Truth,
    first: u32,
    rows: &mut [u8],
    buf: &mut ReadBuf,
) -> Result<()> {
    let bytes = coder.codec().row_bytes();
    let vectors = truth.vectors(first, (rows.len() / bytes) as u32, buf)?.to_f32();
    let pairs = vectors.chunks_exact(coder.dim()).zip(rows.chunks_exact_mut(bytes));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    Ok(())
}

pub(super) fn unreadable(error: FormatError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the codes of a segment cannot be read: {error}"))
}

fn foreign() -> Error {
    Error::corrupt("the codes of a segment belong to other vectors")
}
