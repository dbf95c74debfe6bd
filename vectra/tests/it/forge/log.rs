//! Log files with right sums, whatever they then say.

use std::collections::BTreeMap;

use vectra_core::codec::{crc32c, crc32c_append};

const HEADER: usize = 4096;
const FRAME: usize = 56;
const MAGIC: [u8; 4] = 0x6d72_4676_u32.to_le_bytes();

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Where each frame of an intact file begins and how long its payload is.
pub(crate) fn frames(file: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), HEADER);
    while at + FRAME <= file.len() && file[at..at + 4] == MAGIC {
        let len = word(file, at + 8) as usize;
        found.push((at, len));
        at += (FRAME + len).next_multiple_of(8);
    }
    found
}

/// Payload sums that changed: what stood there before, and what stands there now.
pub(crate) type Sums = BTreeMap<u32, u32>;

/// Recomputes every sum of one file: of its header, of each frame, and the links from payload to payload wherever the
/// sum that a link names is known to have changed.
pub(crate) fn repair(file: &mut [u8], sums: &mut Sums) {
    if file.len() < HEADER {
        return;
    }
    relink(file, 88, sums);
    let sum = crc32c(&file[..HEADER - 4]);
    file[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
    let salt: [u8; 8] = file[56..64].try_into().expect("eight bytes");
    for (at, len) in frames(file) {
        let payload = at + FRAME..(at + FRAME + len).min(file.len());
        let (old, new) = (word(file, at + 28), crc32c(&file[payload]));
        if old != new {
            sums.insert(old, new);
        }
        file[at + 28..at + 32].copy_from_slice(&new.to_le_bytes());
        relink(file, at + 40, sums);
        let seed = crc32c_append(crc32c(&salt), &(at as u64).to_le_bytes());
        let sum = crc32c_append(crc32c_append(seed, &file[at..at + 4]), &file[at + 8..at + FRAME]);
        file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

fn relink(file: &mut [u8], at: usize, sums: &Sums) {
    if let Some(new) = sums.get(&word(file, at)) {
        file[at..at + 4].copy_from_slice(&new.to_le_bytes());
    }
}
