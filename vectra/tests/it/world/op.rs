//! Operations as data, and a run of them against an engine and its ledger.

use std::sync::Arc;

use vectra::{Error, ErrorKind, Index, ItemUpdate, Receipt, Settings};

use super::check::{Broken, Outcome, collect, index_dir};
use super::{Ledger, Model, World, id, item, metadata};

/// Something to do to an index. Numbers are keys of items; what they become depends on the moment.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Insert(Vec<u64>),
    Upsert(Vec<u64>),
    Update(Vec<u64>),
    Delete(Vec<u64>),
    /// A bulk load of new items.
    Load(Vec<u64>),
    /// A bulk load that replaces.
    LoadOver(Vec<u64>),
    Flush,
    Optimize,
    Compact,
    Sync,
    /// Closes the index and opens it again.
    Close,
    /// Lets go of the index as a killed process does, and opens it again.
    Kill,
    /// Lets background work take up to so many steps.
    Steps(u32),
}

/// An engine at work. `index` is none only after an opening failed.
#[derive(Debug)]
pub(crate) struct Run<'w> {
    pub(crate) world: &'w World,
    pub(crate) index: Option<Index>,
    pub(crate) ledger: Ledger,
    /// Counts operations, so that each makes new versions.
    version: u64,
    durable: bool,
}

impl<'w> Run<'w> {
    /// Creates an index; the ledger tells how far that came.
    pub(crate) fn create(world: &'w World, settings: &Settings) -> (Self, Result<(), Broken>) {
        let durable = settings.durability == vectra::Durability::Sync;
        let mut run = Self { world, index: None, ledger: Ledger::default(), version: 0, durable };
        let created = world.builder().create(index_dir(), settings.clone());
        let outcome = created.map(|index| {
            run.index = Some(index);
            run.ledger.created = true;
            run.ledger.settle();
            world.tell(&run.ledger);
        });
        (run, outcome.map_err(Broken::Engine))
    }

    /// Opens an index after a failure: its content must be allowed by `ledger`, and is certain from then on.
    pub(crate) fn recover(world: &'w World, settings: &Settings, ledger: &Ledger) -> Result<Self, Broken> {
        let durable = settings.durability == vectra::Durability::Sync;
        let index = match world.builder().open(index_dir()) {
            Err(e) if e.kind() == ErrorKind::NotFound && !ledger.created => {
                world.builder().create(index_dir(), settings.clone())?
            }
            other => other?,
        };
        let found = collect(&index.snapshot())?;
        if !ledger.allows(&found) {
            return Err(Broken::Wrong(ledger.describe(&found)));
        }
        let ledger = Ledger::certain(found);
        world.tell(&ledger);
        Ok(Self { world, index: Some(index), ledger, version: 1 << 18, durable })
    }

    /// Carries out every operation, stopping at the first error.
    pub(crate) fn all(&mut self, ops: &[Op]) -> Result<(), Broken> {
        ops.iter().try_for_each(|op| self.step(op))
    }

    pub(crate) fn index(&self) -> &Index {
        self.index.as_ref().expect("the caller stops when an opening fails")
    }

    /// Carries out one operation. Refusals that the ledger foresees are fine.
    pub(crate) fn step(&mut self, op: &Op) -> Result<(), Broken> {
        self.version += 1;
        let outcome = self.carry_out(op);
        if let Some(index) = &self.index {
            // The engine's own word counts: what it calls durable must survive.
            self.ledger.settle_upto(index.stats().durable_lsn);
        }
        self.world.tell(&self.ledger);
        outcome
    }

    fn carry_out(&mut self, op: &Op) -> Result<(), Broken> {
        match op {
            Op::Insert(_) | Op::Upsert(_) | Op::Update(_) | Op::Delete(_) | Op::Load(_) | Op::LoadOver(_) => {
                self.write(op)
            }
            Op::Steps(n) => {
                _ = (0..*n).take_while(|_| self.world.spawner.step()).count();
                Ok(())
            }
            Op::Flush => self.settled(Index::flush),
            Op::Optimize => self.settled(Index::wait_optimized),
            Op::Compact => self.settled(Index::compact),
            Op::Sync => self.settled(|index| index.sync().map(drop)),
            Op::Close => {
                let closed = self.index.take().expect("open until an opening fails").close();
                if closed.is_ok() {
                    self.ledger.settle();
                    self.world.tell(&self.ledger);
                }
                self.reopen()?;
                closed.map_err(Broken::Engine)
            }
            Op::Kill => {
                drop(self.index.take());
                self.reopen()
            }
        }
    }

