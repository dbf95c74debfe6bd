//! Opening an index with components of the caller's choice.

use std::path::Path;
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::{Fs, OsFs};
use vectra_tier::Mode;
use vectra_wal::DumpEntry;

use crate::backup::{RestoreReport, restore_in};
use crate::create;
use crate::dump::{LoggedContent, dump_in};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::maintain::Upkeep;
use crate::progress::Watch;
use crate::reader::Reader;
use crate::recover::{self, Outside};
use crate::salvage::{SalvageOptions, SalvageReport, salvage_in};
use crate::settings::Settings;
use crate::verify::{VerifyOptions, VerifyReport, verify_in};

/// Where cold parts rest, as the caller said it.
#[cfg(feature = "remote")]
#[derive(Debug)]
enum Remote {
    Url(String),
    Store(vectra_tier::RemoteStore),
}

#[cfg(feature = "remote")]
impl Remote {
    fn connect(self, env: &Env) -> Result<vectra_tier::RemoteStore> {
        match self {
            Self::Store(store) => Ok(store),
            Self::Url(url) => {
                let (rng, patience) = (Arc::clone(&env.rng), vectra_tier::Patience::default());
                vectra_tier::RemoteStore::from_url(&url, rng, patience).map_err(crate::maintain::remote_error)
            }
        }
    }
}

/// Chooses the outside world of an index: file system, clock, threads, and how parts are read.
///
/// [`Index::create`] and [`Index::open`] use the operating system's; tests and embedders can bring their own.
#[derive(Debug, Default)]
pub struct Builder {
    fs: Option<Arc<dyn Fs>>,
    env: Option<Env>,
    mode: Option<Mode>,
    threads: Option<usize>,
    upkeep: Upkeep,
    ack_after_mark: bool,
    #[cfg(feature = "remote")]
    remote: Option<Remote>,
}

