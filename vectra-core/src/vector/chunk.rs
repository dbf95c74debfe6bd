//! Rows of fixed length that grow while they are read: one writer, many readers, no locks.
//!
//! Rows live in chunks that never move. The writer fills the next row of the last chunk and then publishes the
//! new length; readers look only below the length they loaded. That order is all that keeps a reader from a row
//! being written, and it is why this file needs unsafe code and why nothing else about rows does.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::column::{ColumnReader, ColumnWriter, column};
use crate::memory::{LINE, Line};

/// The memory of some rows, zeroed, aligned to a cache line, of fixed address.
struct Chunk {
    lines: Box<[UnsafeCell<Line>]>,
}

// SAFETY: the cells are written only by the one `ChunkWriter`, and only in rows at or beyond the published length;
// references are handed out only to rows below it (see `ChunkWriter::push` and `Shared::rows`).
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Room for `bytes` bytes.
    fn zeroed(bytes: usize) -> Self {
        let lines = Box::into_raw(bytemuck::allocation::zeroed_slice_box::<Line>(bytes.div_ceil(LINE)));
        // SAFETY: the box was just taken apart and `UnsafeCell<Line>` has the layout of `Line`.
        Self { lines: unsafe { Box::from_raw(lines as *mut [UnsafeCell<Line>]) } }
    }

    /// The first byte, good for reading and writing the whole chunk as far as the rules above allow.
    fn start(&self) -> *mut u8 {
        // The pointer comes from the whole slice, so it may reach every line of it.
        UnsafeCell::raw_get(self.lines.as_ptr()).cast()
    }
}

/// What writer and readers share.
struct Shared<T> {
    /// Elements of a row; at least 1.
    stride: usize,
    /// Log2 of the rows of a chunk.
    chunk_bits: u32,
    /// Rows that may be read. Stored by the writer after the row was written, loaded by readers before they look.
    len: AtomicU32,
    elements: PhantomData<fn() -> T>,
}

impl<T: bytemuck::Pod> Shared<T> {
    fn rows_per_chunk(&self) -> usize {
        1 << self.chunk_bits
    }

    /// The chunk of a slot and the row within it.
    fn locate(&self, slot: u32) -> (u32, usize) {
        (slot >> self.chunk_bits, slot as usize & (self.rows_per_chunk() - 1))
    }

    fn bytes_per_chunk(&self) -> usize {
        // `chunked` checked that this product is small enough.
        self.rows_per_chunk() * self.stride * size_of::<T>()
    }

    /// The rows `first..first + count` of a chunk.
    ///
    /// # Safety
    /// The chunk must be of this storage, the rows lie within it, and be below a length loaded with acquire.
    unsafe fn rows<'a>(&self, chunk: &'a Chunk, first: usize, count: usize) -> &'a [T] {
        // SAFETY: the rows lie within the chunk, which is aligned for `T` (see `chunked`) and holds valid values of
        // the `Pod` type from the start; they are below a published length, so the writer never writes them again.
        unsafe {
            let start = chunk.start().cast::<T>().add(first * self.stride);
            std::slice::from_raw_parts(start, count * self.stride)
        }
    }
}

/// New empty storage for rows of `stride` elements: its only writer and a first reader.
///
/// Memory is taken by the chunk of `rows_per_chunk` rows, rounded up to a power of two.
///
/// ```
/// let (mut writer, reader) = vectra_core::vector::chunk::chunked::<f32>(2, 1024);
/// assert_eq!(writer.push(&[1.0, 2.0]), 0);
/// assert_eq!(reader.row(0), [1.0, 2.0]);
/// ```
///
/// # Panics
/// If `stride` or `rows_per_chunk` is zero, a chunk would exceed `isize::MAX` bytes or 2^31 rows, or `T` has no
/// size or a larger alignment than a cache line.
pub fn chunked<T>(stride: usize, rows_per_chunk: usize) -> (ChunkWriter<T>, ChunkReader<T>)
where
    T: bytemuck::Pod + Send + Sync,
{
    assert!(stride > 0, "a row has at least one element");
    assert!((1..=1 << 31).contains(&rows_per_chunk), "a chunk has 1 to 2^31 rows");
    assert!(size_of::<T>() > 0 && align_of::<T>() <= LINE, "elements fill memory and align to a line");
    let rows = rows_per_chunk.next_power_of_two();
    let bytes = rows.checked_mul(stride).and_then(|elements| elements.checked_mul(size_of::<T>()));
    assert!(bytes.is_some_and(|bytes| bytes <= isize::MAX as usize - LINE), "a chunk fits the address space");
    let shared = Arc::new(Shared {
        stride,
        chunk_bits: rows.trailing_zeros(),
        len: AtomicU32::new(0),
        elements: PhantomData,
    });
    let (chunk_writer, chunks) = column();
    (ChunkWriter { shared: Arc::clone(&shared), chunks: chunk_writer }, ChunkReader { shared, chunks })
}

