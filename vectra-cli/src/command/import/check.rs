//! The pass over all rows that comes before the first write.

use std::collections::HashSet;

use indicatif::ProgressBar;
use vectra::{Item, ItemId, Settings, Snapshot};

use crate::args::ImportArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input::{InputError, ItemFiles, VectorRules, same_vector};

const NOTHING: &str = "correct or leave out the row; nothing was written";

/// Checks every row against the settings, the other rows and what the index holds; counts the rows to pass over.
pub(super) fn all(
    files: &ItemFiles,
    settings: &Settings,
    before: Option<&Snapshot>,
    args: &ImportArgs,
    bar: &ProgressBar,
) -> Result<u64> {
    let rules = VectorRules::of(settings);
    // Row numbers cannot repeat; ids from a file can.
    let mut seen = (files.ids_from.is_some() || files.vectors.carries_metadata()).then(HashSet::new);
    let mut skipped = 0;
    for (row, sized) in files.items()?.enumerate() {
        let row = row as u64;
        let item = sized?.item;
        rules
            .check(&item.vector)
            .map_err(|problem| InputError::bad_row(&files.path, row, problem, NOTHING))?;
        if let Some(before) = before {
            skipped += u64::from(is_there(before, &rules, &item, row, args)?);
        }
        if let Some(seen) = &mut seen {
            distinct(seen, item.id, row, files)?;
        }
        bar.inc(1);
    }
    Ok(skipped)
}

fn distinct(seen: &mut HashSet<ItemId>, id: ItemId, row: u64, files: &ItemFiles) -> Result<()> {
    if let Some(id) = seen.replace(id) {
        let problem = format!("an earlier row has the same id `{id}`");
        return Err(InputError::bad_row(&files.path, row, problem, NOTHING).into());
    }
    Ok(())
}

/// Whether the index holds this row already; refuses an id that it must not take again.
fn is_there(
    before: &Snapshot,
    rules: &VectorRules,
    item: &Item,
    row: u64,
    args: &ImportArgs,
) -> Result<bool> {
    let stored = before.get_item(item.id.clone()).map_err(|e| Failure::of_index(&e, &args.into))?;
    let Some(stored) = stored else { return Ok(false) };
    let place = format!("{}, row {row}: the id `{}`", args.file.display(), item.id);
    if !args.resume {
        let text = format!("{place} is in the index already; nothing was written");
        return Err(Failure::new(Exit::Conflict, text)
            .hint("to go on with an import that was interrupted, add --resume to the same command"));
    }
    if !same_vector(rules, &item.vector, &stored.vector) {
        let text = format!("{place} is in the index already, with another vector; nothing was written");
        return Err(Failure::new(Exit::Conflict, text).hint(
            "--resume goes on with the same file; import other rows under other ids (--ids-from FIELD)",
        ));
    }
    Ok(true)
}
