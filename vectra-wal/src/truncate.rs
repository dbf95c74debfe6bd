//! Removing files that no replay needs any more.

use std::io;
use std::sync::Arc;

use crate::error::AppendError;
use crate::header::FileName;
use crate::log::Lsn;
use crate::writer::Writer;

impl Writer {
    /// Removes the files all of whose frames end below `floor`; the current file is rotated first if that frees it.
    ///
    /// The outer error means that the rotation failed, after which the writer is unusable; the inner one is a file
    /// that could not be removed. Removals need not be durable: a file that comes back is found again by the next
    /// open and goes with the next truncation.
    pub(crate) fn truncate(&mut self, floor: Lsn) -> io::Result<Result<(), AppendError>> {
        // First what is free already: on a full disk the rotation may need the room.
        if let Err(e) = self.remove_below(floor) {
            return Ok(Err(e));
        }
        if self.tail.last_lsn < floor && self.tail.last_lsn >= self.current.header.first_lsn {
            self.rotate()?;
        }
        Ok(self.remove_below(floor))
    }

    fn remove_below(&mut self, floor: Lsn) -> Result<(), AppendError> {
        while let Some(oldest) = self.sealed.first().filter(|s| s.last_lsn < floor) {
            let path = self.dir.join(FileName::Log(oldest.seq).text());
            match self.fs.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(AppendError::Remove { path, source: Arc::new(e) });
                }
                _ => _ = self.sealed.remove(0),
            }
        }
        Ok(())
    }
}
