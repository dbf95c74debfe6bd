//! From columns back to rows.

use std::collections::{BTreeMap, BTreeSet};

use vectra_core::Value;
use vectra_core::codec::{DecodeError, Reader};
use vectra_core::value::VALUE_DEPTH_MAX;

use super::text::TextReader;
use super::{
    ARRAY, CELLS_PER_BYTE, FALSE, FLOAT, HAS_ALL, HAS_ARRAYS, HAS_FLOATS, HAS_INTS, HAS_OBJECTS, HAS_SHARED,
    HAS_TEXTS, INT, MISSING, MIXED, NEGATIVE, NULL, OBJECT, SHARED, SharedStrings, TEXT, TRUE,
};

/// Puts the rows of a block together again and gives those that `wanted` names to `give`, in order.
///
/// `value_len` is the stated length of all rows as encoded values. It bounds the cells walked and the text allocated,
/// whatever the bytes say. After the last wanted row (`last_wanted`) nothing is read any more. With `only`, rows that are
/// objects come with these members alone; the columns of the others are not walked.
pub(crate) fn assemble(
    bytes: &[u8],
    value_len: usize,
    last_wanted: usize,
    shared: &SharedStrings,
    only: Option<&BTreeSet<&str>>,
    wanted: impl Fn(usize) -> bool,
    mut give: impl FnMut(usize, Value),
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut root = Column::parse(&mut reader, shared, VALUE_DEPTH_MAX)?;
    reader.finish()?;
    if let Some(only) = only {
        root.members.retain(|(key, _)| only.contains(key));
    }
    let mut limits = Limits { cells_left: CELLS_PER_BYTE * value_len, text_left: value_len };
    for row in 0..=last_wanted {
        let wanted = wanted(row);
        let value = root.next(shared, &mut limits, wanted)?;
        match value {
            Some(value) if wanted => give(row, value),
            None if wanted => return Err(DecodeError::new(0, "value of a row")),
            _ => {}
        }
    }
    Ok(())
}

/// What may still be walked and allocated.
struct Limits {
    cells_left: usize,
    text_left: usize,
}

enum Kinds<'a> {
    Same(u8),
    Each(Reader<'a>),
}

/// A place in the streams of one column.
struct Column<'a> {
    kinds: Kinds<'a>,
    ints: Reader<'a>,
    floats: Reader<'a>,
    shared: Reader<'a>,
    texts: TextReader<'a>,
    counts: Reader<'a>,
    elements: Option<Box<Column<'a>>>,
    members: Vec<(&'a str, Column<'a>)>,
}

impl<'a> Column<'a> {
    fn parse(
        reader: &mut Reader<'a>,
        shared: &'a SharedStrings,
        depth_left: usize,
    ) -> Result<Self, DecodeError> {
        let depth_left = depth_left.checked_sub(1).ok_or(reader.error("column nesting"))?;
        let kinds = match reader.u8()? {
            MIXED => Kinds::Each(Reader::new(reader.prefixed()?)),
            kind => Kinds::Same(kind),
        };
        let has = reader.u8()?;
        if has & !HAS_ALL != 0 {
            return Err(reader.error("streams of a column"));
        }
        let mut stream = |bit| if has & bit == 0 { Ok(&[][..]) } else { reader.prefixed() };
        let [ints, floats, shared_numbers] =
            [stream(HAS_INTS)?, stream(HAS_FLOATS)?, stream(HAS_SHARED)?].map(Reader::new);
        let texts = if has & HAS_TEXTS == 0 { TextReader::empty() } else { TextReader::parse(reader)? };
        let mut counts = Reader::new(&[]);
        let mut elements = None;
        if has & HAS_ARRAYS != 0 {
            counts = Reader::new(reader.prefixed()?);
            elements = Some(Box::new(Self::parse(reader, shared, depth_left)?));
        }
        let members = if has & HAS_OBJECTS == 0 {
            Vec::new()
        } else {
            Self::parse_members(reader, shared, depth_left)?
        };
        Ok(Self { kinds, ints, floats, shared: shared_numbers, texts, counts, elements, members })
    }

