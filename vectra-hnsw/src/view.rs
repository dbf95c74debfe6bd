//! The frozen graph over immutable bytes.

use vectra_core::Neighbor;
use vectra_core::admit::Admit;
use vectra_core::index::{AnnIndex, SearchCounts, SearchParams};
use vectra_core::io::Blob;
use vectra_core::memory::prefetch;
use vectra_core::scorer::Scorer;

use crate::format::{FormatError, HEADER_LEN, Header, check};
use crate::graph::{Buffer, Entry, Links, NONE};
use crate::params::Params;
use crate::scratch::Scratch;
use crate::search;
use crate::search::watch::Watch;
use crate::stats::Stats;

/// A frozen graph over the bytes of [`crate::Hnsw::encode`], mapped or owned; cloning copies nothing.
///
/// Every link is checked when it is followed: damaged bytes can cost recall, but never panic, loop or answer a slot
/// that does not exist. [`HnswView::verify`] finds the damage.
#[derive(Debug, Clone)]
pub struct HnswView {
    header: std::sync::Arc<Header>,
    /// What follows the header, as words of this machine.
    words: Blob,
    bytes: usize,
}

impl HnswView {
    /// Checks the header and the length of `blob`, which holds a graph of `rows` rows, and nothing else.
    ///
    /// The bytes are used where they are, unless they are not aligned to four bytes or the machine is big-endian; then
    /// they are copied.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the view takes over what the caller holds of the bytes"
    )]
    pub fn open(blob: Blob, rows: u32) -> Result<Self, FormatError> {
        let header = Header::decode(&blob)?;
        check(header.rows == rows, 12, "the rows of the segment", header.rows.into())?;
        let bytes = blob.len();
        let body = blob.slice(HEADER_LEN..bytes).filter(|_| bytes as u64 == header.len());
        let body = body.ok_or(FormatError::Length { expected: header.len(), found: bytes as u64 })?;
        Ok(Self { header: std::sync::Arc::new(header), words: native(body), bytes })
    }

    /// Checks every list; the first damage is reported.
    pub fn verify(&self) -> Result<(), FormatError> {
        crate::verify::verify(&self.header, self.links().words)
    }

    /// The slots that links do not lead to from where every search starts, ascending; walks all lists of layer 0.
    ///
    /// A graph of [`crate::Hnsw::build`] has none. It is not damage that [`HnswView::verify`] knows of: such rows cost
    /// recall alone.
    pub fn unreachable(&self) -> Vec<u32> {
        crate::reach::unreachable(&self.links())
    }

    /// As [`AnnIndex::search`], with parameters chosen by the distance at which the descent to layer 0 ended: it tells,
    /// before most of the work is done, how far the rows of this graph lie from the query.
    pub fn search_chosen<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        choose: impl FnOnce(f32) -> SearchParams,
        admit: &A,
        scratch: &mut Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchCounts {
        search::search_chosen(&self.links(), scorer, choose, admit, scratch, out)
    }

    /// Walks with a pool of `ef` as if the slots of `without` were not in the graph, and shows every step to `watch`;
    /// where the descent to layer 0 ended.
    ///
    /// `None`, and nothing walked, if it ended at a slot of `without` or there is no row.
    pub fn watched<S: Scorer, W: Watch>(
        &self,
        scorer: &mut S,
        ef: usize,
        without: &[u32],
        scratch: &mut Scratch,
        watch: &mut W,
    ) -> Option<Neighbor> {
        search::watch::watched(&self.links(), scorer, ef, without, scratch, watch)
    }

    /// What the graph was made with.
    pub fn params(&self) -> &Params {
        &self.header.params
    }

    /// Its shape in figures; walks all lists.
    pub fn stats(&self) -> Stats {
        let level =
            |ordinal| self.header.upper_counts.iter().take_while(|count| ordinal < **count).count() as u32;
        let levels: Vec<u32> = (0..self.header.uppers() as u32).map(level).collect();
        Stats::of(&self.links(), &levels, self.bytes)
    }

    /// The lists, looked up once per search.
    fn links(&self) -> Frozen<'_> {
        let words: &[u32] = self.words.as_pod().expect("open made the words aligned");
        Frozen { header: &self.header, stride: self.header.params.stride(0), words }
    }
}

