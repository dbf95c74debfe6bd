//! What an intact index answers, to compare with what it says once it is damaged.

use serde_json::Value as Json;
use vectra::{Error, ErrorKind, Hit, Index, Item, Snapshot, mongo_json};

/// More than the items of any index looked at here.
const ALL: usize = 100;

/// Whether an error says that a file is not what it should be.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported)
}

/// A query for all items in the order of their distance.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) vector: Vec<f32>,
    /// `Null` for none.
    pub(crate) filter: Json,
}

impl Question {
    fn exact(&self, snapshot: &Snapshot) -> vectra::Result<Vec<Hit>> {
        let query = snapshot.query(&self.vector).top_k(ALL).exact().with_vectors();
        match &self.filter {
            Json::Null => query.run(),
            filter => query.filter(mongo_json(filter)?).run(),
        }
    }
}

/// The answers of an intact index.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) items: Vec<Item>,
    found: Vec<(Question, Vec<Hit>)>,
    checkpoints: Vec<(String, Vec<Item>)>,
}

fn list(snapshot: &Snapshot) -> vectra::Result<Vec<Item>> {
    Ok(snapshot.list_items(None, ALL)?.items)
}

/// This, or an error that says that a file is damaged.
fn same(what: &str, got: vectra::Result<bool>) -> Result<(), String> {
    match got {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{what}: another answer")),
        Err(error) if is_refusal(&error) => Ok(()),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

impl Known {
    /// Asks an intact index.
    pub(crate) fn of(index: &Index, questions: Vec<Question>) -> vectra::Result<Self> {
        let snapshot = index.snapshot();
        let mut known = Self { items: list(&snapshot)?, found: Vec::new(), checkpoints: Vec::new() };
        assert!(known.items.len() < ALL, "none is left out");
        for question in questions {
            let hits = question.exact(&snapshot)?;
            assert!(!hits.is_empty(), "{question:?} finds nothing");
            known.found.push((question, hits));
        }
        for kept in index.checkpoints() {
            let items = list(&index.at_checkpoint(&kept.name)?)?;
            known.checkpoints.push((kept.name, items));
        }
        Ok(known)
    }

    /// Every answer of an index that may be damaged is the known one, or an error that says that a file is damaged; those of
    /// approximate queries may be fewer. `turn` decides what is asked first, before anything else could have noticed.
    pub(crate) fn check(&self, index: &Index, turn: usize) -> Result<(), String> {
        let snapshot = index.snapshot();
        match turn % 3 {
            0 => {
                self.look_up(&snapshot)?;
                self.find(&snapshot)?;
            }
            1 => {
                self.find(&snapshot)?;
                self.look_up(&snapshot)?;
            }
            _ => {
                self.look_back(index)?;
                self.find(&snapshot)?;
                return self.look_up(&snapshot);
            }
        }
        self.look_back(index)
    }

    fn look_up(&self, snapshot: &Snapshot) -> Result<(), String> {
        same("list", list(snapshot).map(|items| items == self.items))?;
        for item in &self.items {
            same("get", snapshot.get_item(item.id.clone()).map(|got| got.as_ref() == Some(item)))?;
        }
        Ok(())
    }

    fn find(&self, snapshot: &Snapshot) -> Result<(), String> {
        for (question, all) in &self.found {
            if question.filter.is_null() {
                let near = snapshot.query(&question.vector).top_k(3).with_vectors().run();
                same("near", near.map(|hits| hits.iter().all(|hit| all.contains(hit))))?;
            }
            same("exact", question.exact(snapshot).map(|hits| hits == *all))?;
        }
        Ok(())
    }

    fn look_back(&self, index: &Index) -> Result<(), String> {
        let names: Vec<String> = index.checkpoints().into_iter().map(|kept| kept.name).collect();
        if !names.iter().eq(self.checkpoints.iter().map(|(name, _)| name)) {
            return Err(format!("checkpoints: {names:?}"));
        }
        for (name, items) in &self.checkpoints {
            let then = index.at_checkpoint(name).and_then(|snapshot| list(&snapshot));
            same("checkpoint", then.map(|found| found == *items))?;
        }
        Ok(())
    }
}
