//! The graph as its builder sees it: grown row by row or built at once, searchable, and written out.

use vectra_core::Neighbor;
use vectra_core::admit::Admit;
use vectra_core::index::{AnnIndex, SearchCounts, SearchParams};
use vectra_core::scorer::{Scorer, VectorStore};

use crate::build::insert::{InsertScratch, insert};
use crate::build::{BuildError, bulk, parallel, repair};
use crate::graph::{Graph, Links};
use crate::params::{Params, ParamsError};
use crate::scratch::Scratch;
use crate::stats::Stats;
use crate::{format, reach, search};

/// A hierarchical navigable small world graph in memory, over the slots `0..len` of a store that the caller keeps.
///
/// The vectors are not part of it: every call that needs them takes the store or a scorer bound to it, and it has to be
/// the same vectors each time.
#[derive(Debug)]
pub struct Hnsw {
    graph: Graph,
    scratch: InsertScratch,
}

impl Hnsw {
    /// An empty graph.
    pub fn new(params: Params) -> Result<Self, ParamsError> {
        params.validate()?;
        Ok(Self { graph: Graph::new(params), scratch: InsertScratch::default() })
    }

    /// Inserts the next slot, which is [`AnnIndex::len`] before the call.
    ///
    /// A row can lose its last incoming link when later rows crowd its neighbours out; [`Hnsw::repair`] from time to
    /// time (or at the end) brings such rows back.
    ///
    /// # Panics
    /// If `store` has no such slot, or at 2^31 rows.
    pub fn insert<V: VectorStore>(&mut self, store: &V) {
        let slot = self.graph.rows();
        assert!((slot as usize) < store.len(), "the store has no slot {slot}");
        self.graph.grow(1);
        let new = self.graph.entry_at(slot);
        if let Some(entry) = self.graph.entry {
            insert(&self.graph, store, entry, slot, &mut self.scratch);
        }
        if self.graph.entry.is_none_or(|entry| new.level > entry.level) {
            self.graph.entry = Some(new);
        }
    }

    /// Builds the graph of all rows of `store` with `threads` threads, every row reachable.
    ///
    /// A store that [forms groups](VectorStore::forms_groups) is linked without a search, and the result depends only on the
    /// vectors and the parameters. Any other is linked by insertions; there the same holds for one thread. `progress` is
    /// told now and then how many rows are done, from any of the threads; when it returns false the build stops.
    pub fn build<V: VectorStore>(
        store: &V,
        params: &Params,
        threads: usize,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Self, BuildError> {
        let mut hnsw = Self::new(*params)?;
        let rows = u32::try_from(store.len()).ok().filter(|rows| *rows <= vectra_core::pool::SLOTS_MAX);
        hnsw.graph.grow(rows.ok_or(BuildError::TooManyRows(store.len()))?);
        if store.forms_groups() {
            bulk::link_all(&mut hnsw.graph, store, threads, progress)?;
        } else {
            parallel::insert_all(&mut hnsw.graph, store, threads, progress)?;
        }
        hnsw.repair(store);
        Ok(hnsw)
    }

    /// Makes every row reachable again; returns how many links that took. [`Hnsw::build`] ends with it.
    pub fn repair<V: VectorStore>(&mut self, store: &V) -> usize {
        repair::repair(&self.graph, store, &mut self.scratch)
    }

    /// The slots that links do not lead to from where every search starts, ascending; walks all lists of layer 0.
    ///
    /// A narrow search misses such a row even if nothing is nearer to the query. There is none after [`Hnsw::build`] and
    /// [`Hnsw::repair`].
    pub fn unreachable(&self) -> Vec<u32> {
        reach::unreachable(&self.graph)
    }

    /// What it was made with.
    pub fn params(&self) -> &Params {
        &self.graph.params
    }

    /// The bytes that [`crate::HnswView::open`] reads; the same graph gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        format::encode(&self.graph)
    }

    /// Its shape in figures.
    pub fn stats(&self) -> Stats {
        let levels: Vec<u32> = self.graph.uppers().iter().map(|upper| upper.level).collect();
        Stats::of(&self.graph, &levels, self.graph.bytes())
    }
}

impl AnnIndex for Hnsw {
    type Scratch = Scratch;

    fn len(&self) -> usize {
        self.graph.rows() as usize
    }

    fn search<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        params: &SearchParams,
        admit: &A,
        scratch: &mut Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchCounts {
        search::search(&self.graph, scorer, params, admit, scratch, out)
    }
}
