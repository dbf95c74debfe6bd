//! Where callers wait while another one has the turn: each in a seat of its own, so that the end of a turn wakes those it
//! is good for and one to take the next turn, and nobody else.

use std::mem;
use std::sync::Arc;

use crate::sync::{AtomicU8, Ordering, Thread, current, park};

use super::Goal;

const ASLEEP: u8 = 0;
const LOOK: u8 = 1;
const DONE: u8 = 2;

/// Why a caller was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Something has changed, or the turn is free: see for yourself.
    Look,
    /// What you wait for has happened.
    Done,
}

/// Where one thread sleeps.
#[derive(Debug)]
pub(super) struct Seat {
    call: AtomicU8,
    sleeper: Thread,
}

impl Seat {
    /// Sleeps until called.
    pub(super) fn wait(&self) -> Call {
        loop {
            match self.call.load(Ordering::Acquire) {
                // Whoever calls sets the call first: a wake-up that came before the sleep ends the sleep at once.
                ASLEEP => park(),
                DONE => return Call::Done,
                _ => return Call::Look,
            }
        }
    }

    fn call(&self, call: Call) {
        let call = match call {
            Call::Look => LOOK,
            Call::Done => DONE,
        };
        self.call.store(call, Ordering::Release);
        self.sleeper.unpark();
    }
}

/// Who sits, in the order of arrival, and what for; `None`: the turn itself.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Vec<(Option<Goal>, Arc<Seat>)>,
}

/// Those to be woken. To be [called](Self::call) with no lock held: each call may cost a switch of threads.
#[derive(Debug)]
#[must_use = "who is not called sleeps for ever"]
pub(super) struct Calls(Vec<(Call, Arc<Seat>)>);

impl Seats {
    /// A seat for the calling thread. It must give its lock back and then wait.
    pub(super) fn take(&mut self, goal: Option<Goal>) -> Arc<Seat> {
        let seat = Arc::new(Seat { call: AtomicU8::new(ASLEEP), sleeper: current() });
        self.taken.push((goal, Arc::clone(&seat)));
        seat
    }

    /// Empties the seats of all whose goal is reached, of all who wait for the turn, and of the first of the others: it
    /// takes the next turn, and is woken first.
    pub(super) fn rise(&mut self, reached: impl Fn(Goal) -> bool) -> Calls {
        let mut calls = Vec::with_capacity(self.taken.len());
        let mut next = None;
        for (goal, seat) in mem::take(&mut self.taken) {
            match goal {
                Some(goal) if reached(goal) => calls.push((Call::Done, seat)),
                Some(_) if next.is_none() => next = Some((Call::Look, seat)),
                Some(_) => self.taken.push((goal, seat)),
                None => calls.push((Call::Look, seat)),
            }
        }
        calls.extend(next);
        Calls(calls)
    }

    /// Empties all seats: everybody is to look.
    pub(super) fn rise_all(&mut self) -> Calls {
        Calls(mem::take(&mut self.taken).into_iter().map(|(_, seat)| (Call::Look, seat)).collect())
    }
}

impl Calls {
    /// How many wait no longer.
    pub(super) fn done(&self) -> usize {
        self.0.iter().filter(|(call, _)| *call == Call::Done).count()
    }

    /// Wakes them, the last one first.
    pub(super) fn call(self) {
        for (call, seat) in self.0.into_iter().rev() {
            seat.call(call);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn goal(lsn: u64) -> Goal {
        Goal { lsn, durable: true }
    }

    fn calls(calls: &Calls, seats: &[Arc<Seat>]) -> Vec<(Call, usize)> {
        let place = |seat| seats.iter().position(|s| Arc::ptr_eq(s, seat)).expect("taken here");
        calls.0.iter().map(|(call, seat)| (*call, place(seat))).collect()
    }

    #[test]
    fn the_end_of_a_turn_wakes_those_it_concerns_and_one_to_lead() {
        let mut seats = Seats::default();
        let taken: Vec<_> = [5, 9, 0, 7, 6].map(|lsn| seats.take((lsn > 0).then(|| goal(lsn)))).into();
        let woken = seats.rise(|goal| goal.lsn <= 6);
        assert_eq!(woken.done(), 2);
        // The next leader is the last of the list: the first to be woken.
        assert_eq!(
            calls(&woken, &taken),
            [(Call::Done, 0), (Call::Look, 2), (Call::Done, 4), (Call::Look, 1)]
        );
        woken.call();
        assert_eq!([0, 1, 2, 4].map(|i| taken[i].wait()), [Call::Done, Call::Look, Call::Look, Call::Done]);
        assert_eq!(calls(&seats.rise(|_| false), &taken), [(Call::Look, 3)], "nobody is forgotten");
        assert_eq!(calls(&seats.rise_all(), &taken), []);
    }

    #[test]
    fn a_sleeper_is_woken_from_another_thread() {
        let mut seats = Seats::default();
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let sleeper = scope.spawn(move || {
                let mut seats = Seats::default();
                let seat = seats.take(None);
                tell.send(seats).expect("somebody listens");
                // A stale wake-up must not pass for a call.
                current().unpark();
                seat.wait()
            });
            seats = told.recv().expect("it tells");
            seats.rise_all().call();
            assert_eq!(sleeper.join().expect("no panic"), Call::Look);
        });
    }
}
