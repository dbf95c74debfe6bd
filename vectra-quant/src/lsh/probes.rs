//! Which buckets a query visits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Patterns to turn a query's own with, the likeliest first: those whose bits have the smallest sum of squared margins.
/// The first is zero. There are `count` of them, or as many as there are patterns of so many bits.
pub(super) fn patterns(margins: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<(f32, u32)> =
        margins.iter().zip(0..).map(|(margin, bit)| (margin * margin, 1 << bit)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut patterns = Vec::with_capacity(count);
    patterns.push(0);
    // Each set of bits comes out of exactly one other: its last bit moved on by one, or the next one added. Sums are not
    // negative, so that their bits sort as they do.
    let mut open = BinaryHeap::new();
    if let Some((cost, bit)) = order.first() {
        open.push(Reverse((cost.to_bits(), *bit, 0)));
    }
    while patterns.len() < count
        && let Some(Reverse((cost, pattern, last))) = open.pop()
    {
        patterns.push(pattern);
        if let Some((next, bit)) = order.get(last + 1) {
            let (cost, (here, moved)) = (f32::from_bits(cost), order[last]);
            open.push(Reverse(((cost + next).to_bits(), pattern | bit, last + 1)));
            // What is left may be below zero by a rounding.
            let without = if cost > here { cost - here } else { 0.0 };
            open.push(Reverse(((without + next).to_bits(), pattern & !moved | bit, last + 1)));
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use vectra_core::testing::oracle::Dice;

    use super::*;

    #[test]
    fn patterns_come_in_the_order_of_their_sums() {
        let mut dice = Dice::new(1);
        for bits in 1..=10 {
            let margins: Vec<f32> = (0..bits).map(|_| dice.gaussian()).collect();
            let sum = |pattern: u32| -> f32 {
                (0..bits).filter(|bit| pattern >> bit & 1 == 1).map(|bit| margins[bit] * margins[bit]).sum()
            };
            let mut expected: Vec<u32> = (0..1 << bits).collect();
            expected.sort_by(|a, b| sum(*a).total_cmp(&sum(*b)));
            for count in [1, 2, 7, 100, 2000] {
                let found = patterns(&margins, count);
                assert_eq!(found.len(), count.min(1 << bits));
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((sum(*found) - sum(*expected)).abs() < 1e-5, "{bits} bits");
                }
                let mut each = found.clone();
                each.sort_unstable();
                each.dedup();
                assert_eq!(each.len(), found.len(), "no bucket is visited twice");
            }
        }
    }

    #[test]
    fn margins_of_zero_and_beyond_all_measure_have_an_order() {
        assert_eq!(patterns(&[0.0; 3], 8).len(), 8);
        assert_eq!(patterns(&[1e30, 0.0, f32::MAX], 3)[..2], [0, 2]);
        assert_eq!(patterns(&[], 5), [0]);
    }
}
