//! Every row of a segment, read the ordinary way.

use vectra_tier::ReadBuf;

use crate::error::{Error, Result};
use crate::manifest::SegmentEntry;
use crate::segment::truth::Truth;

/// How far a stored norm may be from one computed here, as a share: kernels of other processors add in other orders.
const NORM_TOLERANCE: f32 = 1e-4;

/// Reads every row and checks that the columns agree with each other.
pub(super) fn check(truth: &Truth, entry: &SegmentEntry) -> Result<()> {
    let mut buf = ReadBuf::default();
    for slot in 0..truth.rows() {
        let encoded = truth.ids().encoded(slot)?;
        if truth.ids().find(encoded)? != Some(slot) {
            return Err(Error::corrupt(format!("the id of row {slot} does not lead back to it")));
        }
        truth.id(slot)?;
        truth.metadata(slot)?;
        let vector = truth.vectors(slot, 1, &mut buf)?;
        if vector.to_f32().iter().any(|x| !x.is_finite()) {
            return Err(Error::corrupt(format!("the vector of row {slot} is not finite")));
        }
        let (norm, expected) = (truth.inverse_norm(slot)?, vector.inverse_norm());
        let near = (norm - expected).abs() <= NORM_TOLERANCE * expected;
        if truth.inverse_norms()?.is_some() && !near {
            return Err(Error::corrupt(format!("the norm of row {slot} is not that of its vector")));
        }
        let lsn = truth.lsn(slot)?;
        // Rows of a bulk load carry none of their own.
        if lsn != 0 && (lsn < entry.lsns.0 || lsn > entry.lsns.1) {
            return Err(Error::corrupt(format!(
                "the LSN {lsn} of row {slot} is outside its segment's range"
            )));
        }
    }
    Ok(())
}
