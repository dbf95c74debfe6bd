//! Where callers wait while another one has the turn, so that its end wakes those it is good for and one to take the next
//! turn, and nobody else; and many of them with one call to the system.

use std::mem;
use std::sync::Arc;

use crate::sync::{Bell, Shared};

use super::Goal;

/// Why a caller was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Something has changed, or the turn is free: see for yourself.
    Look,
    /// What you wait for has happened.
    Done,
}

/// Where one or more threads sleep until all of them are called.
#[derive(Debug, Default)]
pub(super) struct Seat {
    call: Shared<Option<Call>>,
    bell: Bell,
}

impl Seat {
    /// Sleeps until called.
    pub(super) fn wait(&self) -> Call {
        let mut call = self.call.lock().expect("nothing panics while it holds this lock");
        loop {
            match *call {
                Some(call) => return call,
                None => call = self.bell.wait(call).expect("nothing panics while it holds this lock"),
            }
        }
    }

    fn call(&self, call: Call) {
        *self.call.lock().expect("nothing panics while it holds this lock") = Some(call);
        self.bell.notify_all();
    }
}

/// Those who share a seat.
#[derive(Debug)]
struct Crowd {
    /// When it is reached, so is what each of them waits for.
    goal: Goal,
    size: usize,
    /// Whether a turn has begun since they came, so that their frames are in its group.
    is_served: bool,
    seat: Arc<Seat>,
}

/// Who sits, in the order of arrival. The first who comes in a turn sits alone, to be called for the next one; the others
/// who come in that turn sit together.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// With what they wait for; `None`: the turn itself.
    alone: Vec<(Option<Goal>, Arc<Seat>)>,
    crowds: Vec<Crowd>,
    has_first: bool,
}

/// Those to be woken. To be [called](Self::call) with no lock held: each call may cost a switch of threads.
#[derive(Debug)]
#[must_use = "who is not called sleeps for ever"]
pub(super) struct Calls {
    seats: Vec<(Call, Arc<Seat>)>,
    done: usize,
}

impl Seats {
    /// A seat for the calling thread. It must give its lock back and then wait.
    pub(super) fn take(&mut self, goal: Option<Goal>) -> Arc<Seat> {
        if let Some(goal) = goal
            && mem::replace(&mut self.has_first, true)
        {
            return self.join(goal);
        }
        let seat = Arc::<Seat>::default();
        self.alone.push((goal, Arc::clone(&seat)));
        seat
    }

    fn join(&mut self, goal: Goal) -> Arc<Seat> {
        if let Some(crowd) = self.crowds.last_mut().filter(|crowd| !crowd.is_served) {
            crowd.size += 1;
            crowd.goal.lsn = crowd.goal.lsn.max(goal.lsn);
            crowd.goal.durable |= goal.durable;
            return Arc::clone(&crowd.seat);
        }
        let seat = Arc::<Seat>::default();
        self.crowds.push(Crowd { goal, size: 1, is_served: false, seat: Arc::clone(&seat) });
        seat
    }

    /// A turn begins: who comes from now on sits apart from those whose frames it takes.
    pub(super) fn turn_begins(&mut self) {
        self.has_first = false;
        self.crowds.iter_mut().for_each(|crowd| crowd.is_served = true);
    }

    /// Empties the seats of all whose goal is reached, of all who wait for the turn, and of the first of the others: it
    /// takes the next turn, and is woken first. Crowds of which only some may have what they wait for are to look.
    pub(super) fn rise(&mut self, reached: impl Fn(Goal) -> bool) -> Calls {
        let mut calls = Calls { seats: Vec::new(), done: 0 };
        let mut next = None;
        for (goal, seat) in mem::take(&mut self.alone) {
            match goal {
                Some(goal) if reached(goal) => calls.add(Call::Done, 1, seat),
                Some(_) if next.is_none() => next = Some(seat),
                Some(_) => self.alone.push((goal, seat)),
                None => calls.add(Call::Look, 1, seat),
            }
        }
        for crowd in mem::take(&mut self.crowds) {
            if reached(crowd.goal) {
                calls.add(Call::Done, crowd.size, crowd.seat);
            } else if crowd.is_served || next.is_none() {
                calls.add(Call::Look, crowd.size, crowd.seat);
            } else {
                self.crowds.push(crowd);
            }
        }
        if let Some(seat) = next {
            calls.add(Call::Look, 1, seat);
        }
        self.has_first = self.alone.iter().any(|(goal, _)| goal.is_some());
        calls
    }