/// The one handle that appends rows.
pub struct ChunkWriter<T> {
    shared: Arc<Shared<T>>,
    chunks: ColumnWriter<Chunk>,
}

impl<T: bytemuck::Pod + Send + Sync> ChunkWriter<T> {
    /// Appends a row, visible to readers when this returns, and gives its slot.
    ///
    /// # Panics
    /// If the row is not `stride` elements long or there are `u32::MAX` rows already.
    pub fn push(&mut self, row: &[T]) -> u32 {
        let shared = &*self.shared;
        assert_eq!(row.len(), shared.stride, "a row of another length");
        let slot = self.len();
        assert!(slot < u32::MAX, "storage holds at most u32::MAX rows");
        let (chunk, at) = shared.locate(slot);
        if chunk == self.chunks.len() {
            self.chunks.push(Chunk::zeroed(shared.bytes_per_chunk()));
        }
        let chunk = self.chunks.get(chunk).expect("chunks are appended in order");
        // SAFETY: the row lies within the chunk, which is aligned for `T`. Nobody else touches it: it is at the
        // published length, so no reader has a reference to it, and `&mut self` of the only writer excludes other
        // writes. `row` cannot overlap it, being a reference to memory that may be read.
        unsafe {
            let to = chunk.start().cast::<T>().add(at * shared.stride);
            std::ptr::copy_nonoverlapping(row.as_ptr(), to, shared.stride);
        }
        shared.len.store(slot + 1, Ordering::Release);
        slot
    }

    /// The number of rows.
    pub fn len(&self) -> u32 {
        self.shared.len.load(Ordering::Relaxed)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another reader.
    pub fn reader(&self) -> ChunkReader<T> {
        ChunkReader { shared: Arc::clone(&self.shared), chunks: self.chunks.reader() }
    }
}

/// A handle that reads rows while they grow.
pub struct ChunkReader<T> {
    shared: Arc<Shared<T>>,
    chunks: ColumnReader<Chunk>,
}

impl<T: bytemuck::Pod + Send + Sync> ChunkReader<T> {
    /// The number of rows; never decreases. Every slot below it can be read and never changes.
    #[inline]
    pub fn len(&self) -> u32 {
        self.shared.len.load(Ordering::Acquire)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of a row.
    pub fn stride(&self) -> usize {
        self.shared.stride
    }

    /// The row in `slot`.
    ///
    /// # Panics
    /// If `slot` is not below the length.
    #[inline]
    pub fn row(&self, slot: u32) -> &[T] {
        let len = self.len();
        assert!(slot < len, "slot {slot} is beyond the {len} rows");
        let (chunk, at) = self.shared.locate(slot);
        // SAFETY: the chunk is of this storage, `at` is below its number of rows, and `slot` is below the length
        // just loaded with acquire.
        unsafe { self.shared.rows(self.chunk(chunk), at, 1) }
    }

    /// The rows `range` as contiguous runs in order, one for each chunk they lie in: the slot of the run's first
    /// row, and its rows one after the other.
    ///
    /// # Panics
    /// If the range ends beyond the length.
    pub fn runs(&self, range: Range<u32>) -> impl Iterator<Item = (u32, &[T])> {
        let len = self.len();
        assert!(range.end <= len, "slots {range:?} reach beyond the {len} rows");
        let mut next = range.start;
        std::iter::from_fn(move || {
            if next >= range.end {
                return None;
            }
            let first = next;
            let (chunk, at) = self.shared.locate(first);
            let count = (self.shared.rows_per_chunk() - at).min((range.end - first) as usize);
            next += count as u32;
            // SAFETY: the chunk is of this storage, the run ends at or before the chunk's end, and it is below the
            // length loaded above with acquire.
            Some((first, unsafe { self.shared.rows(self.chunk(chunk), at, count) }))
        })
    }

    /// Bytes of memory taken for rows, the unused rest of the last chunk included.
    pub fn bytes(&self) -> usize {
        self.chunks.len() as usize * self.shared.bytes_per_chunk().next_multiple_of(LINE)
    }

    fn chunk(&self, chunk: u32) -> &Chunk {
        self.chunks.get(chunk).expect("a chunk is there before its rows are published")
    }
}

impl<T> Clone for ChunkReader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), chunks: self.chunks.clone() }
    }
}

impl<T> fmt::Debug for ChunkWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkWriter").field("len", &self.shared.len).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ChunkReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkReader").field("len", &self.shared.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
