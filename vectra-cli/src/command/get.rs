//! `vectra get`: one item.

use serde_json::json;
use vectra::metadata_to_json;

use crate::args::GetArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, id_json, vector_json};

/// Components shown as text.
const SHOWN: usize = 8;

pub(super) fn run(args: &GetArgs, output: &mut Output) -> Result<Exit> {
    let index = folder::read(&args.index)?;
    let found = folder::find(&index.snapshot(), &args.id).map_err(|e| Failure::of_index(&e, &args.index))?;
    let item = found.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no item with the id `{}`", args.id))
            .hint("digits name a number, the hyphenated form a UUID, anything else a string; mind the case")
    })?;
    let metadata = metadata_to_json(&item.metadata);
    if output.is_json() {
        let (id, vector) = (id_json(&item.id), vector_json(&item.vector));
        output.json(&json!({"id": id, "metadata": metadata, "vector": vector}))?;
    } else {
        let shown: Vec<String> = item.vector.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if item.vector.len() > SHOWN { ", ..." } else { "" };
        output.facts(&[
            ("id", item.id.to_string()),
            ("metadata", metadata.to_string()),
            ("vector", format!("[{}{more}] ({} components)", shown.join(", "), item.vector.len())),
        ])?;
    }
    Ok(Exit::Ok)
}
