//! Strings written as what they share with the string before and what is new.

use vectra_core::codec::{DecodeError, Reader, Writer};

/// Writes strings.
#[derive(Default)]
pub(super) struct TextWriter {
    kept: Writer,
    added: Writer,
    bytes: Writer,
    last: Vec<u8>,
}

impl TextWriter {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn push(&mut self, text: &str) {
        let kept = self.last.iter().zip(text.as_bytes()).take_while(|(a, b)| a == b).count();
        let new = &text.as_bytes()[kept..];
        self.kept.varint(kept as u64);
        self.added.varint(new.len() as u64);
        self.bytes.bytes(new);
        self.last.truncate(kept);
        self.last.extend_from_slice(new);
    }

    pub(super) fn finish(self, out: &mut Writer) {
        out.prefixed(self.kept.as_bytes()).prefixed(self.added.as_bytes()).prefixed(self.bytes.as_bytes());
    }
}

/// Reads strings back, one after the other.
pub(super) struct TextReader<'a> {
    kept: Reader<'a>,
    added: Reader<'a>,
    bytes: Reader<'a>,
    last: Vec<u8>,
}

impl<'a> TextReader<'a> {
    /// A reader of nothing.
    pub(super) fn empty() -> Self {
        let [kept, added, bytes] = [(); 3].map(|()| Reader::new(&[]));
        Self { kept, added, bytes, last: Vec::new() }
    }

    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [kept, added, bytes] =
            [reader.prefixed()?, reader.prefixed()?, reader.prefixed()?].map(Reader::new);
        Ok(Self { kept, added, bytes, last: Vec::new() })
    }

    /// The next string, charged to `text_left` by its whole length.
    pub(super) fn next(&mut self, text_left: &mut usize) -> Result<&[u8], DecodeError> {
        let kept = self.kept.varint()?;
        // Bounded below, where the bytes are taken.
        let added = usize::try_from(self.added.varint()?).unwrap_or(usize::MAX);
        let kept = usize::try_from(kept).ok().filter(|n| *n <= self.last.len());
        let kept = kept.ok_or(self.kept.error("length shared with the string before"))?;
        let new = self.bytes.bytes(added)?;
        *text_left = text_left.checked_sub(kept + new.len()).ok_or(self.bytes.error("stated text"))?;
        self.last.truncate(kept);
        self.last.extend_from_slice(new);
        Ok(&self.last)
    }
}
