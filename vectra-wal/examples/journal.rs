//! A tiny journal: `cargo run --example journal -- [FOLDER] [TEXT]...` adds lines and prints the whole journal.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::{Fs, OsFs};
use vectra_wal::{Durability, FileLog, Log, OpenError, Options};

const LINE: u8 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(default_dir, PathBuf::from);
    let mut lines: Vec<String> = arguments.collect();
    if lines.is_empty() {
        lines = vec!["the first thought".to_owned(), "a second one".to_owned()];
    }

    let log = open(&dir)?;
    for line in lines {
        let ticket = log.enqueue(LINE, 1, line.into_bytes())?;
        log.commit(&ticket, Durability::Sync, &|lsn| println!("durable up to {lsn}"))?;
    }
    println!("{:?}", log.stats());
    log.close()?;
    Ok(())
}

fn default_dir() -> PathBuf {
    std::env::temp_dir().join(format!("vectra-journal-{}", std::process::id()))
}

/// Opens the journal, printing what is in it, or begins one.
fn open(dir: &Path) -> Result<FileLog, Box<dyn Error>> {
    let fs: Arc<dyn Fs> = Arc::new(OsFs::new());
    let env = Env::os(1);
    let options = Options::new(*b"journal example!");
    let print = &mut |frame: vectra_wal::Frame<'_>| {
        println!("{:>4}  {}", frame.first_lsn, str::from_utf8(frame.payload)?);
        Ok(())
    };
    match FileLog::open(Arc::clone(&fs), dir, &env, options.clone(), print) {
        Ok((log, recovery)) => {
            println!("{} lines from {}", recovery.frames, dir.display());
            Ok(log)
        }
        Err(OpenError::Missing { .. }) => {
            println!("a new journal in {}", dir.display());
            Ok(FileLog::create(fs, dir, &env, options)?)
        }
        Err(e) => Err(e.into()),
    }
}
