//! The bytes of a manifest file: magic, version, body, digest. Described in `docs/format.md`.

use std::time::Duration;

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Digest, Reader, Writer, digest};
use vectra_core::distance::ElementKind;
use vectra_metadata::{FieldKind, IndexedField};
use vectra_shard::{Router, ShardMap};
use vectra_tier::PartRef;
use vectra_wal::Durability;

use super::{Checkpoint, Features, Manifest, SegmentEntry, ShardEntry, Tier};
use crate::quantization::Quantization;
use crate::settings::Settings;

const MAGIC: &[u8; 8] = b"VECTRMAN";
const VERSION: u16 = 1;
/// A feature without which a manifest cannot be read: behind the settings stands how vectors are encoded. Not there where
/// that is left to the engine, so that older programs read what they can.
const QUANTIZATION: u32 = 1;
/// The largest manifest that is read.
pub(super) const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// The file's bytes; the last sixteen are the digest of all before.
pub(crate) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut out = Writer::new();
    out.bytes(MAGIC).u16(VERSION);
    let chosen = is_chosen(&manifest.settings);
    let incompat = if chosen { QUANTIZATION } else { 0 };
    out.u32(manifest.features.compat).u32(manifest.features.ro_compat).u32(incompat);
    out.u64(manifest.generation).bytes(&manifest.previous.to_le_bytes());
    out.bytes(&manifest.index).u64(manifest.epoch).u64(manifest.log_floor);
    encode_settings(&manifest.settings, &mut out);
    if chosen {
        encode_quantization(&manifest.settings, &mut out);
    }
    manifest.shard_map.encode(&mut out);
    out.varint(manifest.shards.len() as u64);
    for shard in &manifest.shards {
        out.u64(shard.covered_lsn).u64(shard.attached_lsn);
        encode_segments(&shard.segments, &mut out);
    }
    out.varint(manifest.checkpoints.len() as u64);
    for checkpoint in &manifest.checkpoints {
        out.text(&checkpoint.name).u64(checkpoint.lsn).u64(checkpoint.unix_ms);
        checkpoint.shards.iter().for_each(|segments| encode_segments(segments, &mut out));
    }
    let sum = digest(out.as_bytes());
    out.bytes(&sum.to_le_bytes());
    out.into_bytes()
}

/// Why a manifest cannot be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its bytes are not those that were written.
    Damaged(DecodeError),
    /// Its bytes are right and say more than this program knows.
    Newer(DecodeError),
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

/// Reads what [`encode`] wrote; total over arbitrary bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Manifest, Fault> {
    let body_len = bytes.len().checked_sub(16).ok_or(DecodeError::new(0, "manifest"))?;
    let (body, sum) = bytes.split_at(body_len);
    if body.get(..8) != Some(MAGIC) {
        return Err(DecodeError::new(0, "manifest magic").into());
    }
    if digest(body).to_le_bytes() != sum {
        return Err(DecodeError::new(body_len, "manifest digest").into());
    }
    let mut r = Reader::new(&body[8..]);
    if r.u16()? != VERSION {
        return Err(Fault::Newer(DecodeError::new(8, "a manifest version this program knows")));
    }
    let features = Features { compat: r.u32()?, ro_compat: r.u32()? };
    let incompat = r.u32()?;
    if incompat & !QUANTIZATION != 0 {
        return Err(Fault::Newer(
            r.error("only features this program knows; a newer one wrote the manifest"),
        ));
    }
    let generation = r.u64()?;
    let previous = Digest::from_le_bytes(r.array()?);
    let index = r.array()?;
    let (epoch, log_floor) = (r.u64()?, r.u64()?);
    let mut settings = decode_settings(&mut r)?;
    if incompat & QUANTIZATION != 0 {
        decode_quantization(&mut settings, &mut r)?;
    }
    settings.validate().map_err(|_| r.error("settings within their limits"))?;
    let shard_map = ShardMap::decode(&mut r)?;
    let count = r.count(17)?;
    let mut shards = Vec::with_capacity(count);
    for _ in 0..count {
        let (covered_lsn, attached_lsn) = (r.u64()?, r.u64()?);
        if attached_lsn < covered_lsn {
            return Err(r.error("loads attached as far as the log is covered").into());
        }
        shards.push(ShardEntry { covered_lsn, attached_lsn, segments: decode_segments(&mut r)? });
    }
    let checkpoints = decode_checkpoints(&mut r, count)?;
    r.finish()?;
    if shards.len() != usize::from(settings.shards) || shard_map.shards() != settings.shards {
        return Err(r.error("as many shards as the settings say").into());
    }
    let manifest = Manifest {
        generation,
        previous,
        features,
        index,
        epoch,
        settings,
        shard_map,
        shards,
        log_floor,
        checkpoints,
    };
    manifest.flaw().map_or(Ok(()), |flaw| Err(r.error(flaw)))?;
    Ok(manifest)
}

