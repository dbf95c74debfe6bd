//! A file system in memory.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::{Access, Blob, Entry, File, Fs, LockGuard, Site};

/// A file system in memory, for embedding without a disk and for tests. Nothing survives it.
///
/// Paths are taken from one root: `/a/b` and `a/b` are the same file; `..` is refused. Clones share the content.
#[derive(Debug, Clone, Default)]
pub struct MemFs {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    /// Every name but the root's, by its components.
    nodes: BTreeMap<Name, Node>,
    /// Who holds each locked file.
    locks: BTreeMap<Name, String>,
}

type Name = Vec<String>;

#[derive(Debug, Clone)]
enum Node {
    Dir,
    File(Arc<Inode>),
}

#[derive(Debug, Default)]
struct Inode {
    content: RwLock<Vec<u8>>,
    readonly: Mutex<bool>,
}

#[derive(Debug)]
struct MemFile {
    inode: Arc<Inode>,
    access: Access,
}

#[derive(Debug)]
struct MemLock {
    tree: Arc<Mutex<Tree>>,
    name: Name,
}

impl LockGuard for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.tree.lock().locks.remove(&self.name);
    }
}

impl MemFs {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }
}

/// A path as components below the one root.
pub(super) fn components(path: &Path) -> io::Result<Name> {
    let mut name = Name::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => match part.to_str() {
                Some(part) => name.push(part.to_owned()),
                None => return Err(io::Error::new(ErrorKind::InvalidInput, "a path that is not UTF-8")),
            },
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(io::Error::new(ErrorKind::InvalidInput, "a path with '..'"));
            }
        }
    }
    Ok(name)
}

impl Tree {
    fn require_dir(&self, name: &[String]) -> io::Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        match self.nodes.get(name) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(self.missing(name)),
        }
    }

    fn file(&self, name: &[String]) -> io::Result<&Arc<Inode>> {
        match self.nodes.get(name) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None if name.is_empty() => Err(ErrorKind::IsADirectory.into()),
            None => Err(self.missing(name)),
        }
    }

    /// Why nothing has this name: below a file there can be nothing, elsewhere there could be.
    fn missing(&self, name: &[String]) -> io::Error {
        let below_file = (1..name.len()).any(|n| matches!(self.nodes.get(&name[..n]), Some(Node::File(_))));
        if below_file { ErrorKind::NotADirectory.into() } else { ErrorKind::NotFound.into() }
    }

    /// Adds a name that must be free, in a directory that must exist.
    fn add(&mut self, name: Name, node: Node) -> io::Result<()> {
        let Some((_, dir)) = name.split_last() else { return Err(ErrorKind::AlreadyExists.into()) };
        self.require_dir(dir)?;
        if self.nodes.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.nodes.insert(name, node);
        Ok(())
    }
}

