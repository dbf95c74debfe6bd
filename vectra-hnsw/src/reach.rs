//! Which rows links lead to from where every search starts, whatever it looks for.

use crate::graph::{Links, NONE};

/// The rows of layer 0 reached so far.
pub(crate) struct Reached {
    marks: Vec<bool>,
    queue: Vec<u32>,
}

impl Reached {
    pub(crate) fn new(rows: u32) -> Self {
        Self { marks: vec![false; rows as usize], queue: Vec::new() }
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.marks[slot as usize]
    }

    /// Marks everything that can be reached from `start` on layer 0; links of damaged bytes to no row lead nowhere.
    pub(crate) fn walk<L: Links>(&mut self, links: &L, start: u32) {
        let mut buffer = [NONE; 64];
        self.mark(start);
        while let Some(slot) = self.queue.pop() {
            for next in links.base(slot, &mut buffer) {
                self.mark(*next);
            }
        }
    }

    fn mark(&mut self, slot: u32) {
        if let Some(mark) = self.marks.get_mut(slot as usize)
            && !std::mem::replace(mark, true)
        {
            self.queue.push(slot);
        }
    }
}

/// The rows to which no links of layer 0 lead from the entry, ascending.
///
/// Every search begins on layer 0 at the entry, and beside it at the row where its descent ends. That other start does
/// not count: it depends on the query, so that a row reached from there alone is lost to most queries.
pub(crate) fn unreachable<L: Links>(links: &L) -> Vec<u32> {
    let mut reached = Reached::new(links.rows());
    if let Some(entry) = links.entry() {
        reached.walk(links, entry.slot);
    }
    (0..links.rows()).filter(|slot| !reached.contains(*slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::graph::Graph;

    /// Lists of layer 0, the first row being the entry.
    fn graph(lists: &[&[u32]]) -> Graph {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(lists.len() as u32);
        graph.entry = (!lists.is_empty()).then(|| graph.entry_at(0));
        for (slot, list) in (0..).zip(lists) {
            graph.write(0, slot, list.iter().copied());
        }
        graph
    }

    #[test]
    fn links_count_in_their_direction_only() {
        // 3 and 4 have links, to one another and into the rest, and nobody has links to them
        assert_eq!(unreachable(&graph(&[&[1], &[2], &[0], &[0, 4], &[3, 1]])), [3, 4]);
        assert_eq!(unreachable(&graph(&[&[1], &[2], &[3], &[4], &[]])), [] as [u32; 0]);
        assert_eq!(unreachable(&graph(&[&[], &[0], &[1]])), [1, 2]);
    }

    #[test]
    fn links_to_no_row_lead_nowhere() {
        assert_eq!(unreachable(&graph(&[&[7, 1], &[NONE - 1], &[0]])), [2]);
        let mut reached = Reached::new(2);
        reached.walk(&graph(&[&[1], &[0]]), 9);
        assert!(!reached.contains(0) && !reached.contains(1));
    }

    #[test]
    fn without_an_entry_nothing_is_reached() {
        assert!(unreachable(&graph(&[])).is_empty());
        let mut some = graph(&[&[1], &[0]]);
        some.entry = None;
        assert_eq!(unreachable(&some), [0, 1]);
    }
}
