//! Building a graph: all rows at once from groups of near ones ([`bulk`]); or one insertion ([`insert`]), what it links
//! ([`select`], [`link`]) and many at once ([`parallel`]); and the rows nobody links afterwards ([`repair`]).

pub(crate) mod bulk;
pub(crate) mod insert;
pub(crate) mod link;
pub(crate) mod parallel;
pub(crate) mod repair;
pub(crate) mod select;

use crate::params::ParamsError;

/// Why a build gave no graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The parameters are out of range.
    #[error("the parameters of the graph are out of range")]
    Params(#[from] ParamsError),
    /// The store has more rows than one graph can link.
    #[error("{0} rows are more than the 2^31 of one graph")]
    TooManyRows(usize),
    /// The caller's progress function asked to stop.
    #[error("the build was stopped after {0} rows")]
    Stopped(u64),
}
