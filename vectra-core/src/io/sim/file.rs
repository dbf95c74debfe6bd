//! An open file on a simulated disk.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::mem::copy_at;
use super::super::{Access, Blob, File, Site};
use super::call::{Call, CallKind, SyncSite};
use super::disk::Disk;
use super::inode::InodeId;

#[derive(Debug)]
pub(super) struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: InodeId,
    path: PathBuf,
    access: Access,
}

impl SimFile {
    pub(super) fn new(disk: &Arc<Mutex<Disk>>, inode: InodeId, path: &Path, access: Access) -> Self {
        *disk.lock().open.entry(inode).or_default() += 1;
        Self { disk: Arc::clone(disk), inode, path: path.to_owned(), access }
    }

    fn call(&self, kind: CallKind) -> Call {
        Call::new(kind, self.path.clone())
    }

    fn require_writable(&self) -> io::Result<()> {
        if self.access == Access::ReadWrite { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }

    fn sync(&self, kind: CallKind, site: Site) -> io::Result<()> {
        let call = self.call(kind).site(site);
        self.disk.lock().call(call, |disk, extent| {
            if disk.ignores(SyncSite::from(site)) {
                return Ok(());
            }
            disk.sync_file(self.inode, extent, kind == CallKind::SyncAll)
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if let Some(handles) = disk.open.get_mut(&self.inode) {
            *handles -= 1;
            if *handles == 0 {
                disk.open.remove(&self.inode);
            }
        }
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        let (len, stale) = disk.read_call(CallKind::Read, buf.len())?;
        let file = disk.file(self.inode)?;
        let buf = &mut buf[..len];
        Ok(if stale { copy_at(&file.stale(), buf, offset) } else { copy_at(&file.content, buf, offset) })
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.require_writable()?;
        let call = self.call(CallKind::Write).bytes(buf, offset);
        self.disk.lock().call(call, |disk, extent| disk.write(self.inode, buf, offset, extent))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        let call = self.call(CallKind::SetLen).len(len);
        self.disk.lock().call(call, |disk, _| disk.set_len(self.inode, len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        let call = self.call(CallKind::Allocate).len(len);
        self.disk.lock().call(call, |disk, _| disk.reserve(self.inode, len))
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.read_call(CallKind::Len, 0)?;
        Ok(disk.file(self.inode)?.content.len() as u64)
    }

    fn sync_data_at(&self, site: Site) -> io::Result<()> {
        self.sync(CallKind::SyncData, site)
    }

    fn sync_all_at(&self, site: Site) -> io::Result<()> {
        self.sync(CallKind::SyncAll, site)
    }

    fn set_readonly(&self) -> io::Result<()> {
        self.disk.lock().call(self.call(CallKind::SetReadonly), |disk, _| {
            disk.file_mut(self.inode)?.readonly = true;
            Ok(())
        })
    }

    fn map(&self) -> io::Result<Blob> {
        let mut disk = self.disk.lock();
        let (_, stale) = disk.read_call(CallKind::Map, 0)?;
        let file = disk.file(self.inode)?;
        Ok(if stale { Blob::copy_of(&file.stale()) } else { Blob::copy_of(&file.content) })
    }
}
