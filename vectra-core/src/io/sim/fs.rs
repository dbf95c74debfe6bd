//! The simulated disk as a file system.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::mem::components;
use super::super::{Access, Entry, File, Fs, LockGuard, Site};
use super::SimFs;
use super::call::{Call, CallKind, SyncSite};
use super::disk::{Disk, Extent};
use super::file::SimFile;
use super::inode::{DirInode, FileInode, Inode, InodeId, NameChange};

#[derive(Debug)]
struct SimLock {
    disk: Arc<Mutex<Disk>>,
    inode: InodeId,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.inode);
    }
}

impl Disk {
    /// The directory of a path, and the name in it.
    fn split<'n>(&self, name: &'n [String]) -> io::Result<(InodeId, &'n String)> {
        let Some((own, dir)) = name.split_last() else { return Err(ErrorKind::AlreadyExists.into()) };
        let dir = self.lookup(dir)?;
        self.dir(dir)?;
        Ok((dir, own))
    }

    fn change_name(&mut self, dir: InodeId, change: NameChange) -> io::Result<()> {
        let seq = self.next_seq();
        self.dir_mut(dir)?.change(seq, change);
        Ok(())
    }

    /// Gives an inode a name that must be free.
    fn name(&mut self, name: &[String], inode: impl FnOnce(&mut Self) -> InodeId) -> io::Result<InodeId> {
        let (dir, own) = self.split(name)?;
        if self.dir(dir)?.names.contains_key(own) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = inode(self);
        self.change_name(dir, NameChange::Set { name: own.clone(), inode, replaces: false })?;
        Ok(inode)
    }

    fn create(&mut self, name: &[String]) -> io::Result<InodeId> {
        self.name(name, |disk| disk.add(Inode::File(FileInode::default())))
    }

    /// A file's inode; directories are refused.
    fn lookup_file(&self, name: &[String]) -> io::Result<InodeId> {
        let inode = self.lookup(name)?;
        self.file(inode)?;
        Ok(inode)
    }

    fn rename(&mut self, from: &[String], to: &[String]) -> io::Result<()> {
        let inode = self.lookup_file(from)?;
        let (from_dir, from) = self.split(from)?;
        if to.is_empty() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (to_dir, to) = self.split(to)?;
        let replaced = self.dir(to_dir)?.names.get(to).copied();
        if let Some(replaced) = replaced {
            self.file(replaced)?;
            self.require_closed(replaced)?;
            if replaced == inode {
                // Two names of one file: POSIX leaves both.
                return Ok(());
            }
        }
        let (from, to, replaces) = (from.clone(), to.clone(), replaced.is_some());
        if from_dir == to_dir {
            return self.change_name(to_dir, NameChange::Move { from, to, inode, replaces });
        }
        // One moment for both halves, so that a journal keeps them together.
        let seq = self.next_seq();
        self.dir_mut(to_dir)?.change(seq, NameChange::Set { name: to, inode, replaces });
        self.dir_mut(from_dir)?.change(seq, NameChange::Unset { name: from });
        Ok(())
    }

    fn remove(&mut self, name: &[String]) -> io::Result<()> {
        self.require_closed(self.lookup_file(name)?)?;
        let (dir, own) = self.split(name)?;
        self.change_name(dir, NameChange::Unset { name: own.clone() })
    }

    fn lock(&mut self, name: &[String], holder: &str) -> io::Result<InodeId> {
        let inode = match self.lookup_file(name) {
            Err(e) if e.kind() == ErrorKind::NotFound => self.create(name)?,
            found => found?,
        };
        if let Some(other) = self.locks.get(&inode) {
            return Err(io::Error::new(ErrorKind::WouldBlock, other.clone()));
        }
        self.set_len(inode, 0)?;
        self.write(inode, holder.as_bytes(), 0, Extent::Whole)?;
        self.locks.insert(inode, holder.to_owned());
        Ok(inode)
    }

    fn lock_existing(&mut self, name: &[String]) -> io::Result<InodeId> {
        let inode = self.lookup_file(name)?;
        if let Some(other) = self.locks.get(&inode) {
            return Err(io::Error::new(ErrorKind::WouldBlock, other.clone()));
        }
        self.locks.insert(inode, String::new());
        Ok(inode)
    }

    fn list(&self, dir: &[String]) -> io::Result<Vec<Entry>> {
        let names = &self.dir(self.lookup(dir)?)?.names;
        let entry =
            |(name, &id): (&String, &InodeId)| Entry { name: name.clone(), is_dir: self.dir(id).is_ok() };
        Ok(names.iter().map(entry).collect())
    }
}

impl Fs for SimFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let name = components(path)?;
        let call = Call::new(CallKind::CreateNew, path);
        let inode = self.disk.lock().call(call, |disk, _| disk.create(&name))?;
        Ok(Box::new(SimFile::new(&self.disk, inode, path, Access::ReadWrite)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let name = components(path)?;
        let mut disk = self.disk.lock();
        disk.read_call(CallKind::Open, 0)?;
        let inode = disk.lookup_file(&name)?;
        if access == Access::ReadWrite && disk.file(inode)?.readonly {
            return Err(ErrorKind::PermissionDenied.into());
        }
        drop(disk);
        Ok(Box::new(SimFile::new(&self.disk, inode, path, access)))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_name, to_name) = (components(from)?, components(to)?);
        let call = Call::new(CallKind::Link, from).to(to);
        self.disk.lock().call(call, |disk, _| {
            let inode = disk.lookup_file(&from_name)?;
            disk.name(&to_name, |_| inode).map(drop)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_name, to_name) = (components(from)?, components(to)?);
        let call = Call::new(CallKind::Rename, from).to(to);
        self.disk.lock().call(call, |disk, _| disk.rename(&from_name, &to_name))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = components(path)?;
        self.disk.lock().call(Call::new(CallKind::Remove, path), |disk, _| disk.remove(&name))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let name = components(dir)?;
        let mut disk = self.disk.lock();
        disk.read_call(CallKind::List, 0)?;
        disk.list(&name)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        let name = components(dir)?;
        let call = Call::new(CallKind::Mkdir, dir);
        let add = |disk: &mut Disk| disk.add(Inode::Dir(DirInode::default()));
        self.disk.lock().call(call, |disk, _| disk.name(&name, add).map(drop))
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        let name = components(dir)?;
        let call = Call::new(CallKind::SyncDir, dir).site(site);
        self.disk.lock().call(call, |disk, extent| {
            let inode = disk.lookup(&name)?;
            disk.dir(inode)?;
            if disk.ignores(SyncSite::from(site)) { Ok(()) } else { disk.sync_names(inode, extent) }
        })
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        let name = components(path)?;
        let inode =
            self.disk.lock().call(Call::new(CallKind::Lock, path), |disk, _| disk.lock(&name, holder))?;
        Ok(Box::new(SimLock { disk: Arc::clone(&self.disk), inode }))
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let name = components(path)?;
        let inode =
            self.disk.lock().call(Call::new(CallKind::Lock, path), |disk, _| disk.lock_existing(&name))?;
        Ok(Box::new(SimLock { disk: Arc::clone(&self.disk), inode }))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let name = components(dir)?;
        let mut disk = self.disk.lock();
        disk.read_call(CallKind::FreeSpace, 0)?;
        disk.dir(disk.lookup(&name)?)?;
        Ok(disk.free())
    }

    fn total_space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.disk.lock().quota.unwrap_or(u64::MAX))
    }
}
