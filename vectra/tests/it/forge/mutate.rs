//! Random changes that know where the fields are, made in one file, with every sum right afterwards.

use std::fmt::Write as _;

use vectra_core::testing::oracle::Dice;

use super::folder::Folder;
use super::log::frames;
use super::part::ForgedPart;

/// A mutant of `folder`, decided by `seed`, and what was changed.
pub(crate) fn mutate(folder: &Folder, seed: u64) -> (Folder, String) {
    let mut dice = Dice::new(seed);
    let mut mutant = folder.clone();
    let names = folder.names("");
    // Parts are many; logs and manifests get their share.
    let wanted = ["seg/", "seg/", "seg/", "manifest/", "wal/"][dice.below(5)];
    let names: Vec<&String> = names.iter().filter(|name| name.starts_with(wanted)).collect();
    let name = names[dice.below(names.len())];
    let mut what = name.clone();
    match wanted {
        "seg/" => mutant.forge_part(name, |part| forge_part(part, &mut dice, &mut what)),
        "manifest/" => mutant.forge_manifest(name, |body| forge_manifest(body, &mut dice, &mut what)),
        _ => mutant.forge_log(name, |file| forge_log(file, &mut dice, &mut what)),
    }
    (mutant, what)
}

fn forge_part(part: &mut ForgedPart, dice: &mut Dice, what: &mut String) {
    for _ in 0..=dice.below(3) {
        match dice.below(12) {
            0 => {
                what.push_str(", header");
                change(&mut part.header[..60], dice);
            }
            1 => {
                let (at, value) = (dice.below(part.footer_len()), dice.bits() as u8);
                what.push_str(", footer");
                part.patches.push((at, value));
            }
            2 => resize(part, dice, what),
            3 => {
                what.push_str(", exchanged sections");
                let (a, b) = (dice.below(part.sections.len()), dice.below(part.sections.len()));
                let bytes = part.sections[a].bytes.clone();
                part.sections[b].bytes = bytes;
            }
            _ => {
                let section = dice.below(part.sections.len());
                let section = &mut part.sections[section];
                _ = write!(what, ", section {}", section.kind());
                change(&mut section.bytes, dice);
            }
        }
    }
    if dice.below(8) > 0 {
        part.repair_inner_sums();
    }
}

/// Another length of a section; sometimes with another number of rows to go with it.
fn resize(part: &mut ForgedPart, dice: &mut Dice, what: &mut String) {
    let section = dice.below(part.sections.len());
    let section = &mut part.sections[section];
    let len = section.bytes.len();
    let new = match dice.below(5) {
        0 => 0,
        1 => len / 2,
        2 => len.saturating_sub(1 + dice.below(8)),
        3 => len + 4 * dice.below(5),
        _ => len * 2,
    };
    _ = write!(what, ", section {} of {new} bytes for {len}", section.kind());
    section.bytes.resize(new, dice.bits() as u8);
    if dice.below(2) == 0 {
        change(&mut part.header[48..52], dice);
    }
}

fn forge_manifest(body: &mut Vec<u8>, dice: &mut Dice, what: &mut String) {
    for _ in 0..=dice.below(3) {
        match dice.below(6) {
            0 => {
                what.push_str(", cut or grown");
                let len = body.len() + dice.below(40);
                body.resize(len.saturating_sub(20), 0);
            }
            1 => {
                // The length of a reference, or of anything else: what stands in one place now stands in another.
                what.push_str(", copied");
                let (from, to, len) = (dice.below(body.len()), dice.below(body.len()), dice.below(42));
                let len = len.min(body.len() - from).min(body.len() - to);
                body.copy_within(from..from + len, to);
            }
            _ => {
                what.push_str(", changed");
                change(body, dice);
            }
        }
    }
}

fn forge_log(file: &mut [u8], dice: &mut Dice, what: &mut String) {
    for _ in 0..=dice.below(3) {
        let found = frames(file);
        if found.is_empty() || dice.below(6) == 0 {
            what.push_str(", header");
            let end = file.len().min(116);
            change(&mut file[..end], dice);
            continue;
        }
        let (at, len) = found[dice.below(found.len())];
        let end = file.len();
        if dice.below(3) == 0 {
            _ = write!(what, ", header of the frame at {at}");
            change(&mut file[at + 8..(at + 56).min(end)], dice);
        } else if len > 0 {
            _ = write!(what, ", payload of the frame at {at}");
            change(&mut file[(at + 56).min(end)..(at + 56 + len).min(end)], dice);
        }
    }
}

/// One change somewhere in `bytes`: a bit, a byte, a number that means something, a copy, a run.
fn change(bytes: &mut [u8], dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    match dice.below(8) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes[at] = dice.bits() as u8,
        2 => bytes[at] = bytes[at].wrapping_add([1, 255, 2, 128][dice.below(4)]),
        3 => {
            let from = dice.below(bytes.len());
            let len = (1 << dice.below(5)).min(bytes.len() - at).min(bytes.len() - from);
            bytes.copy_within(from..from + len, at);
        }
        4 => {
            let len = (1 + dice.below(16)).min(bytes.len() - at);
            bytes[at..at + len].fill([0, 255, 0x7f, 0x80][dice.below(4)]);
        }
        _ => {
            let width = [1, 2, 4, 4, 8][dice.below(5)];
            // Fields stand at multiples of their width more often than not.
            let at = if dice.below(4) > 0 { at / width * width } else { at };
            let Some(field) = bytes.get_mut(at..at + width) else { return };
            let mut old = [0; 8];
            old[..width].copy_from_slice(field);
            let new = telling(u64::from_le_bytes(old), dice);
            field.copy_from_slice(&new.to_le_bytes()[..width]);
        }
    }
}

/// A number that might lead somewhere it should not.
fn telling(old: u64, dice: &mut Dice) -> u64 {
    match dice.below(10) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old.wrapping_add(dice.below(64) as u64),
        3 => old << dice.below(12),
        4 => dice.below(40) as u64,
        5 => u64::MAX - dice.below(3) as u64,
        6 => (1 << dice.below(64)) - dice.below(2) as u64,
        7 => u64::from(u32::MAX) - dice.below(3) as u64,
        8 => 0x7fc0_0000_7fc0_0000,
        _ => dice.bits(),
    }
}
