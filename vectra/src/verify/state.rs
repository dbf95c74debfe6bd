//! Whole states of the index: the present one and those of checkpoints. Each id lives once, in the shard it belongs to.

use vectra_shard::Router;
use vectra_wal::Lsn;

use super::Check;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, SegmentEntry, Tier};
use crate::segment::open::open_amendments;
use crate::segment::overlay::Overlay;
use crate::segment::tombstones::Tombstones;

impl Check<'_> {
    /// `durable` is the highest LSN that there is.
    pub(super) fn states(&mut self, newest: &Manifest, durable: Lsn) -> Result<()> {
        for (number, shard) in newest.shards.iter().enumerate() {
            self.shard(newest, &format!("shard {number}"), number, &shard.segments, durable)?;
        }
        for checkpoint in &newest.checkpoints {
            for (number, segments) in checkpoint.shards.iter().enumerate() {
                let place = format!("checkpoint {}, shard {number}", checkpoint.name);
                self.shard(newest, &place, number, segments, checkpoint.lsn)?;
            }
        }
        Ok(())
    }

    fn shard(
        &mut self,
        manifest: &Manifest,
        place: &str,
        number: usize,
        segments: &[SegmentEntry],
        upto: Lsn,
    ) -> Result<()> {
        let mut living: Vec<(u128, usize, u32)> = Vec::new();
        for (position, entry) in segments.iter().enumerate() {
            if entry.tier == Tier::Cold || entry.parts().any(|part| self.is_skipped([part])) {
                continue;
            }
            let mut live = |id: &[u8], slot: u32| {
                living.push((xxhash_rust::xxh3::xxh3_128(id), position, slot));
            };
            if let Err(error) = self.living(manifest, entry, (number, upto), &mut live) {
                self.report.judge(format!("{place}, segment {}", entry.rows_part.id), error, true)?;
            }
        }
        living.sort_unstable();
        if let Some([a, b]) = living.array_windows().find(|[a, b]| a.0 == b.0) {
            let name = |row: &(u128, usize, u32)| {
                format!("row {} of segment {}", row.2, segments[row.1].rows_part.id)
            };
            let problem = format!("{} and {} are alive under one id", name(a), name(b));
            self.report.find(place, &problem, true);
        }
        Ok(())
    }

    /// Shows the id of every live row of a segment to `live`, after checking where it belongs and how old it is.
    fn living(
        &self,
        manifest: &Manifest,
        entry: &SegmentEntry,
        (shard, upto): (usize, Lsn),
        live: &mut dyn FnMut(&[u8], u32),
    ) -> Result<()> {
        let truth = self.truth(manifest, entry)?;
        let (dead, overlay) = open_amendments(self.store, entry)?;
        check_amendments(entry, &dead, &overlay, upto)?;
        let found = truth.ledger(&dead, &overlay)?;
        if entry.ledger().is_some_and(|said| said != found) {
            return Err(Error::corrupt("its live rows do not add up to the sum in the manifest"));
        }
        for slot in 0..truth.rows() {
            let id = truth.ids().encoded(slot)?;
            let routed = usize::from(manifest.shard_map.route(id));
            if routed != shard {
                return Err(Error::corrupt(format!("row {slot} belongs to shard {routed}")));
            }
            let lsn = truth.lsn(slot)?;
            if lsn > upto {
                return Err(Error::corrupt(format!("row {slot} has the LSN {lsn}; there are only {upto}")));
            }
            if !dead.contains(slot) {
                live(id, slot);
            }
        }
        Ok(())
    }
}

fn check_amendments(entry: &SegmentEntry, dead: &Tombstones, overlay: &Overlay, upto: Lsn) -> Result<()> {
    if dead.count() != entry.dead {
        let (found, said) = (dead.count(), entry.dead);
        return Err(Error::corrupt(format!("{found} rows are dead; the manifest says {said}")));
    }
    if overlay.last_lsn() != entry.overlay_lsn || overlay.last_lsn() > upto {
        let (found, said) = (overlay.last_lsn(), entry.overlay_lsn);
        let text =
            format!("the newest update has the LSN {found}; the manifest says {said}, and there are {upto}");
        return Err(Error::corrupt(text));
    }
    Ok(())
}
