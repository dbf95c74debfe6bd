//! The few nearest of many distances.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

/// Minima that are kept apart while distances are looked through.
const LANES: usize = 64;

/// Distances that are compared with a bound at a time.
const BLOCK: usize = 16;

/// Puts the places of the `count` least distances into `places`, ascending, and perhaps those of some others: none that is
/// greater than all of them is missing, and one that is not a number is never among them.
#[inline(always)]
pub(super) fn nearest(distances: &[f32], count: usize, places: &mut Vec<u32>) {
    places.clear();
    let bound = bound(distances, count);
    let (blocks, rest) = distances.as_chunks::<BLOCK>();
    for (at, block) in blocks.iter().enumerate() {
        // Without an early exit, so that a block is a few comparisons; few blocks hold anything.
        let near: u32 = block.iter().map(|distance| u32::from(*distance <= bound)).sum();
        if near > 0 {
            within(block, at * BLOCK, bound, places);
        }
    }
    within(rest, blocks.len() * BLOCK, bound, places);
}

#[inline(always)]
fn within(distances: &[f32], first: usize, bound: f32, places: &mut Vec<u32>) {
    for (at, distance) in distances.iter().enumerate() {
        if *distance <= bound {
            places.push((first + at) as u32);
        }
    }
}

/// A distance that at least `count` of the distances are within, if there are so many: the `count`-th of the least of
/// each lane.
#[inline(always)]
fn bound(distances: &[f32], count: usize) -> f32 {
    if count > LANES || distances.len() < LANES {
        return f32::INFINITY;
    }
    let mut least = [f32::INFINITY; LANES];
    let (blocks, rest) = distances.as_chunks::<LANES>();
    for block in blocks {
        for (least, distance) in least.iter_mut().zip(block) {
            *least = if *distance < *least { *distance } else { *least };
        }
    }
    for (least, distance) in least.iter_mut().zip(rest) {
        *least = if *distance < *least { *distance } else { *least };
    }
    // Fewer lanes let a little more through and are quicker to sort.
    let mut lanes = LANES;
    while lanes >= 4 * count.max(4) {
        lanes /= 2;
        let (low, high) = least.split_at_mut(lanes);
        low.iter_mut().zip(high).for_each(|(low, high)| *low = if *high < *low { *high } else { *low });
    }
    ranked(&least[..lanes], count)
}

/// The greatest value that fewer than `count` are less than. Counting all is quicker than sorting few: it takes no branch.
#[inline(always)]
fn ranked(values: &[f32], count: usize) -> f32 {
    let mut ranks = [0_u32; LANES];
    for value in values {
        ranks.iter_mut().zip(values).for_each(|(rank, other)| *rank += u32::from(value < other));
    }
    let within = ranks
        .iter()
        .zip(values)
        .map(|(rank, value)| if (*rank as usize) < count { *value } else { f32::NEG_INFINITY });
    within.fold(f32::NEG_INFINITY, |greatest, value| if value > greatest { value } else { greatest })
}

#[cfg(test)]
mod tests;
