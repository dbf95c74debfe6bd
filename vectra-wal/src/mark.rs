//! Marks and anchors: what the writer notes for itself.

use std::io;

use crate::control::Control;
use crate::log::Anchor;
use crate::writer::{Writer, next_hlc};

impl Writer {
    /// Makes everything written durable, and says so in the file, durably: from here on damage to any of it is
    /// provable. Does nothing if nothing was synced or noted since the last mark.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        // A mark must never be on the disk before what it vouches for.
        self.sync()?;
        if self.mark_owed {
            self.append_control(Control::Mark)?;
            self.sync()?;
            self.mark_owed = false;
            self.marks += 1;
        }
        Ok(())
    }

    /// Writes down that the owner has published `anchor`; the next sync makes it durable.
    pub(crate) fn note_anchor(&mut self, anchor: Anchor) -> io::Result<()> {
        if self.anchor != Some(anchor) {
            self.append_control(Control::Anchor(anchor))?;
            self.anchor = Some(anchor);
            self.mark_owed = true;
        }
        Ok(())
    }

    /// The file may outgrow its cap by it: control frames are few, and short.
    fn append_control(&mut self, control: Control) -> io::Result<()> {
        self.tail.hlc = next_hlc(self.tail.hlc, &self.env);
        let (salt, offset) = (self.current.header.salt, self.current.end);
        let bytes = control.encode(self.tail, self.durable_lsn, salt, offset);
        self.reserve(bytes.len() as u64)?;
        self.append(&bytes)
    }
}
