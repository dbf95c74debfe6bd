use super::*;

const TIERED: SizeTiered = SizeTiered { fan_in: 4, rows_max: 1000, defer_graphs: false };

fn segment(rows: u32, has_graph: bool) -> SegmentStats {
    SegmentStats { number: 5, rows, live: rows, overlay: 0, has_graph, is_encoded: true }
}

#[test]
fn a_bare_segment_gets_its_graph_and_a_pile_is_merged_first() {
    assert_eq!(TIERED.choose(&[]), Choice::Nothing);
    assert_eq!(TIERED.choose(&[segment(10, true), segment(10, false)]), Choice::BuildGraph(1));
    assert_eq!(TIERED.choose(&[segment(10, false); 4]), Choice::Merge(vec![0, 1, 2, 3]));
    assert_eq!(SizeTiered { defer_graphs: true, ..TIERED }.choose(&[segment(10, false); 4]), Choice::Nothing);
}

#[test]
fn codes_that_nobody_asked_for_come_last() {
    let other = SegmentStats { is_encoded: false, ..segment(100, true) };
    let everything = Everything { rows_max: 950, drop_dead_below: 0, thrifty: true };
    let policies: [&dyn CompactionPolicy; 2] = [&TIERED, &everything];
    for policy in policies {
        assert_eq!(policy.choose(&[segment(900, true), other]), Choice::Encode(1));
        let bare = SegmentStats { has_graph: false, ..segment(950, true) };
        assert_eq!(policy.choose(&[other, bare]), Choice::BuildGraph(1), "a scan is slower than other codes");
        let bare = SegmentStats { is_encoded: false, ..bare };
        assert_eq!(policy.choose(&[bare]), Choice::BuildGraph(0), "which encodes them");
    }
    assert_eq!(SizeTiered { defer_graphs: true, ..TIERED }.choose(&[other]), Choice::Nothing);
}

#[test]
fn four_of_a_size_are_merged_within_the_limit() {
    let mixed =
        [segment(100, true), segment(10, true), segment(9, true), segment(11, true), segment(8, true)];
    assert_eq!(TIERED.choose(&mixed), Choice::Merge(vec![1, 2, 3, 4]).clone());
    assert_eq!(TIERED.choose(&[segment(300, true); 4]), Choice::Nothing, "1200 rows do not fit one segment");
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
    let all = Everything { rows_max: 1000, drop_dead_below: 6, thrifty: false };
    assert_eq!(all.choose(&[segment(10, true), segment(400, false)]), Choice::Merge(vec![0, 1]));
    let dead = SegmentStats { live: 99, ..segment(100, true) };
    assert_eq!(all.choose(&[dead]), Choice::Merge(vec![0]));
    assert_eq!(Everything { drop_dead_below: 5, ..all }.choose(&[dead]), Choice::Nothing);
    assert_eq!(all.choose(&[segment(100, false)]), Choice::BuildGraph(0));
    assert_eq!(all.choose(&[segment(100, true)]), Choice::Nothing);
}

const MILLION: Everything = Everything { rows_max: 1_000_000, drop_dead_below: 0, thrifty: true };
const CLEAN: Everything = Everything { thrifty: false, ..MILLION };

fn with_graphs(rows: &[u32]) -> Vec<SegmentStats> {
    rows.iter().map(|rows| segment(*rows, true)).collect()
}

#[test]
fn what_fits_beside_a_large_segment_joins_it() {
    assert_eq!(MILLION.choose(&with_graphs(&[986_000, 14_000])), Choice::Merge(vec![0, 1]));
    assert_eq!(MILLION.choose(&with_graphs(&[986_000, 14_001])), Choice::Nothing, "a row too many");
    assert_eq!(MILLION.choose(&with_graphs(&[100_000, 600_000, 300_000])), Choice::Merge(vec![0, 1, 2]));
    for policy in [MILLION, CLEAN] {
        assert_eq!(policy.choose(&with_graphs(&[600_000, 600_000])), Choice::Nothing, "two large ones stay");
        let third = with_graphs(&[600_000, 300_000, 700_000, 250_000]);
        assert_eq!(policy.choose(&third), Choice::Merge(vec![1, 2]), "and then the two others");
    }
}

