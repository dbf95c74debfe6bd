//! How long it takes to open a log that nothing has truncated.
//!
//! `cargo run --release -p vectra-wal --example recovery -- [MiB 1024] [bytes per frame 8192] [opens 3] [folder]`

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use vectra_core::env::{Clock, Env, OsClock};
use vectra_core::io::{Fs, OsFs};
use vectra_wal::{Durability, FileLog, Log, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |text| text.parse());
    let (mebibytes, frame, opens) = (number(0, 1024)?, number(1, 8192)?.max(1), number(2, 3)?);
    let folder = tempfile::tempdir_in(args.get(3).map_or_else(std::env::temp_dir, PathBuf::from))?;
    let dir = folder.path().join("wal");
    let fs: Arc<dyn Fs> = Arc::new(OsFs::new());
    let (env, options, clock) = (Env::os(1), Options::new([1; 16]), OsClock::new());

    let log = FileLog::create(Arc::clone(&fs), &dir, &env, options.clone())?;
    let frames = (mebibytes << 20) / frame;
    let start = clock.now();
    for i in 0..frames {
        let payload: Vec<u8> = (0..frame).map(|j| (i * 31 + j * 7) as u8).collect();
        let ticket = log.enqueue(1, 1, payload)?;
        log.commit(&ticket, Durability::None, &|_| ())?;
    }
    let written = clock.now().saturating_sub(start).as_secs_f64();
    let stats = log.stats();
    println!("wrote {} bytes in {} files in {written:.2} s", stats.bytes, stats.files);
    drop(log);

    for n in 1..=opens {
        let (mut replayed, mut bytes) = (0_u64, 0_u64);
        let start = clock.now();
        let (log, recovery) = FileLog::open(Arc::clone(&fs), &dir, &env, options.clone(), &mut |frame| {
            replayed += 1;
            bytes += frame.payload.len() as u64;
            Ok(())
        })?;
        let seconds = clock.now().saturating_sub(start).as_secs_f64();
        assert_eq!((replayed, recovery.last_lsn), (frames, frames), "everything is replayed");
        drop(log);
        println!(
            "open {n}: {seconds:.3} s for {bytes} payload bytes ({:.0} MB/s)",
            bytes as f64 / seconds / 1e6
        );
    }
    Ok(())
}
