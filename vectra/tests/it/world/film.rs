//! One run, seen in the midst of each call as a power cut would find it.

use std::sync::Arc;

use parking_lot::Mutex;
use vectra_core::io::sim::{Moment, SimFs};
use vectra_core::testing::oracle::Dice;

use super::{Ledger, World};

/// A moment in which the power may go, and what was promised by then.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) moment: Moment,
    pub(crate) ledger: Ledger,
}

impl Shot {
    /// The number of the call that is under way.
    pub(crate) fn call(&self) -> u64 {
        self.moment.before.calls()
    }

    /// One of the disks that a power cut may leave; whether the call had any effect is up to `salt`, too.
    pub(crate) fn crash(&self, salt: u64) -> SimFs {
        let begun = Dice::new(salt).below(2) == 1;
        let image = if begun { &self.moment.within } else { &self.moment.before };
        image.crash(salt)
    }
}

impl World {
    /// Takes note of what is promised from now on.
    pub(crate) fn tell(&self, ledger: &Ledger) {
        self.told.lock().clone_from(ledger);
    }

    /// Does `act`; every moment in which the power may go meanwhile, the one after its last call included.
    pub(crate) fn film<T>(&self, act: impl FnOnce() -> T) -> (T, Vec<Shot>) {
        let shots = Arc::new(Mutex::new(Vec::new()));
        let (told, film) = (Arc::clone(&self.told), Arc::clone(&shots));
        self.fs.on_call(move |moment| {
            let ledger = told.lock().clone();
            film.lock().push(Shot { moment, ledger });
        });
        let outcome = act();
        self.fs.unobserved();
        let mut shots = std::mem::take(&mut *shots.lock());
        let moment = Moment { before: self.fs.image(), within: self.fs.image() };
        shots.push(Shot { moment, ledger: self.told.lock().clone() });
        (outcome, shots)
    }
}