/// The words of `body` in this machine's order and alignment.
fn native(body: Blob) -> Blob {
    if cfg!(target_endian = "little") && body.as_pod::<u32>().is_some() {
        return body;
    }
    let words = body.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    Blob::copy_of(bytemuck::cast_slice(&words.collect::<Vec<u32>>()))
}

/// The lists of a frozen graph while they are borrowed.
struct Frozen<'v> {
    header: &'v Header,
    stride: usize,
    words: &'v [u32],
}

impl Links for Frozen<'_> {
    fn rows(&self) -> u32 {
        self.header.rows
    }

    fn entry(&self) -> Option<Entry> {
        let level = self.header.upper_counts.len();
        self.header.entry.map(|slot| Entry { slot, ordinal: 0, level })
    }

    fn base<'a>(&'a self, slot: u32, _buffer: &'a mut Buffer) -> &'a [u32] {
        if slot >= self.header.rows {
            return &[];
        }
        until_none(&self.words[slot as usize * self.stride..][..self.stride])
    }

    fn fetch(&self, slot: u32) {
        let start = (slot as usize).wrapping_mul(self.stride);
        prefetch(self.words.get(start..start.wrapping_add(self.stride)).unwrap_or_default());
    }

    fn upper<'a>(&'a self, layer: usize, ordinal: u32, _buffer: &'a mut Buffer) -> &'a [u32] {
        match self.header.upper_counts.get(layer - 1) {
            Some(count) if ordinal < *count => {
                let stride = self.header.params.stride(1);
                until_none(&self.words[self.header.layer_at(layer) + ordinal as usize * stride..][..stride])
            }
            _ => &[],
        }
    }

    fn fetch_upper(&self, layer: usize, ordinal: u32) {
        let stride = self.header.params.stride(1);
        let start = (ordinal as usize).wrapping_mul(stride).wrapping_add(self.header.layer_at(layer));
        prefetch(self.words.get(start..start.wrapping_add(stride)).unwrap_or_default());
    }

    fn slot_of(&self, ordinal: u32) -> Option<u32> {
        if ordinal as usize >= self.header.uppers() {
            return None;
        }
        let slot = self.words[self.header.upper_slots_at() + ordinal as usize];
        (slot < self.header.rows).then_some(slot)
    }
}

fn until_none(list: &[u32]) -> &[u32] {
    &list[..list.iter().position(|link| *link == NONE).unwrap_or(list.len())]
}

impl AnnIndex for HnswView {
    type Scratch = Scratch;

    fn len(&self) -> usize {
        self.header.rows as usize
    }

    fn search<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        params: &SearchParams,
        admit: &A,
        scratch: &mut Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchCounts {
        search::search(&self.links(), scorer, params, admit, scratch, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hnsw;
    use crate::store::clustered;

    #[test]
    fn misaligned_bytes_are_copied_and_read_the_same() {
        let store = clustered(200, 4, 3, 5);
        let hnsw = Hnsw::build(&store, &Params::default(), 1, &|_| true).expect("not stopped");
        let mut shifted = vec![0];
        shifted.extend(hnsw.encode());
        let blob = Blob::copy_of(&shifted).slice(1..shifted.len()).expect("inside");
        let view = HnswView::open(blob, 200).expect("own encoding");
        assert_eq!(view.verify(), Ok(()));
        assert_eq!(view.stats().layers, hnsw.stats().layers);
    }

    #[test]
    fn wrong_rows_and_lengths_are_refused() {
        let store = clustered(50, 4, 3, 5);
        let bytes = Hnsw::build(&store, &Params::default(), 1, &|_| true).expect("not stopped").encode();
        let open = |bytes: &[u8], rows| HnswView::open(Blob::copy_of(bytes), rows).map(|_| ());
        assert_eq!(open(&bytes, 50), Ok(()));
        assert!(matches!(open(&bytes, 51), Err(FormatError::Damaged { offset: 12, .. })));
        let len = bytes.len() as u64;
        let short = open(&bytes[..bytes.len() - 1], 50);
        assert_eq!(short, Err(FormatError::Length { expected: len, found: len - 1 }));
        assert_eq!(open(&[], 0), Err(FormatError::Length { expected: 128, found: 0 }));
    }
}