fn decode_checkpoints(r: &mut Reader<'_>, shards: usize) -> Result<Vec<Checkpoint>, DecodeError> {
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for _ in 0..r.count(18)? {
        let name = r.text()?.to_owned();
        if checkpoints.last().is_some_and(|before| before.name >= name) {
            return Err(r.error("checkpoints in the order of their names"));
        }
        let (lsn, unix_ms) = (r.u64()?, r.u64()?);
        let shards = (0..shards).map(|_| decode_segments(r)).collect::<Result<_, _>>()?;
        checkpoints.push(Checkpoint { name, lsn, unix_ms, shards });
    }
    Ok(checkpoints)
}

fn encode_segments(segments: &[SegmentEntry], out: &mut Writer) {
    out.varint(segments.len() as u64);
    segments.iter().for_each(|segment| encode_segment(segment, out));
}

fn decode_segments(r: &mut Reader<'_>) -> Result<Vec<SegmentEntry>, DecodeError> {
    (0..r.count(16)?).map(|_| decode_segment(r)).collect()
}

fn encode_segment(segment: &SegmentEntry, out: &mut Writer) {
    let tier = match segment.tier {
        Tier::Hot => 0,
        Tier::Cold => 1,
    };
    out.u32(segment.rows).u8(tier);
    out.u64(segment.lsns.0).u64(segment.lsns.1).u32(segment.dead).u64(segment.overlay_lsn);
    out.u8(segment.sum.is_some().into()).u128(segment.sum.unwrap_or(0));
    segment.rows_part.encode(out);
    segment.meta_part.encode(out);
    for part in [&segment.index_part, &segment.deletes, &segment.overlay] {
        out.u8(part.is_some().into());
        if let Some(part) = part {
            part.encode(out);
        }
    }
}

fn decode_segment(r: &mut Reader<'_>) -> Result<SegmentEntry, DecodeError> {
    let rows = r.u32()?;
    let tier = match r.u8()? {
        0 => Tier::Hot,
        1 => Tier::Cold,
        _ => return Err(r.error("tier of a segment")),
    };
    let lsns = (r.u64()?, r.u64()?);
    let (dead, overlay_lsn) = (r.u32()?, r.u64()?);
    if dead > rows {
        return Err(r.error("no more dead rows than rows"));
    }
    let sum = match (r.u8()?, r.u128()?) {
        (0, 0) => None,
        (1, sum) => Some(sum),
        _ => return Err(r.error("sum of a segment")),
    };
    let rows_part = PartRef::decode(r)?;
    let meta_part = PartRef::decode(r)?;
    let mut optional = || match r.u8()? {
        0 => Ok(None),
        1 => PartRef::decode(r).map(Some),
        _ => Err(r.error("presence of a part")),
    };
    let (index_part, deletes, overlay) = (optional()?, optional()?, optional()?);
    Ok(SegmentEntry {
        rows,
        tier,
        lsns,
        rows_part,
        meta_part,
        index_part,
        deletes,
        dead,
        overlay,
        overlay_lsn,
        sum,
    })
}

