//! Immutable bytes behind a cheap handle, wherever they came from.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::memory::AlignedBuf;

#[derive(Clone)]
enum Source {
    Heap(Arc<AlignedBuf>),
    #[cfg(feature = "mmap")]
    Mapped(Arc<memmap2::Mmap>),
}

/// Immutable bytes: a range of an owned aligned buffer or of a mapped file. Cloning and slicing copy nothing.
///
/// The start of a whole blob is 64-byte aligned (mapped ones are page-aligned); slices keep the alignment of their
/// offset.
#[derive(Clone)]
pub struct Blob {
    source: Source,
    range: Range<usize>,
}

/// How bytes will be read; a hint to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Here and there: what lies around a byte that is read is not worth fetching.
    Scattered,
    /// All of them, in a moment.
    Soon,
}

impl Blob {
    /// Takes over an owned buffer.
    pub fn from_buf(buf: AlignedBuf) -> Self {
        let range = 0..buf.len();
        Self { source: Source::Heap(Arc::new(buf)), range }
    }

    /// Copies `bytes` into an owned aligned buffer.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::from_buf(AlignedBuf::from_slice(bytes))
    }

    /// Wraps a mapping of a file that nobody changes.
    #[cfg(feature = "mmap")]
    pub(crate) fn from_map(map: memmap2::Mmap) -> Self {
        let range = 0..map.len();
        Self { source: Source::Mapped(Arc::new(map)), range }
    }

    /// The bytes `range` of this blob, or `None` if it does not have them.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.range.len() {
            return None;
        }
        let start = self.range.start + range.start;
        Some(Self { source: self.source.clone(), range: start..start + range.len() })
    }

    /// Tells the system how the bytes will be read, where they come from a mapped file. Changes nothing but the time that
    /// reads take that miss the system's cache.
    pub fn advise(&self, reads: Reads) {
        match &self.source {
            Source::Heap(_) => _ = reads,
            #[cfg(all(feature = "mmap", unix))]
            Source::Mapped(map) => {
                let advice = match reads {
                    Reads::Scattered => memmap2::Advice::Random,
                    Reads::Soon => memmap2::Advice::WillNeed,
                };
                // A system that takes no hints reads as it always does.
                _ = map.advise_range(advice, self.range.start, self.range.len());
            }
            #[cfg(all(feature = "mmap", not(unix)))]
            Source::Mapped(_) => {}
        }
    }

    /// Whether the bytes live in memory of our own (not in a mapped file).
    pub fn is_owned(&self) -> bool {
        matches!(self.source, Source::Heap(_))
    }

    /// The same bytes in owned, aligned memory; copies unless they already are.
    pub fn to_owned_memory(&self) -> Self {
        if self.is_owned() { self.clone() } else { Self::copy_of(self) }
    }

    /// The bytes as a slice of plain values, or `None` if length or alignment do not fit.
    pub fn as_pod<T: bytemuck::Pod>(&self) -> Option<&[T]> {
        bytemuck::try_cast_slice(self).ok()
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[cfg_attr(
        not(feature = "mmap"),
        allow(clippy::infallible_destructuring_match, reason = "with `mmap` there is a second source")
    )]
    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &self.source {
            Source::Heap(buf) => buf,
            #[cfg(feature = "mmap")]
            Source::Mapped(map) => map,
        };
        &whole[self.range.clone()]
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self::copy_of(&[])
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes, {})", self.len(), if self.is_owned() { "owned" } else { "mapped" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_and_are_checked() {
        let blob = Blob::copy_of(&(0..100).collect::<Vec<u8>>());
        assert_eq!(blob.as_ptr() as usize % 64, 0);
        let part = blob.slice(10..20).expect("inside");
        assert_eq!(&*part, &(10..20).collect::<Vec<u8>>()[..]);
        assert_eq!(&*part.slice(2..4).expect("inside"), &[12, 13]);
        assert!(part.slice(5..11).is_none());
        assert!(blob.slice(64..72).expect("inside").as_pod::<u64>().is_some());
        assert!(blob.slice(1..9).expect("inside").as_pod::<u64>().is_none(), "misaligned");
        assert!(blob.slice(0..9).expect("inside").as_pod::<u64>().is_none(), "odd length");
    }

    #[test]
    fn hints_change_no_bytes() {
        use crate::io::{Access, Fs, OsFs};

        let dir = tempfile::tempdir().expect("a temporary folder");
        let (fs, path) = (OsFs::new(), dir.path().join("file"));
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        fs.create_new(&path).expect("a new file").write_all_at(&bytes, 0).expect("space");
        let mapped = fs.open(&path, Access::Read).expect("it is there").map().expect("readable");
        for blob in [mapped, Blob::copy_of(&bytes)] {
            for (reads, range) in
                [(Reads::Scattered, 0..100_000), (Reads::Soon, 4097..9001), (Reads::Soon, 7..7)]
            {
                blob.slice(range).expect("inside").advise(reads);
                assert_eq!(*blob, bytes[..]);
            }
        }
    }
}
