//! An object read as a file, range by range.

use std::io;
use std::path::{Path, PathBuf};

use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use vectra_core::io::{Blob, File, Site};

use super::RemoteStore;
use super::error::{Fault, RemoteError};
use super::patience::Miss;

/// An object of known length. Whatever checks a part's file checks the object through this, with no copy of it here.
#[derive(Debug)]
pub(super) struct ObjectFile<'a> {
    store: &'a RemoteStore,
    location: object_store::path::Path,
    length: u64,
    window: Mutex<Window>,
    /// Once a range could not be had, no other is asked for.
    failed: Mutex<Option<RemoteError>>,
}

/// The bytes that were read last, and where they begin.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> ObjectFile<'a> {
    pub(super) fn new(store: &'a RemoteStore, location: object_store::path::Path, length: u64) -> Self {
        Self { store, location, length, window: Mutex::default(), failed: Mutex::default() }
    }

    /// What damages call it.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(self.location.as_ref()).to_owned()
    }

    /// Why reading ended, if the store and not the content is the reason.
    pub(super) fn into_failure(self) -> Option<RemoteError> {
        self.failed.into_inner()
    }

    /// The bytes from `offset` on, as many as are asked for at once.
    fn fetch(&self, offset: u64) -> Result<Vec<u8>, RemoteError> {
        let patience = &self.store.patience;
        let length = (self.length - offset).min(u64::from(patience.read_bytes.max(1)));
        patience.try_hard(&*self.store.rng, |attempt| {
            let (objects, location) = (self.store.objects.clone(), self.location.clone());
            let range = offset..offset + length;
            let request = async move { objects.get_range(&location, range).await.map(Vec::from) };
            let failed = |fault: Fault| fault.into_error("read", &self.location, attempt);
            match self.store.request(&self.location, length, request) {
                Ok(bytes) if bytes.len() as u64 == length => Ok(bytes),
                Ok(bytes) => {
                    let text = format!("{} bytes came where {length} were asked for", bytes.len());
                    Err(Miss::Again(failed(Fault::Unclear(text.into()))))
                }
                Err(fault @ Fault::Refused(_)) => Err(Miss::Final(failed(fault))),
                Err(fault) => Err(Miss::Again(failed(fault))),
            }
        })
    }
}

impl File for ObjectFile<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.length || buf.is_empty() {
            return Ok(0);
        }
        let mut window = self.window.lock();
        let end = window.start + window.bytes.len() as u64;
        if offset < window.start || offset >= end {
            let mut failed = self.failed.lock();
            if failed.is_some() {
                return Err(io::Error::other("an earlier part of the object could not be read"));
            }
            match self.fetch(offset) {
                Ok(bytes) => *window = Window { start: offset, bytes },
                Err(error) => {
                    let text = error.to_string();
                    *failed = Some(error);
                    return Err(io::Error::other(text));
                }
            }
        }
        let bytes = &window.bytes[(offset - window.start) as usize..];
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn map(&self) -> io::Result<Blob> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data_at(&self, _: Site) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_all_at(&self, _: Site) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_readonly(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