    fn settled(&mut self, act: impl Fn(&Index) -> Result<(), Error>) -> Result<(), Broken> {
        act(self.index())?;
        self.ledger.settle();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Broken> {
        let index = self.world.builder().open(index_dir())?;
        let found = collect(&index.snapshot())?;
        if !self.ledger.allows(&found) {
            return Err(Broken::Wrong(self.ledger.describe(&found)));
        }
        (self.index, self.ledger) = (Some(index), Ledger::certain(found));
        Ok(())
    }

    fn write(&mut self, op: &Op) -> Result<(), Broken> {
        let version = self.version;
        let expected = expect(&self.ledger.now, op, version);
        let expected = expected.map(Arc::new);
        self.ledger.attempt(expected.as_ref().unwrap_or(&self.ledger.now.clone()));
        self.world.tell(&self.ledger);
        match (ask(self.index(), op, version), expected) {
            // Nothing to do, so nothing happened.
            (Ok(receipt), Ok(_)) if receipt.items == 0 => {
                self.ledger.refuse();
                Ok(())
            }
            (Ok(receipt), Ok(next)) => {
                self.ledger.acknowledge(next, receipt.lsn);
                if self.durable {
                    self.ledger.settle();
                }
                Ok(())
            }
            (Err(error), Err(kind)) if error.kind() == kind => {
                self.ledger.refuse();
                Ok(())
            }
            (Ok(_), Err(kind)) => Err(Broken::Wrong(format!("{op:?} was acknowledged; {kind:?} was due"))),
            (Err(error), _) => {
                if error.kind() != ErrorKind::Uncertain {
                    self.ledger.refuse();
                }
                Err(Broken::Engine(error))
            }
        }
    }
}

/// What an operation makes of a model, or how it is refused.
pub(crate) fn expect(now: &Model, op: &Op, version: u64) -> Outcome {
    let mut next = now.clone();
    match op {
        Op::Insert(keys) | Op::Load(keys) if keys.iter().any(|key| now.contains_key(&id(*key))) => {
            return Err(ErrorKind::Conflict);
        }
        Op::Insert(keys) | Op::Upsert(keys) | Op::Load(keys) | Op::LoadOver(keys) => {
            next.extend(keys.iter().map(|key| (id(*key), Arc::new(item(*key, version)))));
        }
        Op::Update(keys) => {
            for key in keys {
                let old = next.get_mut(&id(*key)).ok_or(ErrorKind::NotFound)?;
                Arc::make_mut(old).metadata = metadata(*key, version);
            }
        }
        Op::Delete(keys) => next.retain(|found, _| keys.iter().all(|key| id(*key) != *found)),
        _ => {}
    }
    Ok(next)
}

/// Asks the engine for a write.
pub(crate) fn ask(index: &Index, op: &Op, version: u64) -> Result<Receipt, Error> {
    match op {
        Op::Insert(keys) => index.insert_items(keys.iter().map(|key| item(*key, version)).collect()),
        Op::Upsert(keys) => index.upsert_items(keys.iter().map(|key| item(*key, version)).collect()),
        Op::Update(keys) => index.update_items(
            keys.iter().map(|key| ItemUpdate::new(id(*key), metadata(*key, version))).collect(),
        ),
        Op::Load(keys) => index.load_items(keys.iter().map(|key| item(*key, version))),
        Op::LoadOver(keys) => {
            let mut loader = index.bulk_loader().replacing();
            keys.iter().try_for_each(|key| loader.push(item(*key, version)))?;
            loader.finish()
        }
        Op::Delete(keys) => index.delete_items(keys.iter().map(|key| id(*key)).collect()),
        _ => unreachable!("only writes are carried out here"),
    }
}
