//! What to do next with a shard's sealed segments: a decision returned as a value, carried out elsewhere.

/// What a policy looks at, one per sealed segment, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentStats {
    /// Grows with the time of its making.
    pub(crate) number: u64,
    pub(crate) rows: u32,
    pub(crate) live: u32,
    /// Rows with newer metadata.
    pub(crate) overlay: u32,
    pub(crate) has_graph: bool,
}

impl SegmentStats {
    /// Whether a rewrite pays: a fifth dead, or a twentieth with newer metadata.
    fn is_worn(&self) -> bool {
        let [rows, live, overlay] = [self.rows, self.live, self.overlay].map(u64::from);
        (rows - live) * 5 > rows || overlay * 20 > rows
    }
}

/// A decision; numbers are positions in the list of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    Nothing,
    /// Rewrite these, in order, as one segment.
    Merge(Vec<usize>),
    /// Build the graph of this one.
    BuildGraph(usize),
}

/// Decides what to do with the segments of one shard.
pub(crate) trait CompactionPolicy {
    fn choose(&self, segments: &[SegmentStats]) -> Choice;
}

/// Merges segments of similar size, `fan_in` at a time; builds graphs; rewrites worn segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SizeTiered {
    pub(crate) fan_in: usize,
    pub(crate) rows_max: u32,
    /// Whether graphs are put off (a bulk load is going on).
    pub(crate) defer_graphs: bool,
}

impl CompactionPolicy for SizeTiered {
    fn choose(&self, segments: &[SegmentStats]) -> Choice {
        if self.defer_graphs {
            return Choice::Nothing;
        }
        let bare: Vec<usize> = (0..segments.len()).filter(|i| !segments[*i].has_graph).collect();
        // Rows piled up without a graph: merge first, so that the graph is built once.
        let pile = fitting(&bare, segments, self.rows_max);
        if pile.len() >= self.fan_in {
            return Choice::Merge(pile);
        }
        if let Some(i) = bare.first() {
            return Choice::BuildGraph(*i);
        }
        if let Some(i) = segments.iter().position(SegmentStats::is_worn) {
            return Choice::Merge(vec![i]);
        }
        let mut tiers: std::collections::BTreeMap<u32, Vec<usize>> = std::collections::BTreeMap::new();
        for (i, segment) in segments.iter().enumerate() {
            tiers.entry(segment.live.max(1).ilog(self.fan_in.max(2) as u32)).or_default().push(i);
        }
        let full = tiers.into_values().map(|tier| fitting(&tier, segments, self.rows_max));
        full.into_iter().find(|tier| tier.len() >= self.fan_in).map_or(Choice::Nothing, Choice::Merge)
    }
}

/// Merges everything that can be merged, drops everything dead, builds every graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Everything {
    pub(crate) rows_max: u32,
    /// Single segments with a smaller number are rewritten for the sake of a few dead rows.
    pub(crate) drop_dead_below: u64,
}

impl CompactionPolicy for Everything {
    fn choose(&self, segments: &[SegmentStats]) -> Choice {
        let small: Vec<usize> =
            (0..segments.len()).filter(|i| segments[*i].live <= self.rows_max / 2).collect();
        let group = fitting(&small, segments, self.rows_max);
        if group.len() >= 2 {
            return Choice::Merge(group);
        }
        let stale = |s: &SegmentStats| s.number < self.drop_dead_below && (s.live < s.rows || s.overlay > 0);
        if let Some(i) = segments.iter().position(stale) {
            return Choice::Merge(vec![i]);
        }
        segments.iter().position(|s| !s.has_graph).map_or(Choice::Nothing, Choice::BuildGraph)
    }
}

/// The longest beginning of `group` whose live rows fit one segment.
fn fitting(group: &[usize], segments: &[SegmentStats], rows_max: u32) -> Vec<usize> {
    let mut rows = 0_u64;
    let fits = |i: &&usize| {
        rows += u64::from(segments[**i].live);
        rows <= u64::from(rows_max)
    };
    group.iter().take_while(fits).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIERED: SizeTiered = SizeTiered { fan_in: 4, rows_max: 1000, defer_graphs: false };

    fn segment(rows: u32, has_graph: bool) -> SegmentStats {
        SegmentStats { number: 5, rows, live: rows, overlay: 0, has_graph }
    }

    #[test]
    fn a_bare_segment_gets_its_graph_and_a_pile_is_merged_first() {
        assert_eq!(TIERED.choose(&[]), Choice::Nothing);
        assert_eq!(TIERED.choose(&[segment(10, true), segment(10, false)]), Choice::BuildGraph(1));
        assert_eq!(TIERED.choose(&[segment(10, false); 4]), Choice::Merge(vec![0, 1, 2, 3]));
        assert_eq!(
            SizeTiered { defer_graphs: true, ..TIERED }.choose(&[segment(10, false); 4]),
            Choice::Nothing
        );
    }

    #[test]
    fn four_of_a_size_are_merged_within_the_limit() {
        let mixed =
            [segment(100, true), segment(10, true), segment(9, true), segment(11, true), segment(8, true)];
        assert_eq!(TIERED.choose(&mixed), Choice::Merge(vec![1, 2, 3, 4]).clone());
        assert_eq!(
            TIERED.choose(&[segment(300, true); 4]),
            Choice::Nothing,
            "1200 rows do not fit one segment"
        );
    }

    #[test]
    fn worn_segments_are_rewritten() {
        let dead = SegmentStats { live: 70, ..segment(100, true) };
        assert_eq!(TIERED.choose(&[dead]), Choice::Merge(vec![0]));
        let updated = SegmentStats { overlay: 6, ..segment(100, true) };
        assert_eq!(TIERED.choose(&[updated]), Choice::Merge(vec![0]));
    }

    #[test]
    fn everything_ends_with_one_clean_segment() {
        let all = Everything { rows_max: 1000, drop_dead_below: 6 };
        assert_eq!(all.choose(&[segment(10, true), segment(400, false)]), Choice::Merge(vec![0, 1]));
        let dead = SegmentStats { live: 99, ..segment(100, true) };
        assert_eq!(all.choose(&[dead]), Choice::Merge(vec![0]));
        assert_eq!(Everything { drop_dead_below: 5, ..all }.choose(&[dead]), Choice::Nothing);
        assert_eq!(all.choose(&[segment(100, false)]), Choice::BuildGraph(0));
        assert_eq!(all.choose(&[segment(100, true)]), Choice::Nothing);
    }
}
