//! Every kernel of this machine from outside: one row, many rows and scattered rows give the same bits.

use half::f16;
use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::distance::{Element, Kernels, Op, all_kernels, kernels, reference};
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::{Dice, uniform};
use vectra_core::vector::dense::{DenseStore, DenseView};

fn elements<E: Element>(values: &[f32]) -> Vec<E> {
    values.iter().map(|x| E::from_f32(*x)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn for_each_kernel<E: Element>(check: impl Fn(Op, &Kernels<E>)) {
    for op in Op::ALL {
        all_kernels::<E>(op).into_iter().for_each(|kernel| check(op, kernel));
    }
}

/// Scans of every number of rows around the sizes of groups, at lengths around the widths of registers.
fn scans_repeat_one<E: Element>() {
    for dims in [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 257] {
        let query = uniform(1, dims, dims as u64);
        let rows = elements::<E>(&uniform(19, dims, 7));
        for_each_kernel::<E>(|op, kernel| {
            let one: Vec<f32> = rows.chunks(dims).map(|row| kernel.one(&query, row)).collect();
            for count in 0..=19 {
                for first in [0, 19 - count] {
                    let mut out = vec![f32::NAN; count];
                    kernel.scan(&query, &rows[first * dims..(first + count) * dims], &mut out);
                    let at = format!("{op:?} {} {dims} {}: {count} from {first}", kernel.name(), E::KIND);
                    assert_eq!(bits(&out), bits(&one[first..first + count]), "{at}");
                }
            }
        });
    }
}

#[test]
fn a_scan_of_any_number_of_rows_repeats_one() {
    scans_repeat_one::<f32>();
    scans_repeat_one::<f16>();
}

/// Slots that repeat, run backwards, and are more and fewer than what is prefetched.
fn gathers_repeat_one<E: Element>() {
    let count = 29_u32;
    let mut dice = Dice::new(3);
    for dims in [1, 5, 16, 24, 96, 384, 1000] {
        let query = uniform(1, dims, 1);
        let rows = elements::<E>(&uniform(count as usize, dims, 2));
        let random: Vec<u32> = (0..70).map(|_| dice.below(count as usize) as u32).collect();
        let lists = [vec![], vec![28], vec![5; 40], (0..count).rev().collect(), random, [0, 28].repeat(20)];
        for_each_kernel::<E>(|op, kernel| {
            for slots in &lists {
                let one = |slot: &u32| kernel.one(&query, &rows[*slot as usize * dims..][..dims]);
                let mut out = vec![f32::NAN; slots.len()];
                kernel.gather(&query, &rows, slots, &mut out);
                let expected: Vec<f32> = slots.iter().map(one).collect();
                assert_eq!(bits(&out), bits(&expected), "{op:?} {} {dims} {slots:?}", kernel.name());
            }
        });
    }
}

#[test]
fn a_gather_of_any_slots_repeats_one() {
    gathers_repeat_one::<f32>();
    gathers_repeat_one::<f16>();
}

#[test]
fn rows_may_start_at_any_address() {
    let (dims, rows) = (37, 9);
    let (query, all) = (uniform(2, dims, 1), uniform(rows + 1, dims, 2));
    let narrow = elements::<f16>(&all);
    for shift in 0..17 {
        let query = &query[shift..][..dims];
        let wide: Vec<f32> = all[shift..][..rows * dims].to_vec();
        let narrow_copy: Vec<f16> = narrow[shift..][..rows * dims].to_vec();
        let copied: Vec<f32> = query.to_vec();
        for_each_kernel::<f32>(|op, kernel| {
            let (mut found, mut expected) = ([f32::NAN; 9], [f32::NAN; 9]);
            kernel.scan(query, &all[shift..][..rows * dims], &mut found);
            kernel.scan(&copied, &wide, &mut expected);
            assert_eq!(bits(&found), bits(&expected), "{op:?} {} {shift}", kernel.name());
        });
        for_each_kernel::<f16>(|op, kernel| {
            let (mut found, mut expected) = ([f32::NAN; 9], [f32::NAN; 9]);
            kernel.scan(query, &narrow[shift..][..rows * dims], &mut found);
            kernel.scan(&copied, &narrow_copy, &mut expected);
            assert_eq!(bits(&found), bits(&expected), "{op:?} {} {shift}", kernel.name());
        });
    }
}

/// Exact whole numbers in long rows: nothing may be left out or counted twice, however long the loop.
#[test]
fn very_long_rows_are_summed_to_the_last_element() {
    for dims in [65_535, 65_536, 65_537, 100_003] {
        let (query, row) = (vec![1.0_f32; dims], vec![-1.0_f32; dims]);
        let narrow = elements::<f16>(&row);
        let expected = |op| match op {
            Op::Dot => -(dims as f32),
            Op::L2 => 4.0 * dims as f32,
            Op::L1 => 2.0 * dims as f32,
        };
        for_each_kernel::<f32>(|op, kernel| {
            assert_eq!(
                kernel.one(&query, &row).to_bits(),
                expected(op).to_bits(),
                "{op:?} {}",
                kernel.name()
            );
        });
        for_each_kernel::<f16>(|op, kernel| {
            assert_eq!(kernel.one(&query, &narrow).to_bits(), expected(op).to_bits(), "{}", kernel.name());
        });
    }
}

/// A single element far from zero in a row of zeros is found wherever it stands.
#[test]
fn each_position_counts_once() {
    for dims in [1, 8, 31, 67, 140] {
        for at in 0..dims {
            let mut row = vec![0.0_f32; dims];
            row[at] = 3.0;
            let query: Vec<f32> = (0..dims).map(|i| i as f32 + 1.0).collect();
            for kernel in all_kernels::<f32>(Op::Dot) {
                let expected = 3.0 * (at as f32 + 1.0);
                assert_eq!(kernel.one(&query, &row).to_bits(), expected.to_bits(), "{} {at}", kernel.name());
            }
            for (op, expected) in [(Op::L2, 9.0_f32), (Op::L1, 3.0)] {
                for kernel in all_kernels::<f16>(op) {
                    let found = kernel.one(&vec![0.0; dims], &elements::<f16>(&row));
                    assert_eq!(found.to_bits(), expected.to_bits(), "{op:?} {} {at}", kernel.name());
                }
            }
        }
    }
}

/// Numbers below the normal range take part: no kernel flushes them to zero.
#[test]
fn denormals_take_part() {
    let tiny = f32::from_bits(1 << 10);
    let smallest_half = f16::from_bits(1);
    for dims in [1, 7, 16, 40] {
        for_each_kernel::<f32>(|op, kernel| {
            let found = kernel.one(&vec![tiny; dims], &vec![-tiny; dims]);
            // Products and squares of such numbers are below everything; only sums of differences remain.
            let expected = if op == Op::L1 { 2.0 * tiny * dims as f32 } else { 0.0 };
            assert_eq!(found.abs().to_bits(), expected.to_bits(), "{op:?} {} {dims}", kernel.name());
        });
        for_each_kernel::<f32>(|op, kernel| {
            if op == Op::Dot {
                let found = kernel.one(&vec![1.0; dims], &vec![tiny; dims]);
                assert_eq!(found.to_bits(), (tiny * dims as f32).to_bits(), "{} {dims}", kernel.name());
            }
        });
        for_each_kernel::<f16>(|op, kernel| {
            let found = kernel.one(&vec![0.0; dims], &vec![smallest_half; dims]);
            let each = smallest_half.to_f32();
            let expected = match op {
                Op::Dot => 0.0,
                Op::L2 => each * each * dims as f32,
                Op::L1 => each * dims as f32,
            };
            assert_eq!(found.to_bits(), expected.to_bits(), "{op:?} {} {dims}", kernel.name());
        });
    }
}

/// The largest halves are far inside the range of the sums.
#[test]
fn the_largest_halves_do_not_overflow() {
    let dims = 4096;
    let row = vec![f16::MAX; dims];
    let query = vec![-f16::MAX.to_f32(); dims];
    for_each_kernel::<f16>(|op, kernel| {
        let (found, exact) = (f64::from(kernel.one(&query, &row)), reference::raw(op, &query, &row));
        assert!(((found - exact) / exact).abs() < 1e-5, "{op:?} {}: {found} {exact}", kernel.name());
    });
}

/// Not-a-number in a stored row shows in that row's result and in no other.
#[test]
fn a_bad_row_spoils_no_other() {
    let dims = 21;
    for bad in 0..9 {
        let mut rows = uniform(9, dims, 5);
        rows[bad * dims + 20] = f32::NAN;
        let query = uniform(1, dims, 6);
        for_each_kernel::<f32>(|op, kernel| {
            let mut out = [0.0; 9];
            kernel.scan(&query, &rows, &mut out);
            for (slot, found) in out.iter().enumerate() {
                assert_eq!(found.is_nan(), slot == bad, "{op:?} {} {slot}", kernel.name());
            }
        });
    }
}

#[test]
fn halves_are_scored_as_the_wide_numbers_they_stand_for() {
    let (dims, rows) = (48, 60);
    let vectors = uniform(rows, dims, 4);
    let rounded: Vec<f32> = vectors.iter().map(|x| f16::from_f32(*x).to_f32()).collect();
    let query = uniform(1, dims, 5);
    for metric in Metric::ALL {
        let narrow = DenseStore::<f16>::from_vectors(&vectors, dims, metric);
        let wide = DenseStore::<f32>::from_vectors(&rounded, dims, metric);
        let (mut a, mut b) = (narrow.bind(&query), wide.bind(&query));
        for slot in 0..rows as u32 {
            let (a, b) = (a.score(slot), b.score(slot));
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{metric} {slot}: {a} {b}");
            let between = (narrow.between(slot, 0), wide.between(slot, 0));
            assert!((between.0 - between.1).abs() <= 1e-5 * (1.0 + between.1.abs()), "{metric}: {between:?}");
        }
    }
}

#[test]
fn a_view_with_norms_repeats_the_store_that_computes_them() {
    let dims = 13;
    let vectors: Vec<f32> = uniform(40, dims, 8).iter().map(|x| x * 30.0).collect();
    let store = DenseStore::<f32>::from_vectors(&vectors, dims, Metric::Cosine);
    let norms: Vec<f32> = vectors.chunks(dims).map(vectra_core::vector::normalize::inverse_norm).collect();
    let view = DenseView::with_inverse_norms(&vectors, dims, &norms);
    let query = uniform(1, dims, 9);
    let mut out = vec![f32::NAN; 40];
    view.scan(&query, 0..40, &mut out);
    let mut scorer = store.bind(&query);
    let expected: Vec<f32> = (0..40).map(|slot| scorer.score(slot)).collect();
    assert_eq!(bits(&out), bits(&expected));
    for slot in 0..40 {
        assert!(view.bind_slot(slot).score(slot) < 1e-6, "itself");
        assert_eq!(view.between(slot, 3).to_bits(), view.between(3, slot).to_bits(), "either direction");
        assert_eq!(view.row(slot), &vectors[slot as usize * dims..][..dims]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_chosen_kernel_sees_the_symmetry_of_its_sum(
        pairs in prop::collection::vec((-100.0..100.0_f32, -100.0..100.0_f32), 1..90)
    ) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        for op in Op::ALL {
            let kernel = kernels::<f32>(op);
            prop_assert_eq!(kernel.one(&a, &b).to_bits(), kernel.one(&b, &a).to_bits(), "{:?}", op);
            let negated = |v: &[f32]| v.iter().map(|x| -x).collect::<Vec<_>>();
            prop_assert_eq!(kernel.one(&negated(&a), &negated(&b)).to_bits(), kernel.one(&a, &b).to_bits());
            // Doubling everything is exact: a power of two only moves exponents.
            let doubled = |v: &[f32]| v.iter().map(|x| 2.0 * x).collect::<Vec<_>>();
            let factor = if op == Op::L1 { 2.0 } else { 4.0 };
            prop_assert_eq!(kernel.one(&doubled(&a), &doubled(&b)).to_bits(), (factor * kernel.one(&a, &b)).to_bits());
        }
    }
}
