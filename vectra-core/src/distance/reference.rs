//! Scalar reference of the kernels: every term and the sum in `f64`, one element after the other.
//!
//! It is the oracle of the kernel tests, here and in the crates that write kernels of their own; nothing fast
//! calls it.

use super::dispatch::Op;
use super::element::Element;
use super::metric::Metric;

/// `op` of two vectors of equal length.
///
/// # Panics
/// If the lengths differ.
pub fn raw<E: Element>(op: Op, query: &[f32], row: &[E]) -> f64 {
    assert_eq!(query.len(), row.len(), "vectors of different dimensions");
    let pairs = query.iter().zip(row).map(|(&q, &x)| (f64::from(q), f64::from(x.to_f32())));
    match op {
        Op::Dot => pairs.map(|(q, x)| q * x).sum(),
        Op::L2 => pairs.map(|(q, x)| (q - x) * (q - x)).sum(),
        Op::L1 => pairs.map(|(q, x)| (q - x).abs()).sum(),
    }
}

/// The sum of the magnitudes of `op`'s terms: what rounding errors of a sum are proportional to.
///
/// # Panics
/// If the lengths differ.
pub fn magnitude<E: Element>(op: Op, query: &[f32], row: &[E]) -> f64 {
    match op {
        Op::Dot => {
            assert_eq!(query.len(), row.len(), "vectors of different dimensions");
            query.iter().zip(row).map(|(&q, &x)| (f64::from(q) * f64::from(x.to_f32())).abs()).sum()
        }
        Op::L2 | Op::L1 => raw(op, query, row),
    }
}

/// The distance of two vectors of equal length under `metric`, from the definition in [`Metric`].
///
/// The cosine distance to a zero vector is 1, as if it were orthogonal to everything.
///
/// # Panics
/// If the lengths differ.
pub fn distance<E: Element>(metric: Metric, query: &[f32], row: &[E]) -> f64 {
    let sum = raw(metric.op(), query, row);
    match metric {
        Metric::L2 | Metric::L1 => sum,
        Metric::Dot => -sum,
        Metric::Cosine => {
            let square = |v: f64| v * v;
            let query_norm = query.iter().map(|&q| square(f64::from(q))).sum::<f64>().sqrt();
            let row_norm = row.iter().map(|x| square(f64::from(x.to_f32()))).sum::<f64>().sqrt();
            if query_norm * row_norm > 0.0 { 1.0 - sum / (query_norm * row_norm) } else { 1.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: [f32; 3] = [1.0, -2.0, 3.0];
    const X: [f32; 3] = [4.0, 5.0, -6.0];

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn sums_worked_by_hand() {
        close(raw(Op::Dot, &Q, &X), 4.0 - 10.0 - 18.0);
        close(raw(Op::L2, &Q, &X), 9.0 + 49.0 + 81.0);
        close(raw(Op::L1, &Q, &X), 3.0 + 7.0 + 9.0);
        close(magnitude(Op::Dot, &Q, &X), 32.0);
        close(magnitude(Op::L1, &Q, &X), 19.0);
    }

    #[test]
    fn distances_worked_by_hand() {
        close(distance(Metric::Dot, &Q, &X), 24.0);
        close(distance(Metric::L2, &Q, &X), 139.0);
        close(distance(Metric::L1, &Q, &X), 19.0);
        close(distance(Metric::Cosine, &Q, &X), 1.0 + 24.0 / (14.0_f64 * 77.0).sqrt());
    }

    #[test]
    fn cosine_spans_zero_to_two_and_is_one_without_a_direction() {
        close(distance(Metric::Cosine, &Q, &Q), 0.0);
        close(distance(Metric::Cosine, &Q, &Q.map(|q| -q)), 2.0);
        close(distance(Metric::Cosine, &Q, &[0.0_f32; 3]), 1.0);
    }

    #[test]
    #[should_panic(expected = "different dimensions")]
    fn lengths_must_agree() {
        raw(Op::Dot, &Q, &X[..2]);
    }
}
