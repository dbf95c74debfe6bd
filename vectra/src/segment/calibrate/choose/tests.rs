use super::super::trace::Case;
use super::*;

/// A query whose recall grows with the slack to `most`, and needs a pool of 40 for that of a large slack.
fn outcome(first: f32, hard: f32, most: f32) -> Outcome {
    let mut cases = vec![Case::default(); case(WANTED.len(), 0, 0)];
    for i in 0..WANTED.len() {
        for (s, slack) in slacks().into_iter().enumerate() {
            for (p, pool) in POOLS.into_iter().enumerate() {
                let narrow = if pool.max(WANTED[i]) < 40 && slack > 0.1 { 0.5 } else { 1.0 };
                let recall = most * (slack / hard).min(1.0) * narrow;
                cases[case(i, s, p)] = Case { recall, distances: (s * 100 + p) as f32 };
            }
        }
    }
    Outcome { first, cases, ranks: std::array::from_fn(|i| (0..WANTED[i]).collect()) }
}

#[test]
fn harder_queries_farther_out_get_more_slack_and_higher_targets_too() {
    let outcomes = (0..200).map(|i| {
        let far = i % 2 == 1;
        outcome(if far { 0.5 } else { 0.2 } + i as f32 * 1e-4, if far { 0.2 } else { 0.05 }, 1.0)
    });
    let table = choose(outcomes.collect()).expect("a table");
    let [near, far] = [0.2, 0.51].map(|first| table.rule(10, 0.95, first));
    assert!(near.slack >= 0.0475 && near.slack < 0.06, "{near:?}");
    assert!(far.slack >= 0.19 && far.slack < 0.23, "{far:?}");
    assert!(
        far.ef >= 40 && far.ef <= 96 && near.ef == 40,
        "enough, and what the slack asks for: {near:?} {far:?}"
    );
    assert!(table.rule(10, 0.8, 0.51).slack < far.slack);
    assert_eq!(near.depth, 10 + 10 / 4 + 2, "all true neighbours are the nearest by code");
    let rules = |first: f32| TARGETS.map(|target| table.rule(10, target, first).slack);
    assert!(rules(0.2).is_sorted() && rules(0.51).is_sorted());
}

#[test]
fn an_easy_far_band_gets_no_less_than_the_near_one() {
    let outcomes = (0..100).map(|i| outcome(i as f32, if i < 50 { 0.3 } else { 0.01 }, 1.0));
    let table = choose(outcomes.collect()).expect("a table");
    assert!(table.rule(10, 0.9, 99.0).slack >= table.rule(10, 0.9, 0.0).slack);
}

#[test]
fn what_no_walk_reaches_gets_the_last_resort() {
    let table = choose((0..60).map(|i| outcome(i as f32, 0.05, 0.9)).collect()).expect("a table");
    let last = table.rule(10, 0.95, 0.0);
    assert_eq!(last.slack.to_bits(), f32::INFINITY.to_bits());
    let widest = POOLS[POOLS.len() - 1];
    assert!(last.ef.abs_diff(2 * widest) <= 1, "twice the pool for half of what is missed: {last:?}");
    assert_eq!(table.rule(10, 0.999, 0.0).ef, 4 * widest, "but no more than four times");
    assert!(table.rule(10, 0.85, 0.0).slack < 0.1);
}

#[test]
fn a_sample_that_may_be_far_off_needs_more() {
    let certain = Average { recall: 0.95, error: 0.002, distances: 0.0 };
    let doubtful = Average { error: 0.03, ..certain };
    assert!(certain.reaches(0.947) && !doubtful.reaches(0.947) && doubtful.reaches(0.929));
    assert!(!certain.reaches(0.948), "the mean itself counts, too, less a margin");
}

#[test]
fn a_few_queries_that_miss_nearly_all_do_not_decide_for_the_rest() {
    // One in 66 finds nothing below the largest slacks.
    let few = |i: i32| outcome(i as f32, if i % 66 == 7 { 1000.0 } else { 0.05 }, 1.0);
    let outcomes: Vec<_> = (0..200).map(few).collect();
    let mut found = Averages::of(&outcomes, 1);
    let slack = |choice: Choice| slacks()[choice.slack];
    let cheap = found.cheapest(Choice::default(), 0.99);
    assert!(slack(cheap) < 0.06, "so few count for little more than a hit of ten each: {cheap:?}");
    assert!((found.missed_max - 0.15).abs() < 1e-6);
    // With one hit wanted there is nothing between all and nothing.
    let mut found = Averages::of(&outcomes, 0);
    let dear = found.cheapest(Choice::default(), 0.99);
    assert!(slack(dear) > 0.5, "{dear:?}");
}

#[test]
fn without_queries_or_with_nonsense_there_is_no_table() {
    assert_eq!(choose(Vec::new()), None);
    assert_eq!(choose(vec![outcome(f32::NAN, 0.1, 1.0)]), None);
}

#[test]
fn the_depth_holds_the_true_neighbours_but_for_a_tenth_of_what_may_be_missed() {
    let mut outcomes: Vec<_> = (0..100).map(|i| outcome(i as f32, 0.1, 1.0)).collect();
    outcomes[7].ranks[1] = (20..30).collect();
    // One in a hundred lies deep: within the tenth of 0.2, not of 0.01.
    assert_eq!(depth(&outcomes, 1, 0.8, 10), 10 + 2 + 2);
    assert_eq!(depth(&outcomes, 1, 0.999, 10), 30 + 7 + 2);
}
