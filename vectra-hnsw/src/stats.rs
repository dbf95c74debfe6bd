//! The shape of a graph in figures.

use crate::graph::{Links, NONE};

/// The shape of a graph.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// How many slots it covers.
    pub rows: u64,
    /// Layer 0 first.
    pub layers: Vec<LayerStats>,
    /// Bytes of memory (of the file, for a view).
    pub bytes: usize,
}

/// One layer of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LayerStats {
    /// Nodes on the layer.
    pub nodes: u64,
    /// Links among them.
    pub links: u64,
    /// The shortest list.
    pub degree_min: usize,
    /// The longest list.
    pub degree_max: usize,
}

impl LayerStats {
    /// Links per node.
    pub fn degree_mean(&self) -> f64 {
        if self.nodes == 0 { 0.0 } else { self.links as f64 / self.nodes as f64 }
    }

    fn add(&mut self, degree: usize) {
        self.degree_min = if self.nodes == 0 { degree } else { self.degree_min.min(degree) };
        self.degree_max = self.degree_max.max(degree);
        self.nodes += 1;
        self.links += degree as u64;
    }
}

impl Stats {
    /// Walks all lists; `levels` has the highest layer of each ordinal.
    pub(crate) fn of<L: Links>(links: &L, levels: &[u32], bytes: usize) -> Self {
        let mut buffer = [NONE; 64];
        let mut layers = vec![LayerStats::default(); 1 + levels.iter().copied().max().unwrap_or(0) as usize];
        for slot in 0..links.rows() {
            layers[0].add(links.base(slot, &mut buffer).len());
        }
        for (ordinal, level) in levels.iter().enumerate() {
            for (layer, stats) in layers.iter_mut().enumerate().skip(1).take(*level as usize) {
                stats.add(links.upper(layer, ordinal as u32, &mut buffer).len());
            }
        }
        Self { rows: u64::from(links.rows()), layers, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::graph::Graph;

    #[test]
    fn degrees_are_counted_per_layer() {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(100);
        graph.write(0, 0, [1, 2, 3].into_iter());
        graph.write(0, 1, [0].into_iter());
        graph.write(1, 0, [1, 2].into_iter());
        let levels: Vec<u32> = graph.uppers().iter().map(|upper| upper.level).collect();
        let stats = Stats::of(&graph, &levels, 7);
        assert_eq!((stats.rows, stats.bytes), (100, 7));
        assert_eq!(stats.layers[0], LayerStats { nodes: 100, links: 4, degree_min: 0, degree_max: 3 });
        let expected = LayerStats { nodes: levels.len() as u64, links: 2, degree_min: 0, degree_max: 2 };
        assert_eq!(stats.layers[1], expected);
        assert!((stats.layers[0].degree_mean() - 0.04).abs() < 1e-9);
        assert!(LayerStats::default().degree_mean().abs() < 1e-9);
    }
}
