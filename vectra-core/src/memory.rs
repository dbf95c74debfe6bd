//! Owned memory with the alignment that kernels, sections and huge pages want.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Alignment of every [`AlignedBuf`] in bytes: one cache line.
pub const LINE: usize = 64;

/// Size of a huge page in bytes; buffers of at least this size are aligned to it where pages can be mapped.
pub const HUGE_PAGE: usize = 2 << 20;

/// One cache line, the unit in which heap memory is taken.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE]);

/// A zeroed, owned run of bytes of fixed length, aligned to [`LINE`].
///
/// With the feature `mmap`, a buffer of [`HUGE_PAGE`] bytes or more is mapped instead of allocated: aligned to
/// [`HUGE_PAGE`], advised for huge pages where the system has them, and without memory behind it until touched.
///
/// ```
/// use vectra_core::memory::AlignedBuf;
///
/// let mut buf = AlignedBuf::zeroed(8);
/// buf[4..].copy_from_slice(&1.5_f32.to_ne_bytes());
/// assert_eq!(buf.as_pod::<f32>(), Some(&[0.0, 1.5][..]));
/// ```
pub struct AlignedBuf {
    memory: Memory,
    len: usize,
}

/// Where the bytes are. The buffer is the first `len` bytes of the lines, or of the map from `start` on.
enum Memory {
    Heap(Box<[Line]>),
    #[cfg(feature = "mmap")]
    Mapped {
        map: memmap2::MmapMut,
        start: usize,
    },
}

impl AlignedBuf {
    /// A buffer of `len` zero bytes. Like every allocation it ends the process if there is no memory left.
    pub fn zeroed(len: usize) -> Self {
        #[cfg(feature = "mmap")]
        if len >= HUGE_PAGE
            && let Some(memory) = map(len)
        {
            return Self { memory, len };
        }
        Self { memory: Memory::Heap(bytemuck::allocation::zeroed_slice_box(len.div_ceil(LINE))), len }
    }

    /// A copy of `bytes`.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut buf = Self::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes as values of `T`, or `None` if they are not a whole number of them or `T` asks for more than
    /// the buffer's alignment.
    pub fn as_pod<T: bytemuck::Pod>(&self) -> Option<&[T]> {
        bytemuck::try_cast_slice(self).ok()
    }

    /// As [`as_pod`](Self::as_pod), for writing.
    pub fn as_pod_mut<T: bytemuck::Pod>(&mut self) -> Option<&mut [T]> {
        bytemuck::try_cast_slice_mut(self).ok()
    }
}

/// Maps `len` bytes that start at a huge page, or `None` if the system refuses.
#[cfg(feature = "mmap")]
fn map(len: usize) -> Option<Memory> {
    // Pages come aligned to their small size only, so map one huge page more and start inside; pages never
    // touched cost address space but no memory.
    let map = memmap2::MmapMut::map_anon(len.checked_add(HUGE_PAGE)?).ok()?;
    let start = map.as_ptr().align_offset(HUGE_PAGE);
    if start > HUGE_PAGE {
        return None;
    }
    // Huge pages are a matter of speed; a system without them is as good.
    #[cfg(target_os = "linux")]
    let _advised = map.advise_range(memmap2::Advice::HugePage, start, len);
    Some(Memory::Mapped { map, start })
}

/// Asks for the cache lines of `values` ahead of their use and does not wait for them; a matter of speed alone.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    prefetch_at(values.as_ptr(), values.len());
}

/// [`prefetch`] of `count` values at an address, readable or not: of rows that may be beyond the last.
#[inline]
pub fn prefetch_at<T>(start: *const T, count: usize) {
    let (start, bytes) = (start.cast::<u8>(), count * size_of::<T>());
    let mut at = 0;
    while at < bytes {
        line(start.wrapping_add(at));
        at += LINE;
    }
}

/// Asks for the line at an address, which need not be readable.
#[inline]
fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction set belongs to every x86-64, and a prefetch of any address has no effect that a program
    // can see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch of any address has no effect that a program can see.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _there_is_no_portable_prefetch = address;
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(lines) => &bytemuck::cast_slice(lines)[..self.len],
            #[cfg(feature = "mmap")]
            Memory::Mapped { map, start } => &map[*start..][..self.len],
        }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(lines) => &mut bytemuck::cast_slice_mut(lines)[..self.len],
            #[cfg(feature = "mmap")]
            Memory::Mapped { map, start } => &mut map[*start..][..self.len],
        }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 9] =
        [0, 1, 63, 64, 65, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE + 4097];

    #[test]
    fn buffers_of_any_length_are_aligned_and_zero() {
        for len in LENGTHS {
            let buf = AlignedBuf::zeroed(len);
            assert_eq!(buf.len(), len);
            assert_eq!(buf.is_empty(), len == 0);
            assert_eq!(buf.as_ptr() as usize % LINE, 0, "{len} bytes");
            assert!(buf.iter().all(|&byte| byte == 0), "{len} bytes");
        }
    }

    #[cfg(feature = "mmap")]
    #[test]
    fn anything_may_be_prefetched() {
        prefetch::<u64>(&[]);
        prefetch(&[0_u8; 1000]);
        prefetch_at(std::ptr::without_provenance::<u8>(usize::MAX - 70), 200);
    }

    #[test]
    fn large_buffers_start_at_a_huge_page() {
        for len in LENGTHS.into_iter().filter(|&len| len >= HUGE_PAGE) {
            assert_eq!(AlignedBuf::zeroed(len).as_ptr() as usize % HUGE_PAGE, 0, "{len} bytes");
        }
    }

    #[test]
    fn the_first_and_the_last_byte_can_be_written() {
        for len in LENGTHS.into_iter().filter(|&len| len > 0) {
            let mut buf = AlignedBuf::zeroed(len);
            buf[len - 1] = 7;
            buf[0] = 9;
            assert_eq!(buf[len - 1], if len == 1 { 9 } else { 7 });
            assert_eq!(buf.iter().filter(|&&byte| byte != 0).count(), len.min(2));
        }
    }

    #[test]
    fn copies_equal_their_source() {
        for len in [0, 5, 64, 200, HUGE_PAGE + 3] {
            let source = (0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>();
            assert_eq!(&AlignedBuf::from_slice(&source)[..], &source[..]);
        }
    }

    #[test]
    fn only_whole_numbers_of_values_can_be_seen() {
        let mut buf = AlignedBuf::zeroed(12);
        buf.as_pod_mut::<u32>().expect("three words")[1] = 5;
        assert_eq!(buf.as_pod::<u32>(), Some(&[0, 5, 0][..]));
        assert_eq!(buf.as_pod::<u64>(), None);
        assert_eq!(AlignedBuf::zeroed(0).as_pod::<u64>(), Some(&[][..]));
        assert_eq!(AlignedBuf::zeroed(64).as_pod::<Line>().map(<[Line]>::len), Some(1));
    }

    #[test]
    fn buffers_may_move_between_threads() {
        let buf = AlignedBuf::from_slice(&[1, 2, 3]);
        let found = std::thread::scope(|scope| scope.spawn(|| buf.to_vec()).join().expect("no panic"));
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(format!("{buf:?}"), "AlignedBuf { len: 3, .. }");
    }
}