    fn parse_members(
        reader: &mut Reader<'a>,
        shared: &'a SharedStrings,
        depth_left: usize,
    ) -> Result<Vec<(&'a str, Self)>, DecodeError> {
        // A key number, a kind and the streams: three bytes at least.
        let count = reader.count(3)?;
        let mut members: Vec<(&str, Self)> = Vec::new();
        for _ in 0..count {
            let bad = reader.error("key of a column");
            let key = match reader.varint()? {
                0 => reader.text()?,
                number => shared.text(number - 1).ok_or(bad.clone())?,
            };
            if members.last().is_some_and(|(last, _)| *last >= key) {
                return Err(bad);
            }
            members.push((key, Self::parse(reader, shared, depth_left)?));
        }
        Ok(members)
    }

    /// Goes over one cell; its value if it has one and is `wanted`, `None` if it is missing.
    fn next(
        &mut self,
        shared: &SharedStrings,
        limits: &mut Limits,
        wanted: bool,
    ) -> Result<Option<Value>, DecodeError> {
        let kind = match &mut self.kinds {
            Kinds::Same(kind) => *kind,
            Kinds::Each(kinds) => kinds.u8()?,
        };
        limits.cells_left = limits.cells_left.checked_sub(1).ok_or(self.ints.error("stated cells"))?;
        Ok(Some(match kind {
            MISSING => return Ok(None),
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::from(self.ints.varint()?),
            NEGATIVE => {
                let negative = 0_i64.checked_sub_unsigned(self.ints.varint()?).filter(|n| *n < 0);
                Value::Int(negative.ok_or(self.ints.error("negative number"))?)
            }
            FLOAT => Value::float(self.floats.f64()?).ok_or(self.floats.error("finite number"))?,
            SHARED => self.next_shared(shared, limits, wanted)?,
            TEXT => {
                let text = self.texts.next(&mut limits.text_left)?;
                if !wanted {
                    return Ok(None);
                }
                let text = std::str::from_utf8(text).map_err(|_| DecodeError::new(0, "text"))?;
                Value::from(text)
            }
            ARRAY => self.next_array(shared, limits, wanted)?,
            OBJECT => self.next_object(shared, limits, wanted)?,
            _ => return Err(self.ints.error("kind of a cell")),
        }))
    }

    fn next_shared(
        &mut self,
        shared: &SharedStrings,
        limits: &mut Limits,
        wanted: bool,
    ) -> Result<Value, DecodeError> {
        let bad = self.shared.error("number of a shared string");
        let text = shared.text(self.shared.varint()?).ok_or(bad.clone())?;
        if !wanted {
            return Ok(Value::Null);
        }
        limits.text_left = limits.text_left.checked_sub(text.len()).ok_or(bad)?;
        Ok(Value::from(text))
    }

    fn next_array(
        &mut self,
        shared: &SharedStrings,
        limits: &mut Limits,
        wanted: bool,
    ) -> Result<Value, DecodeError> {
        let bad = self.counts.error("length of an array");
        let count = self.counts.varint()?;
        let elements = self.elements.as_mut().ok_or(bad.clone())?;
        // Each element is charged below; refusing a count beyond that saves walking it.
        let count = usize::try_from(count).ok().filter(|n| *n <= limits.cells_left).ok_or(bad.clone())?;
        let mut items = Vec::with_capacity(if wanted { count.min(1024) } else { 0 });
        for _ in 0..count {
            match elements.next(shared, limits, wanted)? {
                Some(item) if wanted => items.push(item),
                None if wanted => return Err(bad),
                _ => {}
            }
        }
        Ok(Value::Array(items))
    }

    fn next_object(
        &mut self,
        shared: &SharedStrings,
        limits: &mut Limits,
        wanted: bool,
    ) -> Result<Value, DecodeError> {
        let mut map = BTreeMap::new();
        for (key, column) in &mut self.members {
            let Some(item) = column.next(shared, limits, wanted)? else { continue };
            if wanted {
                let bad = DecodeError::new(0, "stated text");
                limits.text_left = limits.text_left.checked_sub(key.len()).ok_or(bad)?;
                map.insert((*key).to_owned(), item);
            }
        }
        Ok(Value::Object(map))
    }
}
