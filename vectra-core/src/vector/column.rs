//! An append-only list of any values, for one writer and many readers, without locks and without unsafe code.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Log2 of the size of the first chunk; each further chunk is twice as large as the one before.
const FIRST_BITS: u32 = 5;

/// Chunks enough for every `u32` slot.
const CHUNKS: usize = 33 - FIRST_BITS as usize;

/// The shared list. Values never move and never change, so readers keep plain references to them.
struct Column<T> {
    chunks: [OnceLock<Chunk<T>>; CHUNKS],
    len: AtomicU32,
}

/// A run of cells, each set once.
type Chunk<T> = Box<[OnceLock<T>]>;

impl<T> Column<T> {
    #[inline]
    fn get(&self, slot: u32) -> Option<&T> {
        let (chunk, at) = locate(slot);
        self.chunks[chunk].get()?.get(at)?.get()
    }
}

/// The chunk of a slot and the place within it.
fn locate(slot: u32) -> (usize, usize) {
    let shifted = u64::from(slot) + (1 << FIRST_BITS);
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, (shifted - (1 << bits)) as usize)
}

/// A new empty column: its only writer and a first reader.
///
/// ```
/// let (mut writer, reader) = vectra_core::vector::column::column();
/// assert_eq!(writer.push("zero"), 0);
/// assert_eq!((reader.get(0), reader.get(1)), (Some(&"zero"), None));
/// ```
pub fn column<T: Send + Sync>() -> (ColumnWriter<T>, ColumnReader<T>) {
    let column = Arc::new(Column { chunks: [const { OnceLock::new() }; CHUNKS], len: AtomicU32::new(0) });
    (ColumnWriter { column: Arc::clone(&column) }, ColumnReader { column })
}

/// The one handle that appends to a column.
pub struct ColumnWriter<T> {
    column: Arc<Column<T>>,
}

impl<T: Send + Sync> ColumnWriter<T> {
    /// Appends a value, visible to readers when this returns, and gives its slot.
    ///
    /// # Panics
    /// If the column holds `u32::MAX` values.
    pub fn push(&mut self, value: T) -> u32 {
        let slot = self.len();
        assert!(slot < u32::MAX, "a column holds at most u32::MAX values");
        let (chunk, at) = locate(slot);
        let cells = self.column.chunks[chunk].get_or_init(|| {
            std::iter::repeat_with(OnceLock::new).take(1 << (FIRST_BITS as usize + chunk)).collect()
        });
        assert!(cells[at].set(value).is_ok(), "the only writer fills a cell once");
        self.column.len.store(slot + 1, Ordering::Release);
        slot
    }

    /// The number of values.
    pub fn len(&self) -> u32 {
        self.column.len.load(Ordering::Relaxed)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in `slot`, or `None` beyond the end.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&T> {
        self.column.get(slot)
    }

    /// Another reader.
    pub fn reader(&self) -> ColumnReader<T> {
        ColumnReader { column: Arc::clone(&self.column) }
    }
}

/// A handle that reads a column while it grows.
pub struct ColumnReader<T> {
    column: Arc<Column<T>>,
}

impl<T: Send + Sync> ColumnReader<T> {
    /// The number of values; never decreases. Every slot below it can be read.
    pub fn len(&self) -> u32 {
        self.column.len.load(Ordering::Acquire)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in `slot`, or `None` beyond the end.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&T> {
        self.column.get(slot)
    }

    /// The values present at the call, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|slot| self.get(slot))
    }
}

impl<T> Clone for ColumnReader<T> {
    fn clone(&self) -> Self {
        Self { column: Arc::clone(&self.column) }
    }
}

impl<T> fmt::Debug for ColumnWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnWriter").field("len", &self.column.len).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ColumnReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnReader").field("len", &self.column.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_fill_the_chunks_without_gap() {
        let mut expected = (0, 0);
        for slot in 0..10_000 {
            assert_eq!(locate(slot), expected, "slot {slot}");
            expected.1 += 1;
            if expected.1 == 1 << (FIRST_BITS as usize + expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(locate(u32::MAX).0 < CHUNKS);
    }

    #[test]
    fn values_come_back_in_order() {
        let (mut writer, reader) = column();
        assert!(writer.is_empty() && reader.is_empty());
        for i in 0..1000_u32 {
            assert_eq!(reader.get(i), None);
            assert_eq!(writer.push(i.to_string()), i);
            assert_eq!(reader.get(i), Some(&i.to_string()));
        }
        assert_eq!((writer.len(), reader.len(), writer.reader().len()), (1000, 1000, 1000));
        assert!(reader.iter().map(String::as_str).eq((0..1000).map(|i| i.to_string()).collect::<Vec<_>>()));
        assert_eq!(reader.get(u32::MAX), None);
    }

    #[test]
    fn values_are_dropped_with_the_last_handle() {
        let value = Arc::new(());
        let (mut writer, reader) = column();
        for _ in 0..100 {
            writer.push(Arc::clone(&value));
        }
        let other = reader.clone();
        drop((writer, reader));
        assert_eq!(Arc::strong_count(&value), 101);
        drop(other);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn readers_see_whole_values_while_the_writer_appends() {
        let (mut writer, reader) = column();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let reader = reader.clone();
                scope.spawn(move || {
                    let mut seen = 0;
                    while seen < 5000 {
                        let len = reader.len();
                        assert!(len >= seen, "the length went back");
                        for slot in seen..len {
                            assert_eq!(reader.get(slot), Some(&vec![slot; 3]));
                        }
                        seen = len;
                        std::thread::yield_now();
                    }
                });
            }
            for slot in 0..5000 {
                writer.push(vec![slot; 3]);
            }
        });
    }
}