impl Fs for MemFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let inode = Arc::<Inode>::default();
        self.tree.lock().add(components(path)?, Node::File(Arc::clone(&inode)))?;
        Ok(Box::new(MemFile { inode, access: Access::ReadWrite }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let inode = Arc::clone(self.tree.lock().file(&components(path)?)?);
        if access == Access::ReadWrite && *inode.readonly.lock() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok(Box::new(MemFile { inode, access }))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree.lock();
        let inode = Arc::clone(tree.file(&components(from)?)?);
        tree.add(components(to)?, Node::File(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (components(from)?, components(to)?);
        let mut tree = self.tree.lock();
        let inode = Arc::clone(tree.file(&from)?);
        let Some((_, dir)) = to.split_last() else { return Err(ErrorKind::IsADirectory.into()) };
        tree.require_dir(dir)?;
        match tree.nodes.get(&to) {
            Some(Node::Dir) => return Err(ErrorKind::IsADirectory.into()),
            // Two names of one file: POSIX leaves both.
            Some(Node::File(other)) if Arc::ptr_eq(other, &inode) => return Ok(()),
            _ => {}
        }
        tree.nodes.remove(&from);
        tree.nodes.insert(to, Node::File(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = components(path)?;
        let mut tree = self.tree.lock();
        tree.file(&name)?;
        tree.nodes.remove(&name);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let dir = components(dir)?;
        let tree = self.tree.lock();
        tree.require_dir(&dir)?;
        let mut entries = Vec::new();
        for (name, node) in tree.nodes.range(dir.clone()..) {
            if !name.starts_with(&dir) {
                break;
            }
            if let [own] = &name[dir.len()..] {
                entries.push(Entry { name: own.clone(), is_dir: matches!(node, Node::Dir) });
            }
        }
        Ok(entries)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.tree.lock().add(components(dir)?, Node::Dir)
    }

    fn sync_dir_at(&self, dir: &Path, _site: Site) -> io::Result<()> {
        self.tree.lock().require_dir(&components(dir)?)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        let name = components(path)?;
        let mut tree = self.tree.lock();
        if let Some(other) = tree.locks.get(&name) {
            return Err(io::Error::new(ErrorKind::WouldBlock, other.clone()));
        }
        let inode = match tree.file(&name) {
            Ok(inode) => Arc::clone(inode),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let inode = Arc::<Inode>::default();
                tree.add(name.clone(), Node::File(Arc::clone(&inode)))?;
                inode
            }
            Err(e) => return Err(e),
        };
        *inode.content.write() = holder.as_bytes().to_vec();
        tree.locks.insert(name.clone(), holder.to_owned());
        Ok(Box::new(MemLock { tree: Arc::clone(&self.tree), name }))
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let name = components(path)?;
        let mut tree = self.tree.lock();
        tree.file(&name)?;
        if let Some(other) = tree.locks.get(&name) {
            return Err(io::Error::new(ErrorKind::WouldBlock, other.clone()));
        }
        tree.locks.insert(name.clone(), String::new());
        Ok(Box::new(MemLock { tree: Arc::clone(&self.tree), name }))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.tree.lock().require_dir(&components(dir)?)?;
        Ok(u64::MAX)
    }
}

impl MemFile {
    fn require_writable(&self) -> io::Result<()> {
        if self.access == Access::ReadWrite { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

/// The part of `content` at `offset`, copied into `buf`; how many bytes there were.
pub(super) fn copy_at(content: &[u8], buf: &mut [u8], offset: u64) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    let n = buf.len().min(content.len() - start);
    buf[..n].copy_from_slice(&content[start..start + n]);
    n
}

/// Writes `buf` into `content` at `offset`, growing it with zeros.
pub(super) fn paste_at(content: &mut Vec<u8>, buf: &[u8], offset: u64) -> io::Result<()> {
    if buf.is_empty() {
        return Ok(());
    }
    let start = usize::try_from(offset).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    let end = start.checked_add(buf.len()).ok_or(ErrorKind::FileTooLarge)?;
    resize(content, content.len().max(end) as u64)?;
    content[start..end].copy_from_slice(buf);
    Ok(())
}

/// Cuts `content` or grows it with zeros; memory that is not there is an error, not an abort.
pub(super) fn resize(content: &mut Vec<u8>, len: u64) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    let more = len.saturating_sub(content.len());
    content.try_reserve(more).map_err(|_| io::Error::from(ErrorKind::StorageFull))?;
    content.resize(len, 0);
    Ok(())
}

impl File for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(copy_at(&self.inode.content.read(), buf, offset))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.require_writable()?;
        paste_at(&mut self.inode.content.write(), buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        resize(&mut self.inode.content.write(), len)
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        self.require_writable()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.content.read().len() as u64)
    }

    fn sync_data_at(&self, _site: Site) -> io::Result<()> {
        Ok(())
    }

    fn sync_all_at(&self, _site: Site) -> io::Result<()> {
        Ok(())
    }

    fn set_readonly(&self) -> io::Result<()> {
        *self.inode.readonly.lock() = true;
        Ok(())
    }

    fn map(&self) -> io::Result<Blob> {
        Ok(Blob::copy_of(&self.inode.content.read()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fs::conformance;

    #[test]
    fn conforms() {
        conformance(&MemFs::new(), Path::new("/"));
        let fs = MemFs::new();
        fs.mkdir(Path::new("root")).expect("a new directory");
        conformance(&fs, Path::new("root"));
    }

    #[test]
    fn clones_share_and_paths_have_one_root() {
        let fs = MemFs::new();
        drop(fs.create_new(Path::new("/a")).expect("a new file"));
        let err = fs.clone().create_new(Path::new("./a")).expect_err("the same file");
        assert_eq!(err.kind(), ErrorKind::AlreadyExists);
        let err = fs.create_new(Path::new("b/../c")).expect_err("refused");
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_published_file_does_not_open_for_writing() {
        let fs = MemFs::new();
        let file = fs.create_new(Path::new("a")).expect("a new file");
        file.set_readonly().expect("it is there");
        let err = fs.open(Path::new("a"), Access::ReadWrite).expect_err("read-only");
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        assert!(fs.open(Path::new("a"), Access::Read).is_ok());
    }

    #[test]
    fn absurd_lengths_are_errors() {
        let fs = MemFs::new();
        let file = fs.create_new(Path::new("a")).expect("a new file");
        assert!(file.set_len(u64::MAX).is_err());
        assert!(file.write_all_at(b"x", u64::MAX).is_err());
        assert_eq!(file.len().expect("open"), 0);
    }
}
