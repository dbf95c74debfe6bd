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
    /// Whether its graph is walked on the codes that the index asks for.
    pub(crate) is_encoded: bool,
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
    /// Encode the vectors of this one anew, for the graph that it has.
    Encode(usize),
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
        let mut full = tiers.into_values().map(|tier| fitting(&tier, segments, self.rows_max));
        match full.find(|tier| tier.len() >= self.fan_in) {
            Some(tier) => Choice::Merge(tier),
            None => encode_some(segments),
        }
    }
}

/// A merge under `Everything { thrifty: true, .. }` rewrites at most so many rows for each row that joins them.
const REWRITTEN_PER_ROW: u64 = 100;
/// Rewriting so few rows is a fair price for whatever joins them: it takes a second or two.
const REWRITTEN_FREELY: u64 = 65_536;

/// Leaves as few segments as `rows_max` allows at a fair price, drops everything dead, builds every graph.
///
/// Segments are packed into groups that fit one segment each: the largest first, each into the first group that has room.
/// A group becomes one segment. That rewrites the rows of its largest segment and builds their graph once more, as a graph
/// cannot take in others; so where `thrifty`, the largest stays out (then the largest of the others, and so on) if it has
/// its graph, few of its rows are dead, and the rest would cost it more than [`REWRITTEN_PER_ROW`] rows for each of
/// theirs. Then what was optimized after every small addition is rewritten at most a hundred times over, plus
/// [`REWRITTEN_FREELY`] rows a call, and beside a large segment there stays at most one with less than a hundredth of its
/// rows. Such a one costs a query nearly as much as the large one does, as a walk grows with the logarithm of the rows:
/// hence the generous price.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Everything {
    pub(crate) rows_max: u32,
    /// Single segments with a smaller number are rewritten for the sake of a few dead rows.
    pub(crate) drop_dead_below: u64,
    /// Whether a merge has to be worth its price.
    pub(crate) thrifty: bool,
}

impl CompactionPolicy for Everything {
    fn choose(&self, segments: &[SegmentStats]) -> Choice {
        if let Some(i) = segments.iter().position(|s| s.live == 0) {
            return Choice::Merge(vec![i]);
        }
        if let Some(group) = self.groups(segments).into_iter().next() {
            return Choice::Merge(group);
        }
        let stale = |s: &SegmentStats| s.number < self.drop_dead_below && (s.live < s.rows || s.overlay > 0);
        if let Some(i) = segments.iter().position(stale) {
            return Choice::Merge(vec![i]);
        }
        match segments.iter().position(|s| !s.has_graph) {
            Some(bare) => Choice::BuildGraph(bare),
            None => encode_some(segments),
        }
    }
}

/// Nothing else is to be done: codes that are not as asked for, if there are any.
fn encode_some(segments: &[SegmentStats]) -> Choice {
    segments.iter().position(|s| s.has_graph && !s.is_encoded).map_or(Choice::Nothing, Choice::Encode)
}

impl Everything {
    /// What work on `inputs` under way, which did `done` rows of a graph, had better begin again with: a group that has
    /// more than those, and whose other rows are worth losing what was done.
    pub(crate) fn instead(
        &self,
        segments: &[SegmentStats],
        inputs: &[usize],
        done: u64,
    ) -> Option<Vec<usize>> {
        let live = |positions: &[usize]| positions.iter().map(|i| u64::from(segments[*i].live)).sum::<u64>();
        self.groups(segments).into_iter().find(|group| {
            let includes = group.len() > inputs.len() && inputs.iter().all(|i| group.contains(i));
            includes && self.is_fair(done, live(group).saturating_sub(live(inputs)))
        })
    }

    /// The groups of two or more segments that are to become one each, every one in the order of the list.
    fn groups(&self, segments: &[SegmentStats]) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(segments[*i].live));
        let mut groups: Vec<(u64, Vec<usize>)> = Vec::new();
        for i in order {
            let live = u64::from(segments[i].live);
            match groups.iter_mut().find(|(rows, _)| *rows + live <= u64::from(self.rows_max)) {
                Some((rows, group)) => {
                    *rows += live;
                    group.push(i);
                }
                None => groups.push((live, vec![i])),
            }
        }
        let mut worth: Vec<Vec<usize>> =
            groups.iter().map(|(_, group)| self.worth_merging(group, segments).to_vec()).collect();
        worth.retain(|group| group.len() >= 2);
        worth.iter_mut().for_each(|group| group.sort_unstable());
        worth
    }

    /// What is left of a group, its largest segment first, without those that stay out.
    fn worth_merging<'g>(&self, mut group: &'g [usize], segments: &[SegmentStats]) -> &'g [usize] {
        while let [largest, rest @ ..] = group {
            let largest = &segments[*largest];
            let joining = rest.iter().map(|i| u64::from(segments[*i].live)).sum();
            // Its graph is yet to be built, or its rows are about to be rewritten for their own sake.
            let pays_itself = !largest.has_graph || largest.is_worn();
            if pays_itself || self.is_fair(largest.live.into(), joining) {
                break;
            }
            group = rest;
        }
        group
    }

    /// Whether doing `rows` again is a fair price for having `joining` more in the same segment.
    fn is_fair(&self, rows: u64, joining: u64) -> bool {
        !self.thrifty || rows <= REWRITTEN_FREELY.max(joining.saturating_mul(REWRITTEN_PER_ROW))
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
mod tests;
