//! Writers, readers, publication and collection under every order in which threads may take their locks, as far as few
//! preemptions lead to it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vectradb --lib --target-dir target/loom interleavings`.
//! `LOOM_MAX_PREEMPTIONS` (2 here unless set) says how many preemptions an order may have. That nobody waits for ever
//! loom itself sees. The other unit tests do not run in such a build.

use std::collections::BTreeSet;
use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::snapshot::SnapshotCell;
use crate::sync::{Mutex, RwLock};
use crate::write::shard::{Change, Effect, Pending};

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(body);
}

/// What a reader sees; all parts of it say the same unless it is torn.
#[derive(Debug, Clone, Copy)]
struct Moment {
    visible_lsn: u64,
    generation: u64,
}

/// The real [`SnapshotCell`]: two publications, each a function of the state before, and a reader.
#[test]
fn a_reader_never_goes_back_and_sees_no_half_of_a_publication() {
    model(|| {
        let cell = Arc::new(SnapshotCell::new(Moment { visible_lsn: 0, generation: 0 }));
        let publisher = |cell: &Arc<SnapshotCell<Moment>>| {
            let cell = Arc::clone(cell);
            thread::spawn(move || {
                cell.publish(|state| Moment {
                    visible_lsn: state.visible_lsn + 1,
                    generation: state.generation + 1,
                });
            })
        };
        let writers = [publisher(&cell), publisher(&cell)];
        let mut seen = 0;
        for _ in 0..3 {
            let state = cell.load();
            assert_eq!(state.visible_lsn, state.generation, "torn");
            assert!(state.visible_lsn >= seen, "it went back");
            seen = state.visible_lsn;
        }
        for writer in writers {
            writer.join().expect("no panic");
        }
        assert_eq!(cell.load().visible_lsn, 2, "a publication got lost");
    });
}

/// A row that has no LSN yet.
const NEVER: u64 = u64::MAX;
/// Where every row of the model is killed.
const SEGMENT: u64 = 1;

/// A snapshot: how far it shows, and the sealed rows that are dead in it.
#[derive(Debug, Clone, Default)]
struct Shown {
    visible_lsn: u64,
    dead: BTreeSet<u32>,
}

/// What the log of the model knows: the LSN given out last, and how far frames are published.
#[derive(Debug, Default)]
struct Queue {
    last: u64,
    published: u64,
}

/// One shard of an engine, with the real [`Pending`] and [`SnapshotCell`] and the locks of `Engine` under their names,
/// taken in the order in which `Engine::write` and `Engine::publish` take them. Rows and the log are modelled: a row is
/// its date, the log is a queue with one leader at a time.
struct Protocol {
    /// The shard's write lock, with the rows that were killed under it.
    writer: Mutex<BTreeSet<u32>>,
    pending: Mutex<Pending>,
    cell: SnapshotCell<Shown>,
    dating: RwLock<()>,
    queue: Mutex<Queue>,
    /// Held by the leader of a group while it publishes.
    turn: Mutex<()>,
    /// The row born with LSN `i + 1` is dated here.
    rows: [AtomicU64; 2],
}

impl Protocol {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            writer: Mutex::new(BTreeSet::new()),
            pending: Mutex::default(),
            cell: SnapshotCell::new(Shown::default()),
            dating: RwLock::new(()),
            queue: Mutex::default(),
            turn: Mutex::default(),
            rows: [AtomicU64::new(NEVER), AtomicU64::new(NEVER)],
        })
    }

    /// One batch: kills the sealed row `slot` unless it is dead, and brings a new row; as `Engine::write`.
    fn write(&self, slot: u32) {
        let mut killed = self.writer.lock();
        let live = self.validate(slot, &killed);
        let gate = self.dating.read();
        let lsn = self.enqueue();
        // Between these two the leader of another group may publish the frame.
        if live {
            self.pending.lock().push(Effect { lsn, segment: SEGMENT, slot, change: Change::Kill });
            killed.insert(slot);
        }
        self.rows[lsn as usize - 1].store(lsn, Ordering::Release);
        drop(gate);
        drop(killed);
        self.commit(lsn);
    }

    /// Whether the row lives, as `find_live` looks: at what is pending first, and at the snapshot under its lock.
    fn validate(&self, slot: u32, killed: &BTreeSet<u32>) -> bool {
        let pending = self.pending.lock();
        let state = self.cell.load();
        let dead = pending.kills(SEGMENT, slot) || state.dead.contains(&slot);
        assert_eq!(
            dead,
            killed.contains(&slot),
            "a killed row is dead in what is pending or in the snapshot"
        );
        !dead
    }

    fn enqueue(&self) -> u64 {
        let mut queue = self.queue.lock();
        queue.last += 1;
        queue.last
    }

    /// Leads a group with everything that is queued, unless another leader had this frame in its own.
    fn commit(&self, lsn: u64) {
        let _turn = self.turn.lock();
        let upto = {
            let queue = self.queue.lock();
            if queue.published >= lsn {
                return;
            }
            queue.last
        };
        self.publish(upto);
        self.queue.lock().published = upto;
    }

    /// As `Engine::publish`.
    fn publish(&self, upto: u64) {
        drop(self.dating.write());
        self.cell.publish(|state| {
            let mut next = Shown { visible_lsn: state.visible_lsn.max(upto), ..state.clone() };
            next.dead.extend(self.pending.lock().take(upto).iter().map(|effect| effect.slot));
            next
        });
        self.pending.lock().published(upto);
    }

    /// Every row that a snapshot shows has its date.
    fn look(&self) {
        let state = self.cell.load();
        for lsn in 1..=state.visible_lsn {
            let date = self.rows[lsn as usize - 1].load(Ordering::Acquire);
            assert_eq!(date, lsn, "a row is shown before it is dated");
        }
    }
}

