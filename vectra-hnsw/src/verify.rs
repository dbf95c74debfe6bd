//! The full check of a frozen graph's structure.

use crate::format::{FormatError, HEADER_LEN, Header, check};
use crate::graph::NONE;

/// Whether the words after the header are a graph: every list within its degree, its links existing, distinct and not
/// to itself, the upper slots in their order, the entry the first of them.
pub(crate) fn verify(header: &Header, words: &[u32]) -> Result<(), FormatError> {
    let degree_max = header.params.degree_max(0);
    for (slot, list) in (0..header.rows).zip(words.chunks_exact(header.params.stride(0))) {
        let at = slot as usize * header.params.stride(0);
        verify_list(list, at, slot, header.rows, degree_max)?;
    }
    verify_upper_slots(header, words)?;
    let stride = header.params.stride(1);
    for (layer, count) in (1..).zip(&header.upper_counts) {
        for ordinal in 0..*count {
            let at = header.layer_at(layer) + ordinal as usize * stride;
            verify_list(&words[at..at + stride], at, ordinal, *count, header.params.degree_max(layer))?;
        }
    }
    Ok(())
}

/// The offset in the graph's bytes of a word after the header.
fn offset(word: usize) -> u64 {
    HEADER_LEN as u64 + 4 * word as u64
}

fn verify_list(
    list: &[u32],
    at: usize,
    owner: u32,
    nodes: u32,
    degree_max: usize,
) -> Result<(), FormatError> {
    let len = list.iter().position(|link| *link == NONE).unwrap_or(list.len());
    check(len <= degree_max, offset(at + degree_max), "a list no longer than its degree", len as u64)?;
    for (i, link) in list.iter().enumerate() {
        let found = u64::from(*link);
        let at = offset(at + i);
        if i >= len {
            check(*link == NONE, at, "nothing behind the end of a list", found)?;
        } else {
            check(*link < nodes, at, "a node of the layer", found)?;
            check(*link != owner, at, "a link to another node", found)?;
            check(!list[..i].contains(link), at, "a link that the list does not have yet", found)?;
        }
    }
    Ok(())
}

fn verify_upper_slots(header: &Header, words: &[u32]) -> Result<(), FormatError> {
    let first = header.upper_slots_at();
    let slots = &words[first..first + header.uppers()];
    let Some(top) = slots.first() else { return Ok(()) };
    check(Some(*top) == header.entry, offset(first), "the entry", (*top).into())?;
    let mut seen = vec![false; header.rows as usize];
    // the nodes whose highest layer is the same stand together, the highest layer first
    let mut start = 0;
    for end in header.upper_counts.iter().rev() {
        let mut last = None;
        for (ordinal, slot) in (start..).zip(slots[start..*end as usize].iter().copied()) {
            let at = offset(first + ordinal);
            check(slot < header.rows, at, "a slot of the segment", slot.into())?;
            check(last < Some(slot), at, "a slot above the one before", slot.into())?;
            check(
                !std::mem::replace(&mut seen[slot as usize], true),
                at,
                "a slot not listed yet",
                slot.into(),
            )?;
            last = Some(slot);
        }
        start = *end as usize;
    }
    Ok(())
}
