//! Which kernel computes an operation on this machine.
//!
//! The choice is made per operation and element type, never once for the whole program: what is fastest differs
//! between kernels on the same processor.

use super::element::Element;
use super::kernel::{self, Kernels};

/// A sum over dimensions. [`Metric::op`](super::Metric::op) says which one a metric needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `sum q_i * x_i`
    Dot,
    /// `sum (q_i - x_i)^2`
    L2,
    /// `sum |q_i - x_i|`
    L1,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 3] = [Self::Dot, Self::L2, Self::L1];
}

/// The kernel to use for `op` over rows of `E` on this machine, chosen at the first call.
///
/// Look it up once per query or per index, not per distance.
pub fn kernels<E: Element>(op: Op) -> &'static Kernels<E> {
    E::chosen()[op as usize].get_or_init(|| all_kernels(op)[0])
}

/// Every kernel for `op` over rows of `E` that this machine can run, the preferred one first; never empty.
pub fn all_kernels<E: Element>(op: Op) -> Vec<&'static Kernels<E>> {
    let mut all = kernel::native(op);
    all.push(kernel::portable(op));
    all
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn check_choice<E: Element>() {
        for op in Op::ALL {
            let all = all_kernels::<E>(op);
            assert!(std::ptr::eq(kernels::<E>(op), all[0]));
            assert_eq!(all.last().expect("never empty").name(), "portable");
            let mut names = all.iter().map(|k| k.name()).collect::<Vec<_>>();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all.len(), "names tell kernels apart: {names:?}");
        }
    }

    #[test]
    fn the_choice_is_the_first_of_all_and_portable_is_the_last() {
        check_choice::<f32>();
        check_choice::<f16>();
    }

    #[allow(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    #[test]
    fn operations_are_not_mixed_up() {
        let (q, x) = ([3.0, -1.0], [1.0, 1.0_f32]);
        assert_eq!(Op::ALL.map(|op| kernels::<f32>(op).one(&q, &x)), [2.0, 8.0, 4.0]);
        let x = x.map(f16::from_f32);
        assert_eq!(Op::ALL.map(|op| kernels::<f16>(op).one(&q, &x)), [2.0, 8.0, 4.0]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn wide_registers_are_preferred_where_there_are_any() {
        let names = all_kernels::<f32>(Op::Dot).iter().map(|k| k.name()).collect::<Vec<_>>();
        let avx2 = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        assert_eq!(names.contains(&"avx2"), avx2 && std::arch::is_x86_feature_detected!("f16c"));
        if std::arch::is_x86_feature_detected!("avx512vl") {
            assert_eq!(names[0], "avx512");
        }
    }
}