    /// Empties all seats: everybody is to look.
    pub(super) fn rise_all(&mut self) -> Calls {
        let alone = mem::take(&mut self.alone).into_iter().map(|(_, seat)| seat);
        let crowds = mem::take(&mut self.crowds).into_iter().map(|crowd| crowd.seat);
        Calls { seats: alone.chain(crowds).map(|seat| (Call::Look, seat)).collect(), done: 0 }
    }
}

impl Calls {
    fn add(&mut self, call: Call, size: usize, seat: Arc<Seat>) {
        self.done += if call == Call::Done { size } else { 0 };
        self.seats.push((call, seat));
    }

    /// How many wait no longer.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Wakes them, the last one first.
    pub(super) fn call(self) {
        for (call, seat) in self.seats.into_iter().rev() {
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

    fn take(seats: &mut Seats, lsns: &[u64]) -> Vec<Arc<Seat>> {
        lsns.iter().map(|lsn| seats.take((*lsn > 0).then(|| goal(*lsn)))).collect()
    }

    fn called(calls: &Calls, seat: &Arc<Seat>) -> Option<Call> {
        calls.seats.iter().find(|(_, called)| Arc::ptr_eq(called, seat)).map(|(call, _)| *call)
    }

    #[test]
    fn the_end_of_a_turn_wakes_those_it_concerns_and_one_to_lead() {
        let mut seats = Seats::default();
        let served = take(&mut seats, &[3, 4, 0, 5]);
        assert!(Arc::ptr_eq(&served[1], &served[3]), "all but the first share");
        seats.turn_begins();
        let queued = take(&mut seats, &[6, 7, 8]);
        let calls = seats.rise(|goal| goal.lsn <= 5);
        assert_eq!(calls.done(), 3);
        assert_eq!(
            [0, 1, 2].map(|i| called(&calls, &served[i])),
            [Some(Call::Done), Some(Call::Done), Some(Call::Look)]
        );
        assert_eq!([0, 1].map(|i| called(&calls, &queued[i])), [Some(Call::Look), None]);
        assert!(Arc::ptr_eq(&calls.seats.last().expect("some").1, &queued[0]), "the next leader comes first");
        calls.call();
        assert_eq!((served[3].wait(), queued[0].wait()), (Call::Done, Call::Look));
        seats.turn_begins();
        let calls = seats.rise(|goal| goal.lsn <= 8);
        assert_eq!((calls.done(), called(&calls, &queued[2])), (2, Some(Call::Done)));
    }

    #[test]
    fn nobody_is_left_without_one_to_lead() {
        let mut seats = Seats::default();
        // The first has what it waits for at once, the others do not: without it nobody would take the next turn.
        let taken = take(&mut seats, &[2, 9, 8]);
        let calls = seats.rise(|goal| goal.lsn <= 5);
        assert_eq!([0, 1].map(|i| called(&calls, &taken[i])), [Some(Call::Done), Some(Call::Look)]);
        // A group that did not take all of a crowd: they see for themselves.
        let taken = take(&mut seats, &[20, 21, 30]);
        seats.turn_begins();
        let calls = seats.rise(|goal| goal.lsn <= 21);
        assert_eq!([0, 1].map(|i| called(&calls, &taken[i])), [Some(Call::Done), Some(Call::Look)]);
        assert!(seats.rise_all().seats.is_empty());
    }

    #[test]
    fn all_who_share_a_seat_are_woken() {
        let seat = Seat::default();
        std::thread::scope(|scope| {
            let sleepers: Vec<_> = (0..3).map(|_| scope.spawn(|| seat.wait())).collect();
            seat.call(Call::Done);
            assert!(sleepers.into_iter().all(|sleeper| sleeper.join().expect("no panic") == Call::Done));
        });
    }
}
