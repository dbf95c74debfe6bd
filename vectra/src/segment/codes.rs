//! The codes of a segment and what made them: of eight bits, from which graphs are built, or of four, on which they are
//! walked.

use std::fmt;

use parking_lot::Mutex;
use vectra_core::Metric;
use vectra_core::env::in_parallel;
use vectra_core::io::Blob;
use vectra_core::memory::AlignedBuf;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_quant::format::HEADER_BYTES;
use vectra_quant::{
    Codec, Coder, FormatError, Header, Projection, Quantizer, Rotated, RowScorer, Sq4, Sq8, View,
};
use vectra_tier::ReadBuf;

use super::truth::Truth;
use crate::error::{Error, ErrorKind, Result};

/// Rows of codes that are made or compared at a time.
pub(super) const BLOCK: u32 = 1024;

/// What codes of one bit to eight of rotated vectors are called.
const RABITQ: [&str; 8] =
    ["rabitq-1", "rabitq-2", "rabitq-3", "rabitq-4", "rabitq-5", "rabitq-6", "rabitq-7", "rabitq-8"];

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
    /// Walked by code that is compiled once for all of them.
    Other(Box<dyn AnyCodes>),
}

/// Rows of whatever codec.
pub(crate) trait AnyCodes: fmt::Debug + Send + Sync {
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// The codec with its settings.
    fn quantizer(&self) -> Quantizer;
    /// What vectors go through before they are encoded, if they are projected.
    fn projection(&self) -> Option<&Projection>;
    /// The same, if they are rotated.
    fn rotation(&self) -> Option<&Rotated>;
    /// Compares rows with `query`.
    fn bind<'a>(&'a self, query: &[f32]) -> Box<dyn Scorer + 'a>;
    /// Compares rows with one of them.
    fn bind_slot<'a>(&'a self, slot: u32) -> Box<dyn Scorer + 'a>;
    /// Encodes every vector of `truth` again and compares.
    fn check(&self, truth: &Truth) -> Result<()>;
}

/// What vectors go through before they are encoded.
#[derive(Debug)]
pub(super) enum Transform {
    Direct,
    Projected(Projection),
    Rotated(Rotated),
}

impl Codes {
    /// The codes of a `section`, made of vectors of `dim` components, or of what `transform` makes of these.
    pub(super) fn open(section: &Blob, transform: Transform, dim: usize, metric: Metric) -> Result<Self> {
        let header = Header::decode(section).map_err(unreadable)?;
        let shape = (dim, metric);
        match header.quantizer {
            Quantizer::Sq8(codec) => Ok(Self::Eight(CodeRows::open(section, codec, transform, shape)?)),
            Quantizer::Sq4(codec) => Ok(Self::Four(CodeRows::open(section, codec, transform, shape)?)),
            Quantizer::RaBitQ(codec) => {
                Ok(Self::Other(Box::new(CodeRows::open(section, codec, transform, shape)?)))
            }
            _ => Err(foreign()),
        }
    }

    /// The codes, of whatever codec.
    pub(crate) fn any(&self) -> &dyn AnyCodes {
        match self {
            Self::Eight(codes) => codes,
            Self::Four(codes) => codes,
            Self::Other(codes) => &**codes,
        }
    }

    /// What people call the codec.
    pub(crate) fn name(&self) -> &'static str {
        match self.any().quantizer() {
            Quantizer::Sq8(_) => "sq8",
            Quantizer::Sq4(_) => "sq4",
            Quantizer::RaBitQ(codec) => RABITQ[codec.bits() as usize - 1],
            _ => "?",
        }
    }

    /// Components that have a code.
    pub(crate) fn components(&self) -> usize {
        self.any().quantizer().dim()
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.any().quantizer().row_bytes()
    }

    /// How many times as many rows must be compared exactly as with codes of eight bits of all components.
    pub(crate) fn coarseness(&self) -> usize {
        match self.any().quantizer() {
            Quantizer::Sq8(_) if self.projection().is_none() => 1,
            Quantizer::RaBitQ(codec) => match codec.bits() {
                1 => 8,
                2 => 4,
                _ => 2,
            },
            _ => 2,
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.any().rows()
    }

    /// What vectors go through before they are encoded, if they are projected.
    pub(crate) fn projection(&self) -> Option<&Projection> {
        self.any().projection()
    }

    /// What makes codes of eight bits to build a graph on, if it is known: of the same components.
    pub(super) fn coder8(&self) -> Option<Coder<Sq8>> {
        match self {
            Self::Eight(codes) => Some(codes.coder.clone()),
            Self::Four(codes) => {
                let four = codes.coder.codec();
                Some(codes.coder.with_codec(Sq8::new(four.dim(), four.metric())))
            }
            Self::Other(_) => None,
        }
    }

    /// Encodes every vector of `truth` again and compares.
    pub(crate) fn check(&self, truth: &Truth) -> Result<()> {
        self.any().check(truth)
    }
}

/// Rows of whatever codec as what a graph is walked on.
pub(super) struct Walkable<'c>(pub(super) &'c dyn AnyCodes);

impl VectorStore for Walkable<'_> {
    type Scorer<'a>
        = Box<dyn Scorer + 'a>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        let kept = self.0.quantizer().dim();
        let rotated = self.0.rotation().map(Rotated::dim);
        self.0.projection().map(Projection::dim).or(rotated).unwrap_or(kept)
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> Box<dyn Scorer + 'a> {
        self.0.bind(query)
    }

    fn bind_slot(&self, slot: u32) -> Box<dyn Scorer + '_> {
        self.0.bind_slot(slot)
    }
}

impl<C: Codec> AnyCodes for CodeRows<C> {
    fn rows(&self) -> usize {
        self.view.len()
    }

    fn quantizer(&self) -> Quantizer {
        self.coder.codec().quantizer()
    }

    fn projection(&self) -> Option<&Projection> {
        self.coder.projection()
    }

    fn rotation(&self) -> Option<&Rotated> {
        self.coder.rotation()
    }

    fn bind<'a>(&'a self, query: &[f32]) -> Box<dyn Scorer + 'a> {
        Box::new(self.view.rows().into_scorer(self.coder.bind(query)))
    }

    fn bind_slot<'a>(&'a self, slot: u32) -> Box<dyn Scorer + 'a> {
        Box::new(self.view.bind_slot(slot))
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

impl<C: Codec> CodeRows<C> {
    /// The rows of a `section` that `coder` made.
    pub(super) fn new(section: &Blob, coder: Coder<C>) -> Result<Self> {
        let view = View::open_section(section, coder.codec().clone()).map_err(unreadable)?;
        Ok(Self { coder, view })
    }

    fn open(section: &Blob, codec: C, transform: Transform, (dim, metric): (usize, Metric)) -> Result<Self> {
        let made = (codec.dim(), codec.metric());
        let coder = match transform {
            Transform::Direct => Coder::direct(codec),
            Transform::Projected(projection) if (projection.kept(), projection.metric()) == made => {
                Coder::projected(projection, codec)
            }
            Transform::Rotated(rotated) if (rotated.padded(), rotated.metric()) == made => {
                Coder::rotated(rotated, codec)
            }
            _ => return Err(foreign()),
        };
        if (coder.dim(), coder.metric()) != (dim, metric) {
            return Err(foreign());
        }
        Self::new(section, coder)
    }

    /// Compares rows with a query that the coder bound.
    pub(super) fn scorer<'a>(&'a self, query: &'a C::Query) -> RowScorer<'a, C> {
        self.view.rows().scorer(query)
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