impl Builder {
    /// The operating system's file system, clock and threads.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps files in `fs`.
    #[must_use]
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = Some(fs);
        self
    }

    /// Takes time, chance and background work from `env`.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Maps parts into memory (the default for local files), reads them, or keeps vectors out of memory.
    ///
    /// With [`Mode::Map`], vectors that queries compare exactly become resident, up to all of them; the system's page cache
    /// holds them in any case. With [`Mode::Lean`] the process holds codes, graph and small columns alone, and reads each
    /// vector from its file: about ten system calls per query, at the same answers. With [`Mode::Read`] it holds everything.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How many threads build graphs in the background (all processors unless said otherwise).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// After how long without a write the index tidies its folder, so that what was deleted or rewritten gives its space
    /// back without a call to [`Index::compact`] (one second unless said otherwise).
    #[must_use]
    pub fn settle_after(mut self, quiet: std::time::Duration) -> Self {
        self.upkeep.settle_after = quiet;
        self
    }

    /// How many bytes of the volume stay free: below that inserts, upserts and updates fail with
    /// [`crate::ErrorKind::Full`] before anything is written, while deletes and compaction go on. A tenth of the volume,
    /// at most 1 GiB, unless said otherwise; 0 leaves it to the file system to refuse, which may cost the open index its
    /// log: it must then be reopened.
    #[must_use]
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.upkeep.disk_reserve = Some(bytes);
        self
    }

    /// The size of the file `ballast`, which is dropped when the disk is full so that deletes, commits and compaction
    /// still fit. A hundredth of the index, 1 to 64 MiB, from 256 MiB of data on, unless said otherwise; 0 keeps none.
    #[must_use]
    pub fn ballast(mut self, bytes: u64) -> Self {
        self.upkeep.ballast_bytes = Some(bytes);
        self
    }

    /// Whether a write with [`Durability::Sync`](crate::Durability::Sync) is acknowledged only once the log says of
    /// itself that it is durable, at the cost of one more write and sync per group (off unless said otherwise).
    ///
    /// Damage to the group written last, before anything later testifies to it, looks like a write that the power cut
    /// off: the next open drops it and reports [`OpenReport::torn`](crate::OpenReport::torn). That window ends with the
    /// next group, or after 100 ms without one. With this on, no acknowledged group is ever in it: the damage is
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    #[must_use]
    pub fn ack_after_mark(mut self, on: bool) -> Self {
        self.ack_after_mark = on;
        self
    }

    /// How many bytes of codes and graphs are copied into memory of the process, where they are verified in the
    /// background (1 GiB unless said otherwise; 0 copies nothing). What does not fit is used as the file gives it, with
    /// every access checked, and a query's [`Profile::unverified`](crate::Profile) counts it.
    #[must_use]
    pub fn verified_bytes_max(mut self, bytes: u64) -> Self {
        self.upkeep.verified_bytes_max = bytes;
        self
    }

    /// Where segments that are spilled go, and are fetched from: `file:///directory` or `memory:///`. Each index has
    /// its own prefix there.
    #[cfg(feature = "remote")]
    #[must_use]
    pub fn remote(mut self, url: &str) -> Self {
        self.remote = Some(Remote::Url(url.to_owned()));
        self
    }

    /// As [`Builder::remote`], with a store of the caller's choice: any client of the `object_store` crate.
    #[cfg(feature = "remote")]
    #[must_use]
    pub fn remote_store(mut self, store: vectra_tier::RemoteStore) -> Self {
        self.remote = Some(Remote::Store(store));
        self
    }

    #[cfg_attr(
        not(feature = "remote"),
        expect(clippy::unnecessary_wraps, reason = "with `remote` there is a URL that may be wrong")
    )]
    fn outside(self) -> Result<Outside> {
        let threads = self
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        let env = self.env.unwrap_or_else(|| Env::os(threads));
        Ok(Outside {
            fs: self.fs.unwrap_or_else(|| Arc::new(OsFs::new())),
            mode: self.mode.unwrap_or(Mode::Map),
            #[cfg(feature = "remote")]
            remote: self.remote.map(|remote| remote.connect(&env)).transpose()?,
            env,
            upkeep: self.upkeep,
            ack_after_mark: self.ack_after_mark,
        })
    }

    /// Makes an empty index; see [`Index::create`].
    ///
    /// # Errors
    /// As [`Index::create`].
    pub fn create(self, path: impl AsRef<Path>, settings: Settings) -> Result<Index> {
        let root = absolute(path.as_ref())?;
        create::create(&root, settings, &self.outside()?).map(|engine| Index { engine })
    }

    /// Opens an index; see [`Index::open`].
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Index> {
        let root = absolute(path.as_ref())?;
        let engine = recover::open(&root, &self.outside()?)?;
        if engine.opened.torn {
            tracing::warn!(
                bytes = engine.opened.dropped_tail_bytes,
                "the log ended in a write that was cut off; it was dropped"
            );
        }
        Ok(Index { engine })
    }

    /// Opens an index for reading, beside a writer in another process; see [`Reader::open`].
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_reader(self, path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_in(&absolute(path.as_ref())?, self.outside()?)
    }

    /// Checks a folder without changing it; see [`crate::verify`].
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub fn verify(self, path: impl AsRef<Path>) -> Result<VerifyReport> {
        self.verify_with(path, &VerifyOptions::default())
    }

    /// Checks every byte of a folder; see [`crate::verify_deep`].
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub fn verify_deep(self, path: impl AsRef<Path>) -> Result<VerifyReport> {
        self.verify_with(path, &VerifyOptions::deep())
    }

    /// Checks a folder as `options` say; see [`crate::verify`].
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub fn verify_with(self, path: impl AsRef<Path>, options: &VerifyOptions<'_>) -> Result<VerifyReport> {
        verify_in(&self.outside()?, &absolute(path.as_ref())?, options)
    }

    /// Makes an index from a backup; see [`crate::restore`].
    ///
    /// # Errors
    /// As [`crate::restore`].
    pub fn restore(
        self,
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        watch: Watch<'_>,
    ) -> Result<RestoreReport> {
        restore_in(&self.outside()?, &absolute(backup.as_ref())?, &absolute(to.as_ref())?, watch)
    }

    /// Shows everything in the log of an index; see [`crate::dump_log`].
    ///
    /// # Errors
    /// As [`crate::dump_log`].
    pub fn dump_log(
        self,
        path: impl AsRef<Path>,
        visit: &mut dyn FnMut(DumpEntry<'_>, Option<LoggedContent>),
    ) -> Result<()> {
        dump_in(&self.outside()?, &absolute(path.as_ref())?, visit)
    }

    /// Saves what can be read of a damaged index; see [`crate::salvage`].
    ///
    /// # Errors
    /// As [`crate::salvage`].
    pub fn salvage(
        self,
        damaged: impl AsRef<Path>,
        out: impl AsRef<Path>,
        options: &SalvageOptions<'_>,
    ) -> Result<SalvageReport> {
        salvage_in(&self.outside()?, &absolute(damaged.as_ref())?, &absolute(out.as_ref())?, options)
    }
}

/// Paths are made absolute once, so that a change of the working directory does not move an open index.
pub(crate) fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path)
        .map_err(|e| Error::caused(ErrorKind::Invalid, format!("{} is no usable path", path.display()), e))
}
