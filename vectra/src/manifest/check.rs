//! What the numbers of a manifest may be: a digest says that they are what was written, not that they make sense.

use vectra_tier::Role;

use super::{Manifest, SegmentEntry};

/// The largest LSN, generation or epoch: whoever counts on from there has room, and no sum overflows.
pub(crate) const COUNT_MAX: u64 = u64::MAX >> 1;

impl Manifest {
    /// What cannot be, if anything.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let counts = [self.epoch, self.log_floor];
        let covered = self.shards.iter().flat_map(|shard| [shard.covered_lsn, shard.attached_lsn]);
        let kept = self.checkpoints.iter().map(|checkpoint| checkpoint.lsn);
        if !(1..=COUNT_MAX).contains(&self.generation) {
            return Some("a generation that another can follow");
        }
        if counts.into_iter().chain(covered).chain(kept).any(|count| count > COUNT_MAX) {
            return Some("an LSN that others can follow");
        }
        self.segments().find_map(SegmentEntry::flaw)
    }
}

impl SegmentEntry {
    fn flaw(&self) -> Option<&'static str> {
        let roles = [
            (Some(&self.rows_part), Role::Rows),
            (Some(&self.meta_part), Role::Meta),
            (self.index_part.as_ref(), Role::Index),
            (self.deletes.as_ref(), Role::Deletes),
            (self.overlay.as_ref(), Role::Overlay),
        ];
        if roles.iter().any(|(part, role)| part.is_some_and(|part| part.role != *role)) {
            return Some("a part in its role");
        }
        if self.lsns.0 > self.lsns.1 || self.lsns.1 > COUNT_MAX || self.overlay_lsn > COUNT_MAX {
            return Some("the LSNs of a segment");
        }
        if self.dead > self.rows || (self.dead > 0) != self.deletes.is_some() {
            return Some("as many tombstones as rows, and a part that holds them");
        }
        ((self.overlay_lsn > 0) != self.overlay.is_some()).then_some("an overlay with its LSN")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use vectra_core::codec::Digest;
    use vectra_tier::PartRef;

    use super::*;
    use crate::manifest::Tier;

    fn part(role: Role) -> PartRef {
        PartRef { id: Uuid::from_u128(7), role, length: 5000, digest: Digest(9) }
    }

    fn segment() -> SegmentEntry {
        SegmentEntry {
            rows: 5,
            tier: Tier::Hot,
            lsns: (3, 9),
            rows_part: part(Role::Rows),
            meta_part: part(Role::Meta),
            index_part: None,
            deletes: Some(part(Role::Deletes)),
            dead: 2,
            overlay: None,
            overlay_lsn: 0,
            sum: Some(7),
        }
    }

    #[test]
    fn each_number_has_its_bounds() {
        assert_eq!(segment().flaw(), None);
        let changes: [fn(&mut SegmentEntry); 8] = [
            |s| s.rows_part.role = Role::Meta,
            |s| s.index_part = Some(part(Role::Overlay)),
            |s| s.lsns = (4, 3),
            |s| s.lsns.1 = COUNT_MAX + 1,
            |s| s.dead = 6,
            |s| s.dead = 0,
            |s| s.overlay_lsn = 1,
            |s| s.overlay = Some(part(Role::Overlay)),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut forged = segment();
            change(&mut forged);
            assert!(forged.flaw().is_some(), "change {number}: {forged:?}");
        }
    }
}
