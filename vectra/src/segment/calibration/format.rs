//! The bytes of a calibration; `docs/format.md` describes them.

use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};

use super::{Calibration, EF_MAX, Rule};

const MAGIC: [u8; 4] = *b"VCAL";
const VERSION: u16 = 1;
const WANTED_MAX: u8 = 8;
const BANDS_MAX: u8 = 16;
const TARGETS_MAX: u8 = 32;

impl Calibration {
    /// The bytes that [`Calibration::decode`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(self.wanted.len() as u8).u8(self.edges.len() as u8);
        w.u32(self.targets.len() as u32);
        self.wanted.iter().for_each(|wanted| _ = w.u32(*wanted));
        self.edges.iter().chain(&self.targets).for_each(|x| _ = w.u32(x.to_bits()));
        for rule in &self.rules {
            w.u32(rule.slack.to_bits()).u32(rule.ef).u32(rule.depth);
        }
        let sum = crc32c(w.as_bytes());
        w.u32(sum);
        w.into_bytes()
    }

    /// The table in a section of this kind.
    ///
    /// # Errors
    /// Where the bytes are not such a table.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let length = bytes.len().checked_sub(4).ok_or(DecodeError::new(0, "a checksum"))?;
        let (body, sum) = bytes.split_at(length);
        if sum != crc32c(body).to_le_bytes() {
            return Err(DecodeError::new(length, "the checksum of a calibration"));
        }
        let mut r = Reader::new(body);
        if r.array()? != MAGIC || r.u16()? != VERSION {
            return Err(DecodeError::new(0, "a calibration, version 1"));
        }
        let (wanted, bands, targets) = (r.u8()?, r.u8()?, r.u32()?);
        let targets = u8::try_from(targets).unwrap_or(u8::MAX);
        if !(1..=WANTED_MAX).contains(&wanted)
            || !(1..=BANDS_MAX).contains(&bands)
            || !(1..=TARGETS_MAX).contains(&targets)
        {
            return Err(r.error("1 to 8 numbers of hits, 1 to 16 bands and 1 to 32 recalls"));
        }
        let wanted = many(&mut r, wanted.into(), Reader::u32)?;
        let edges = many(&mut r, bands.into(), number)?;
        let targets = many(&mut r, targets.into(), number)?;
        let ascends = wanted.is_sorted_by(|a, b| a < b) && wanted[0] > 0;
        let ascends = ascends && edges.is_sorted() && edges.iter().all(|edge| !edge.is_nan());
        if !ascends || !targets.is_sorted_by(|a, b| a < b) || targets[0] <= 0.0 || !reach(&targets) {
            return Err(r.error("numbers of hits, bands and recalls in ascending order"));
        }
        let rules = many(&mut r, wanted.len() * edges.len() * targets.len(), rule)?;
        r.finish()?;
        Ok(Self { wanted, edges, targets, rules })
    }
}

/// Whether the largest of `targets` is a recall below 1.
fn reach(targets: &[f32]) -> bool {
    targets.last().is_some_and(|last| *last < 1.0)
}

fn many<'a, T>(
    r: &mut Reader<'a>,
    count: usize,
    one: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..count).map(|_| one(r)).collect()
}

fn number(r: &mut Reader<'_>) -> Result<f32, DecodeError> {
    Ok(f32::from_bits(r.u32()?))
}

fn rule(r: &mut Reader<'_>) -> Result<Rule, DecodeError> {
    let rule = Rule { slack: number(r)?, ef: r.u32()?, depth: r.u32()? };
    if !(rule.slack >= 0.0 && (1..=EF_MAX).contains(&rule.ef) && (1..=EF_MAX).contains(&rule.depth)) {
        return Err(r.error("a rule: slack not negative, pool and depth from 1 to 100,000"));
    }
    Ok(rule)
}