fn encode_settings(s: &Settings, out: &mut Writer) {
    out.u32(s.dim).u8(s.metric.code()).u8(s.element.code()).u16(s.shards);
    match s.durability {
        Durability::Sync => _ = out.u8(0),
        Durability::None => _ = out.u8(1),
        Durability::Interval(d) => _ = out.u8(2).u64(d.as_millis() as u64),
    }
    out.varint(s.m as u64).varint(s.ef_construction as u64).varint(s.ef_search as u64);
    out.u32(s.seal_rows).u32(s.segment_rows_max).u32(s.metadata_bytes_max);
    out.u64(s.log_bytes_min).u64(s.log_bytes_max).u64(s.seed);
    out.varint(s.indexed_fields.len() as u64);
    for field in &s.indexed_fields {
        out.text(&field.path).u8(kind_code(field.kind));
    }
}

const KINDS: [(FieldKind, u8); 3] = [(FieldKind::Keyword, 1), (FieldKind::Number, 2), (FieldKind::Bool, 3)];

fn kind_code(kind: FieldKind) -> u8 {
    KINDS
        .iter()
        .find(|(k, _)| *k == kind)
        .map(|(_, code)| *code)
        .expect("settings hold only kinds with a code")
}

fn kind_from_code(code: u8) -> Option<FieldKind> {
    KINDS.iter().find(|(_, c)| *c == code).map(|(kind, _)| *kind)
}

fn decode_settings(r: &mut Reader<'_>) -> Result<Settings, DecodeError> {
    let mut s = Settings::new(r.u32()?);
    s.metric = Metric::from_code(r.u8()?).ok_or(r.error("metric"))?;
    s.element = ElementKind::from_code(r.u8()?).ok_or(r.error("element type"))?;
    s.shards = r.u16()?;
    s.durability = match r.u8()? {
        0 => Durability::Sync,
        1 => Durability::None,
        2 => Durability::Interval(Duration::from_millis(r.u64()?)),
        _ => return Err(r.error("durability")),
    };
    let mut size = || usize::try_from(r.varint()?).map_err(|_| r.error("size"));
    (s.m, s.ef_construction, s.ef_search) = (size()?, size()?, size()?);
    (s.seal_rows, s.segment_rows_max, s.metadata_bytes_max) = (r.u32()?, r.u32()?, r.u32()?);
    (s.log_bytes_min, s.log_bytes_max, s.seed) = (r.u64()?, r.u64()?, r.u64()?);
    for _ in 0..r.count(2)? {
        let path = r.text()?.to_owned();
        let kind = kind_from_code(r.u8()?).ok_or(r.error("kind of an indexed field"))?;
        s.indexed_fields.push(IndexedField { path, kind });
    }
    Ok(s)
}

/// Whether somebody chose how vectors are encoded.
fn is_chosen(s: &Settings) -> bool {
    s.quantization != Quantization::Auto || s.memory_budget_bytes.is_some()
}

fn encode_quantization(s: &Settings, out: &mut Writer) {
    s.quantization.encode(out);
    out.u8(s.memory_budget_bytes.is_some().into()).u64(s.memory_budget_bytes.unwrap_or_default());
}

fn decode_quantization(s: &mut Settings, r: &mut Reader<'_>) -> Result<(), DecodeError> {
    s.quantization = Quantization::decode(r)?;
    s.memory_budget_bytes = match (r.u8()?, r.u64()?) {
        (0, 0) => None,
        (1, bytes) => Some(bytes),
        _ => return Err(r.error("memory budget")),
    };
    if is_chosen(s) { Ok(()) } else { Err(r.error("a quantization that somebody chose")) }
}
