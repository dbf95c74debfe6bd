//! `vectra compact`: nothing dead, everything merged, every graph built.

use std::time::Instant;

use serde_json::json;

use crate::args::IndexArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, bytes};
use crate::progress;

pub(super) fn run(args: &IndexArgs, output: &mut Output) -> Result<Exit> {
    let started = Instant::now();
    let index = folder::open(&args.index)?;
    let before = folder::bytes_on_disk(&args.index);
    let spinner = progress::spinner("compacting", output.is_json());
    let done = index.compact();
    spinner.finish_and_clear();
    done.map_err(|e| Failure::of_index(&e, &args.index))?;
    index.close()?;
    let after = folder::bytes_on_disk(&args.index);
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        output.json(&json!({"bytes_before": before, "bytes_after": after, "seconds": seconds}))?;
    } else {
        output.line(format!("compacted from {} to {} in {seconds:.1} s", bytes(before), bytes(after)))?;
    }
    Ok(Exit::Ok)
}
