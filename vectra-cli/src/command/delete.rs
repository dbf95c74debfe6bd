//! `vectra delete`: items that go.

use serde_json::{Value as Json, json};
use vectra::ItemId;

use crate::args::DeleteArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, id_json};

pub(super) fn run(args: &DeleteArgs, output: &mut Output) -> Result<Exit> {
    let index = folder::open(&args.index)?;
    let failed = |e: vectra::Error| Failure::of_index(&e, &args.index);
    let mut there = Vec::new();
    let mut missing: Vec<&ItemId> = Vec::new();
    for id in &args.ids {
        match folder::find(&index.snapshot(), id).map_err(failed)? {
            Some(item) => there.push(item.id),
            None => missing.push(id),
        }
    }
    let receipt = index.delete_items(there).map_err(failed)?;
    // With a weaker durability of the index, a command that has ended still has done its work for good.
    index.sync().map_err(failed)?;
    index.close()?;
    if output.is_json() {
        let missing: Vec<Json> = missing.iter().map(|id| id_json(id)).collect();
        output.json(&json!({"deleted": receipt.items, "missing": missing}))?;
    } else {
        output.line(format!("deleted {} of {}", receipt.items, args.ids.len()))?;
        for id in missing {
            output.line(format!("  not there: {id}"))?;
        }
    }
    Ok(Exit::Ok)
}
