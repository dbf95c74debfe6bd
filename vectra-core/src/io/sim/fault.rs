//! Faults, planned by the number of the call they strike.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::call::CallKind;

/// What becomes of unsynced content when a sync fails. Either way the disk then takes it for clean: a second sync
/// reports success and saves nothing (Rebello et al., ATC 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncedContent {
    /// Still to be read, until a crash loses it (ext4, XFS).
    Kept,
    /// Back to what was durable before (Btrfs).
    Reverted,
}

/// A way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Any call: an I/O error, nothing happens.
    Eio,
    /// Calls that need space: `StorageFull`, nothing happens.
    Enospc,
    /// Writes: some first part is written, then `WriteZero`. Reads: fewer bytes than asked for, but at least one.
    Short,
    /// Any call: `Interrupted`, nothing happens.
    Interrupted,
    /// Syncs: an I/O error.
    SyncFailed {
        /// What becomes of the content.
        content: SyncedContent,
    },
    /// Writes: success is reported, and nothing happens.
    Lost,
    /// Writes: success is reported, but the bytes go some sectors further in the same file, or some less far.
    Misdirected,
    /// Reads and maps: what stood there before the latest write to the file; zeros if the disk remembers none.
    Stale,
    /// Any call: it works, but virtual time passes meanwhile (see [`SimFs::set_clock`](super::SimFs::set_clock)).
    Slow {
        /// How much.
        by: Duration,
    },
    /// Any call: it works, but somebody sets the time of day meanwhile; monotonic time goes on.
    ClockJump {
        /// To so many milliseconds since 1970.
        unix_ms: u64,
    },
}

impl Fault {
    pub(super) fn applies_to(self, kind: CallKind) -> bool {
        match self {
            Self::Eio | Self::Interrupted | Self::Slow { .. } | Self::ClockJump { .. } => true,
            Self::Enospc => kind.takes_space(),
            Self::Short => matches!(kind, CallKind::Write | CallKind::Read),
            Self::SyncFailed { .. } => kind.is_sync(),
            Self::Lost | Self::Misdirected => kind == CallKind::Write,
            Self::Stale => matches!(kind, CallKind::Read | CallKind::Map),
        }
    }

    /// What the caller is told; `None` where success is reported.
    pub(super) fn error(self) -> Option<io::Error> {
        Some(match self {
            Self::Eio | Self::SyncFailed { .. } => io::Error::other("simulated I/O error"),
            Self::Enospc => ErrorKind::StorageFull.into(),
            Self::Short => ErrorKind::WriteZero.into(),
            Self::Interrupted => ErrorKind::Interrupted.into(),
            Self::Lost | Self::Misdirected | Self::Stale | Self::Slow { .. } | Self::ClockJump { .. } => {
                return None;
            }
        })
    }
}

/// Which calls fail.
#[derive(Debug, Default)]
pub(super) struct Plan {
    by_number: BTreeMap<u64, (Fault, bool)>,
    sticking: Vec<Fault>,
}

impl Plan {
    pub(super) fn add(&mut self, n: u64, fault: Fault, sticky: bool) {
        self.by_number.insert(n, (fault, sticky));
    }

    /// The fault that strikes call number `n`, if any.
    pub(super) fn strike(&mut self, n: u64, kind: CallKind) -> Option<Fault> {
        let planned = self.by_number.remove(&n);
        if let Some((fault, true)) = planned {
            self.sticking.push(fault);
        }
        let planned = planned.map(|(fault, _)| fault);
        planned.into_iter().chain(self.sticking.iter().copied()).find(|fault| fault.applies_to(kind))
    }
}

/// The error of every call once the power is off.
pub(super) fn power_cut() -> io::Error {
    io::Error::other("simulated power cut")
}
