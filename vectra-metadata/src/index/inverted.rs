//! Strings: sorted values, each with the slots that have it.

use std::collections::BTreeMap;
use std::ops::Range;

use vectra_core::admit::Bits;
use vectra_core::codec::{DecodeError, Reader, Writer};
use vectra_core::io::Blob;

use super::array::{Array, take_bytes};
use super::posting::{add_posting, write_posting};

/// Sorted values with their posting lists.
#[derive(Debug)]
pub(crate) struct Inverted {
    text_ends: Array<4>,
    posting_ends: Array<4>,
    counts: Array<4>,
    texts: Blob,
    postings: Blob,
}

/// Appends the index of `values`; `None` if its texts or postings outgrow 4 GiB.
pub(super) fn write_inverted(values: &BTreeMap<String, Vec<u32>>, out: &mut Writer) -> Option<()> {
    let (mut text_ends, mut posting_ends, mut counts) = (Writer::new(), Writer::new(), Writer::new());
    let (mut texts, mut postings) = (Writer::new(), Writer::new());
    for (text, slots) in values {
        texts.bytes(text.as_bytes());
        write_posting(slots, &mut postings);
        text_ends.u32(u32::try_from(texts.len()).ok()?);
        posting_ends.u32(u32::try_from(postings.len()).ok()?);
        counts.u32(slots.len() as u32);
    }
    out.u32(u32::try_from(values.len()).ok()?).u32(texts.len() as u32).u32(postings.len() as u32);
    for part in [text_ends, posting_ends, counts, texts, postings] {
        out.bytes(part.as_bytes());
    }
    Some(())
}

impl Inverted {
    pub(super) fn read(blob: &Blob, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [len, text_bytes, posting_bytes] =
            [reader.u32()?, reader.u32()?, reader.u32()?].map(|n| n as usize);
        Ok(Self {
            text_ends: Array::take(blob, reader, len)?,
            posting_ends: Array::take(blob, reader, len)?,
            counts: Array::take(blob, reader, len)?,
            texts: take_bytes(blob, reader, text_bytes)?,
            postings: take_bytes(blob, reader, posting_bytes)?,
        })
    }

    /// How many different values there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// How many slots have value `at`.
    pub(super) fn count(&self, at: usize) -> u32 {
        self.counts.number(at)
    }

    /// Value `at`, as its bytes.
    pub(super) fn text(&self, at: usize) -> Result<&[u8], DecodeError> {
        part(&self.texts, &self.text_ends, at)
    }

    /// Where `text` stands or would stand, and whether it does.
    pub(super) fn find(&self, text: &str) -> Result<Result<usize, usize>, DecodeError> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.text(middle)?.cmp(text.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Ok(middle)),
            }
        }
        Ok(Err(low))
    }

    /// Adds the slots of the values `range` to `bits`.
    pub(super) fn add(&self, range: Range<usize>, bits: &mut Bits) -> Result<(), DecodeError> {
        for at in range {
            add_posting(part(&self.postings, &self.posting_ends, at)?, self.count(at), bits)?;
        }
        Ok(())
    }
}

/// Part `at` of `bytes`, which ends at `ends[at]`.
fn part<'b>(bytes: &'b [u8], ends: &Array<4>, at: usize) -> Result<&'b [u8], DecodeError> {
    let start = at.checked_sub(1).map_or(0, |before| ends.number(before)) as usize;
    let end = ends.number(at) as usize;
    bytes.get(start..end).ok_or(DecodeError::new(start, "value of an index"))
}
