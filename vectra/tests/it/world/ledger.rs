//! What was promised.

use std::sync::Arc;

use super::Model;

/// The states that may be found after a failure, and the one that readers see now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// What reads must answer.
    pub(crate) now: Arc<Model>,
    /// What may be found after a crash, oldest first, each with the LSN that led there (`u64::MAX` while it is under
    /// way); never empty once the index was created.
    allowed: Vec<(u64, Arc<Model>)>,
    /// Whether the creation was acknowledged.
    pub(crate) created: bool,
}

impl Ledger {
    /// A ledger in which `now` is certain.
    pub(crate) fn certain(now: Model) -> Self {
        let now = Arc::new(now);
        Self { allowed: vec![(0, Arc::clone(&now))], now, created: true }
    }

    /// An operation is under way: its outcome may be found from now on.
    pub(crate) fn attempt(&mut self, next: &Arc<Model>) {
        self.allowed.push((u64::MAX, Arc::clone(next)));
    }

    /// The operation attempted last was acknowledged.
    pub(crate) fn acknowledge(&mut self, next: Arc<Model>, lsn: u64) {
        self.now = next;
        if let Some(last) = self.allowed.last_mut() {
            last.0 = lsn;
        }
    }

    /// The operation attempted last was refused before anything was written.
    pub(crate) fn refuse(&mut self) {
        self.allowed.pop();
    }

    /// Everything acknowledged became durable. What was neither acknowledged nor refused stays uncertain.
    pub(crate) fn settle(&mut self) {
        self.allowed.retain(|(lsn, _)| *lsn == u64::MAX);
        self.allowed.insert(0, (0, Arc::clone(&self.now)));
    }

    /// Everything up to `lsn` became durable.
    pub(crate) fn settle_upto(&mut self, lsn: u64) {
        let durable = self.allowed.iter().rposition(|(at, _)| *at <= lsn).unwrap_or(0);
        self.allowed.drain(..durable);
    }

    /// Whether `found` may be found after a crash.
    pub(crate) fn allows(&self, found: &Model) -> bool {
        self.allowed.iter().any(|(_, model)| **model == *found) || (!self.created && found.is_empty())
    }

    /// Tells this promise from the other ones of one run.
    pub(crate) fn fingerprint(&self) -> (bool, Vec<(u64, usize)>) {
        let address = |model: &Arc<Model>| Arc::as_ptr(model) as usize;
        (self.created, self.allowed.iter().map(|(lsn, model)| (*lsn, address(model))).collect())
    }

    /// What is missing from or invented in `found`, compared with what is nearest to what was promised.
    pub(crate) fn describe(&self, found: &Model) -> String {
        let differs = |a: &Model, b: &Model| {
            a.iter()
                .filter(|(id, item)| b.get(*id) != Some(*item))
                .map(|(id, _)| id.to_string())
                .collect::<Vec<_>>()
        };
        let last = self.allowed.last().map_or(&self.now, |(_, model)| model);
        format!(
            "{} states allowed; against the newest: lost or changed {:?}, invented or changed {:?}",
            self.allowed.len(),
            differs(last, found),
            differs(found, last)
        )
    }
}
