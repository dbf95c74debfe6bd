//! The kinds of the sections that the engine writes into its parts; `docs/format.md` describes each.

use vectra_tier::SectionKind;

/// Part `rows`: encoded ids, concatenated in slot order.
pub(crate) const ID_BYTES: SectionKind = SectionKind(1);
/// Part `rows`: u32 offset into [`ID_BYTES`] per slot, and the end.
pub(crate) const ID_OFFSETS: SectionKind = SectionKind(2);
/// Part `rows`: the slots in order of their encoded id, u32 each.
pub(crate) const ID_ORDER: SectionKind = SectionKind(3);
/// Part `rows`: bloom filter over the encoded ids.
pub(crate) const ID_FILTER: SectionKind = SectionKind(4);
/// Part `rows`: u64 LSN per slot.
pub(crate) const LSNS: SectionKind = SectionKind(5);
/// Part `rows`: the vectors, row-major, in the element type of the field.
pub(crate) const VECTORS: SectionKind = SectionKind(6);
/// Part `rows`: f32 inverse norm per slot (cosine only).
pub(crate) const INVERSE_NORMS: SectionKind = SectionKind(7);
/// Part `rows`: the vector fields and how they are stored.
pub(crate) const SCHEMA: SectionKind = SectionKind(8);
/// Part `meta`: the metadata rows.
pub(crate) const META_ROWS: SectionKind = SectionKind(16);
/// Part `meta`: the compression dictionary of the rows.
pub(crate) const META_DICTIONARY: SectionKind = SectionKind(17);
/// Part `meta`: the filter indexes and statistics.
pub(crate) const META_INDEXES: SectionKind = SectionKind(18);
/// Part `index`: the codes, one per slot, behind their header: of the vectors or of their [`PROJECTION`].
pub(crate) const CODES: SectionKind = SectionKind(33);
/// Part `index`: the graph; absent until it is built.
pub(crate) const GRAPH: SectionKind = SectionKind(34);
/// Part `index`: the projection behind the codes; absent where the vectors themselves are encoded.
pub(crate) const PROJECTION: SectionKind = SectionKind(35);
/// Part `index`: which walks of the graph reach which recall; absent for small segments and in older files.
pub(crate) const CALIBRATION: SectionKind = SectionKind(36);
/// Part `index`: the quantization that was asked for; absent where that was left to the engine, and without a graph.
pub(crate) const QUANTIZATION: SectionKind = SectionKind(37);
/// Part `index`: the rotation behind the codes; absent where vectors are not rotated before they are encoded.
pub(crate) const ROTATION: SectionKind = SectionKind(38);
/// Part `deletes`: the tombstones.
pub(crate) const TOMBSTONES: SectionKind = SectionKind(48);
/// Part `overlay`: metadata changed after the seal.
pub(crate) const OVERLAY: SectionKind = SectionKind(49);

/// The default vector field.
pub(crate) const DEFAULT_FIELD: u16 = 0;