#[test]
fn a_few_rows_do_not_rewrite_many() {
    let few = with_graphs(&[900_000, 8999]);
    assert_eq!(MILLION.choose(&few), Choice::Nothing);
    assert_eq!(CLEAN.choose(&few), Choice::Merge(vec![0, 1]));
    assert_eq!(MILLION.choose(&with_graphs(&[900_000, 9000])), Choice::Merge(vec![0, 1]));
    assert_eq!(MILLION.choose(&with_graphs(&[65_536, 1])), Choice::Merge(vec![0, 1]), "a small price");
    assert_eq!(MILLION.choose(&with_graphs(&[65_537, 1])), Choice::Nothing);
    // Among themselves the few rows become one segment.
    assert_eq!(MILLION.choose(&with_graphs(&[100, 900_000, 50, 10])), Choice::Merge(vec![0, 2, 3]));
    // What has to be done for the large one anyway costs nothing more.
    let bare = [segment(900_000, false), segment(10, true)];
    assert_eq!(MILLION.choose(&bare), Choice::Merge(vec![0, 1]));
    let worn = [SegmentStats { live: 700_000, ..segment(900_000, true) }, segment(10, true)];
    assert_eq!(MILLION.choose(&worn), Choice::Merge(vec![0, 1]));
}

#[test]
fn segments_without_live_rows_go() {
    let dead = SegmentStats { live: 0, ..segment(10, true) };
    for policy in [MILLION, CLEAN] {
        assert_eq!(policy.choose(&[segment(900_000, true), dead]), Choice::Merge(vec![1]));
    }
}

/// Optimizing after each addition, whatever its size, ends with few segments, at a price that has a bound.
#[test]
fn additions_one_after_the_other_have_a_bounded_price() {
    for added in [1, 700, 3000, 20_000, 300_000] {
        let (mut segments, mut rewritten, mut calls) = (Vec::new(), 0_u64, 0_u64);
        while calls < 2000 && segments.iter().map(|s: &SegmentStats| s.rows).sum::<u32>() < 2_500_000 {
            segments.push(segment(added, false));
            calls += 1;
            loop {
                match MILLION.choose(&segments) {
                    Choice::Nothing => break,
                    Choice::Encode(_) => unreachable!("all codes are as asked for"),
                    Choice::BuildGraph(i) => segments[i].has_graph = true,
                    Choice::Merge(positions) => {
                        let rows = positions.iter().map(|i| segments[*i].rows).sum();
                        rewritten += u64::from(rows);
                        assert!(rows <= MILLION.rows_max && positions.len() >= 2);
                        for i in positions.iter().rev() {
                            segments.remove(*i);
                        }
                        segments.insert(positions[0], segment(rows, true));
                    }
                }
            }
            let rows: u32 = segments.iter().map(|s| s.rows).sum();
            assert!(segments.len() <= rows as usize / 500_000 + 2, "{added}: {segments:?}");
        }
        let all = u64::from(added) * calls;
        // Each of two sizes of segment takes its share, and what is rewritten is what joins, too.
        let bound = 2 * (REWRITTEN_PER_ROW + 1) * all + (REWRITTEN_FREELY + u64::from(added)) * calls;
        assert!(rewritten <= bound, "{added}: {rewritten} rows for {all}");
    }
}

#[test]
fn work_under_way_begins_again_for_enough_more() {
    let rows = with_graphs(&[200_000, 200_000, 200_000, 200_000, 5000]);
    let others = vec![0, 1, 2, 3, 4];
    assert_eq!(MILLION.instead(&rows, &[0, 1, 2, 3], 0), Some(others.clone()));
    assert_eq!(MILLION.instead(&rows, &[0, 1, 2, 3], 500_000), Some(others));
    assert_eq!(MILLION.instead(&rows, &[0, 1, 2, 3], 500_001), None, "nearly done, for few more");
    assert_eq!(MILLION.instead(&rows[..4], &[0, 1, 2, 3], 0), None, "that is what is wanted");
    assert_eq!(MILLION.instead(&with_graphs(&[600_000, 600_000]), &[0], 0), None);
    // Neither is a part of the other.
    let apart = with_graphs(&[900_000, 500_000, 500_000]);
    assert_eq!(MILLION.instead(&apart, &[0, 1], 0), None);
}