#[test]
fn a_killed_row_is_seen_dead_and_rows_are_dated_before_they_are_shown() {
    model(|| {
        let shard = Protocol::new();
        let other = Arc::clone(&shard);
        let writer = thread::spawn(move || other.write(7));
        let other = Arc::clone(&shard);
        let reader = thread::spawn(move || other.look());
        shard.write(7);
        shard.look();
        writer.join().expect("no panic");
        reader.join().expect("no panic");
        let state = shard.cell.load();
        assert_eq!((state.visible_lsn, state.dead.contains(&7)), (2, true));
        let killed = shard.writer.lock();
        assert!(!shard.validate(7, &killed), "and it stays dead");
    });
}

/// The handles of one part, as the table of open parts in `vectra-tier` (`OpenParts`) keeps them under its lock: its
/// `Weak` is modelled by a count of the handles that are out. That table belongs to another crate, so this is the
/// protocol under the same names, not the type.
struct OpenParts {
    parts: Mutex<Part>,
    /// Handles that are out; given back without the lock, as dropping an `Arc` is.
    out: AtomicU64,
}

#[derive(Debug, Default)]
struct Part {
    removed: bool,
}

impl OpenParts {
    fn new() -> Self {
        Self { parts: Mutex::default(), out: AtomicU64::new(0) }
    }

    /// A handle of the part; false if it is gone.
    fn get(&self) -> bool {
        let part = self.parts.lock();
        if !part.removed {
            self.out.fetch_add(1, Ordering::AcqRel);
        }
        !part.removed
    }

    fn is_there(&self) -> bool {
        !self.parts.lock().removed
    }

    /// As `LocalStore::remove`.
    fn unless_in_use(&self) -> bool {
        let mut part = self.parts.lock();
        if self.out.load(Ordering::Acquire) > 0 {
            return false;
        }
        part.removed = true;
        true
    }

    fn give_back(&self) {
        self.out.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The handle of a part in a snapshot.
#[derive(Debug)]
struct Handle(Arc<OpenParts>);

impl std::fmt::Debug for OpenParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenParts")
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A reader pins a snapshot that holds a part; a commit publishes one without it and collects; the reader lets go.
#[test]
fn a_part_is_not_removed_while_a_snapshot_holds_it_and_can_be_afterwards() {
    model(|| {
        let parts = Arc::new(OpenParts::new());
        assert!(parts.get());
        let handle = Arc::new(Handle(Arc::clone(&parts)));
        let cell = Arc::new(SnapshotCell::new(Some(handle)));
        let (shown, table) = (Arc::clone(&cell), Arc::clone(&parts));
        let reader = thread::spawn(move || {
            let snapshot = shown.load();
            if let Some(handle) = &*snapshot {
                assert!(handle.0.is_there(), "a part that a snapshot holds was removed");
            }
            drop(snapshot);
            // Another road to the same part: whoever opens it anew finds it whole or gone.
            if table.get() {
                assert!(table.is_there(), "a part was removed under its handle");
                table.give_back();
            }
        });
        // What the commit wrote replaces it; then it is garbage.
        cell.publish(|_| None);
        let removed = parts.unless_in_use();
        reader.join().expect("no panic");
        assert!(removed || parts.unless_in_use(), "nobody holds it any more");
        assert!(!parts.get(), "it is gone");
    });
}
