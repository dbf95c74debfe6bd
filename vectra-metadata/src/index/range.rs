//! Numbers: every value with its slot, sorted by value, so that a range is a run.

use std::cmp::Ordering;
use std::ops;

use vectra_core::Value;
use vectra_core::admit::Bits;
use vectra_core::codec::{DecodeError, Reader, Writer};
use vectra_core::io::Blob;

use super::array::Array;
use super::number::{NUMBER_BYTES, Number};

/// Values as differences of four bytes to a base, or each in full.
const NARROW: u8 = 0;
const WIDE: u8 = 1;

#[derive(Debug)]
enum Values {
    Narrow { base: i64, above: Array<4> },
    Wide(Array<NUMBER_BYTES>),
}

/// Pairs of value and slot in order.
#[derive(Debug)]
pub(crate) struct Range {
    values: Values,
    slots: Array<4>,
    distinct: u32,
}

/// Appends the index of `pairs`; `None` if they are too many to count.
pub(super) fn write_range(mut pairs: Vec<(Number, u32)>, out: &mut Writer) -> Option<()> {
    pairs.sort_by(|(a, s), (b, t)| a.order(*b).then(s.cmp(t)));
    pairs.dedup_by(|(a, s), (b, t)| s == t && a.order(*b).is_eq());
    let changes = pairs.windows(2).filter(|pair| pair[0].0.order(pair[1].0).is_ne()).count();
    let distinct = changes + usize::from(!pairs.is_empty());
    let len = u32::try_from(pairs.len()).ok()?;
    out.u32(len).u32(distinct as u32);
    match narrow(&pairs) {
        Some((base, above)) => {
            out.u8(NARROW).u64(base.cast_unsigned());
            above.iter().for_each(|n| _ = out.u32(*n));
        }
        None => {
            out.u8(WIDE);
            pairs.iter().for_each(|(number, _)| _ = out.bytes(&number.encode()));
        }
    }
    pairs.iter().for_each(|(_, slot)| _ = out.u32(*slot));
    Some(())
}

/// Base and differences if all numbers are integers within 32 bits of the smallest.
fn narrow(pairs: &[(Number, u32)]) -> Option<(i64, Vec<u32>)> {
    let int = |number: &Number| if let Number::Int(n) = number { Some(*n) } else { None };
    let base = int(&pairs.first()?.0)?;
    let above = pairs.iter().map(|(number, _)| u32::try_from(int(number)?.checked_sub(base)?).ok());
    Some((base, above.collect::<Option<_>>()?))
}

impl Range {
    pub(super) fn read(blob: &Blob, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = reader.u32()? as usize;
        let distinct = reader.u32()?;
        let values = match reader.u8()? {
            NARROW => {
                let base = reader.u64()?.cast_signed();
                Values::Narrow { base, above: Array::take(blob, reader, len)? }
            }
            WIDE => Values::Wide(Array::take(blob, reader, len)?),
            _ => return Err(reader.error("kind of number array")),
        };
        Ok(Self { values, slots: Array::take(blob, reader, len)?, distinct })
    }

    /// How many pairs of value and slot there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many different values there are.
    pub(super) fn distinct(&self) -> u32 {
        self.distinct
    }

    fn number(&self, at: usize) -> Result<Number, DecodeError> {
        match &self.values {
            Values::Narrow { base, above } => {
                let number = base.checked_add(above.number(at).into());
                number.map(Number::Int).ok_or(DecodeError::new(at * 4, "number within 64 bits"))
            }
            Values::Wide(values) => Number::decode(values.item(at)),
        }
    }

    /// Value `at` in the order of values.
    pub(super) fn value(&self, at: usize) -> Result<Value, DecodeError> {
        self.number(at).map(Number::to_value)
    }

    /// How many pairs stand before the first that is not `before` the bound, in the sense of `before`.
    pub(super) fn partition(
        &self,
        bound: Number,
        before: impl Fn(Ordering) -> bool,
    ) -> Result<usize, DecodeError> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.number(middle)?.order(bound)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Adds the slots of the pairs `run` to `bits`.
    pub(super) fn add(&self, run: ops::Range<usize>, bits: &mut Bits) -> Result<(), DecodeError> {
        for at in run {
            let slot = self.slots.number(at);
            if slot >= bits.len() {
                return Err(DecodeError::new(at * 4, "slot of the segment"));
            }
            bits.insert(slot);
        }
        Ok(())
    }
}
