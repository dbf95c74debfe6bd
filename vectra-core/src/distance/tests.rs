//! Every kernel of this machine against the scalar reference, over all tail lengths.
#![allow(
    clippy::float_cmp,
    reason = "where a sum must be exact or repeat another, nearly equal is a failure"
)]

use half::f16;
use proptest::prelude::*;

use super::*;

/// Every length of a tail for every register width, then the dimensions of common models.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=130).chain([384, 768, 1536])
}

/// Numbers that look random, the same on every run: `seed` picks the sequence.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

fn elements<E: Element>(values: &[f32]) -> Vec<E> {
    values.iter().map(|&x| E::from_f32(x)).collect()
}

/// Whether a kernel's sum is as near to the exact one as rounding allows: each of the `dims` terms and each
/// addition of up to `dims / lanes + lanes` in a row errs by at most half an ulp of the magnitudes summed.
fn near<E: Element>(op: Op, query: &[f32], row: &[E], found: f32) -> Result<(), String> {
    let exact = reference::raw(op, query, row);
    let roundings = 4.0 + query.len() as f64 / 4.0;
    let tolerance = roundings * f64::from(f32::EPSILON) * reference::magnitude(op, query, row) + 1e-37;
    let error = (f64::from(found) - exact).abs();
    if error <= tolerance { Ok(()) } else { Err(format!("{found} is {error:e} from {exact}")) }
}

/// Runs `check` for every kernel and operation.
fn for_each_kernel<E: Element>(check: impl Fn(Op, &Kernels<E>)) {
    for op in Op::ALL {
        for kernel in all_kernels::<E>(op) {
            check(op, kernel);
        }
    }
}

fn check_all_lengths<E: Element>() {
    for dims in lengths() {
        let query = numbers(dims as u64 + 1, dims);
        let row = elements::<E>(&numbers(dims as u64 + 1000, dims));
        for_each_kernel::<E>(|op, kernel| {
            let result = near(op, &query, &row, kernel.one(&query, &row));
            assert_eq!(result, Ok(()), "{op:?} {} over {dims} of {}", kernel.name(), E::KIND);
        });
    }
}

#[test]
fn kernels_agree_with_the_reference_at_every_length() {
    check_all_lengths::<f32>();
    check_all_lengths::<f16>();
}

fn check_identical<E: Element>() {
    for dims in lengths() {
        let row = elements::<E>(&numbers(7, dims));
        let query = row.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
        for_each_kernel::<E>(|op, kernel| match op {
            Op::L2 | Op::L1 => assert_eq!(kernel.one(&query, &row), 0.0, "{op:?} {} {dims}", kernel.name()),
            Op::Dot => assert!(kernel.one(&query, &row) >= 0.0),
        });
    }
}

#[test]
fn identical_vectors_are_at_distance_zero_exactly() {
    check_identical::<f32>();
    check_identical::<f16>();
}

/// Whole numbers small enough that every sum is exact: any kernel must give the very same number.
fn check_exact<E: Element>() {
    for dims in lengths() {
        let query = (0..dims).map(|i| (i % 7) as f32 - 3.0).collect::<Vec<_>>();
        let row = elements::<E>(&(0..dims).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>());
        for_each_kernel::<E>(|op, kernel| {
            let exact = reference::raw(op, &query, &row);
            assert_eq!(f64::from(kernel.one(&query, &row)), exact, "{op:?} {} {dims}", kernel.name());
        });
    }
}

#[test]
fn sums_without_rounding_are_exact_in_every_kernel() {
    check_exact::<f32>();
    check_exact::<f16>();
}

fn check_unaligned<E: Element>() {
    let (query, row) = (numbers(1, 200), elements::<E>(&numbers(2, 200)));
    for_each_kernel::<E>(|_, kernel| {
        for (at, from) in [(0, 1), (1, 0), (3, 5), (17, 31)] {
            for dims in [1, 8, 15, 16, 33, 100] {
                let (q, x) = (&query[at..][..dims], &row[from..][..dims]);
                let copies = (q.to_vec(), x.to_vec());
                assert_eq!(kernel.one(q, x), kernel.one(&copies.0, &copies.1), "{} {dims}", kernel.name());
            }
        }
    });
}

#[test]
fn the_place_in_memory_makes_no_difference() {
    check_unaligned::<f32>();
    check_unaligned::<f16>();
}

/// Elements beyond a row must not reach its sum, not even as `NaN * 0`.
fn check_neighbours<E: Element>() {
    for dims in 1..=130 {
        let mut values = vec![f32::NAN; dims + 64];
        values[32..32 + dims].fill(0.5);
        let row = elements::<E>(&values);
        for_each_kernel::<E>(|op, kernel| {
            let found = kernel.one(&values[32..32 + dims], &row[32..32 + dims]);
            let expected = if op == Op::Dot { dims as f32 * 0.25 } else { 0.0 };
            assert_eq!(found, expected, "{op:?} {} {dims}", kernel.name());
        });
    }
}

#[test]
fn neighbouring_elements_stay_out_of_the_sum() {
    check_neighbours::<f32>();
    check_neighbours::<f16>();
}

fn check_many<E: Element>() {
    const ROWS: usize = 23;
    // More than are prefetched ahead, with repeats.
    const SLOTS: [u32; 21] = [22, 0, 0, 7, 13, 1, 22, 5, 21, 2, 3, 4, 6, 8, 9, 10, 20, 19, 18, 11, 17];
    for dims in lengths().skip(1) {
        let query = numbers(3, dims);
        let rows = elements::<E>(&numbers(4, dims * ROWS));
        for_each_kernel::<E>(|op, kernel| {
            let one = |slot: usize| kernel.one(&query, &rows[slot * dims..][..dims]);
            let mut scanned = [f32::NAN; ROWS];
            kernel.scan(&query, &rows, &mut scanned);
            assert_eq!(scanned, std::array::from_fn(one), "{op:?} {} {dims}", kernel.name());
            for count in [1, 3, 16, 17, SLOTS.len()] {
                let mut gathered = vec![f32::NAN; count];
                kernel.gather(&query, &rows, &SLOTS[..count], &mut gathered);
                let expected = SLOTS[..count].iter().map(|&slot| one(slot as usize)).collect::<Vec<_>>();
                assert_eq!(gathered, expected, "{op:?} {} {dims}", kernel.name());
            }
        });
    }
}

#[test]
fn gather_and_scan_repeat_one() {
    check_many::<f32>();
    check_many::<f16>();
}

fn check_company<E: Element>() {
    // More than a tile of either, with and without some left over.
    const ROWS: usize = 9;
    const QUERIES: usize = 15;
    for dims in (1..=70).chain([127, 128, 130, 384]) {
        let queries = numbers(8, dims * QUERIES);
        let rows = elements::<E>(&numbers(9, dims * ROWS));
        for_each_kernel::<E>(|op, kernel| {
            for (many, count) in [(QUERIES, ROWS), (6, 8), (3, 4), (2, 1), (1, ROWS), (0, 3), (4, 0)] {
                let rows = &rows[..count * dims];
                let mut found = vec![f32::NAN; many * count];
                kernel.scan_many(&queries[..many * dims], dims, rows, &mut found);
                for (query, found) in queries.chunks_exact(dims).zip(found.chunks_exact(count.max(1))) {
                    let mut alone = vec![f32::NAN; count];
                    kernel.scan(query, rows, &mut alone);
                    assert_eq!(found, alone, "{op:?} {} {dims} of {many} x {count}", kernel.name());
                }
            }
        });
    }
}

#[test]
fn a_distance_does_not_depend_on_its_company() {
    check_company::<f32>();
    check_company::<f16>();
}

#[test]
fn no_slots_and_no_rows_are_no_work() {
    for_each_kernel::<f32>(|_, kernel| {
        kernel.gather(&[1.0], &[], &[], &mut []);
        kernel.scan(&[1.0], &[], &mut []);
        assert_eq!(kernel.one(&[], &[]), 0.0);
    });
}

/// Whether `call` panics.
fn panics(call: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
}

#[test]
fn calls_that_would_read_or_write_outside_are_stopped() {
    let (query, rows) = ([1.0_f32; 4], [0.0_f32; 11]); // two rows and a bit
    for_each_kernel::<f32>(|_, kernel| {
        let mut out = [0.0; 2];
        assert!(panics(|| _ = kernel.one(&query, &rows)));
        assert!(panics(|| kernel.gather(&query, &rows, &[0, 2], &mut [0.0; 2])), "slot of the broken row");
        assert!(panics(|| kernel.gather(&query, &rows, &[u32::MAX], &mut [0.0])));
        assert!(panics(|| kernel.gather(&query, &rows, &[0, 1, 1], &mut [0.0; 2])), "short out");
        assert!(panics(|| kernel.gather(&query, &[], &[0], &mut [0.0])));
        assert!(panics(|| kernel.gather(&[], &rows, &[0], &mut [0.0])));
        assert!(panics(|| kernel.scan(&query, &rows, &mut out)), "a row and a bit too many");
        assert!(panics(|| kernel.scan(&query, &rows[..4], &mut out)), "a row missing");
        assert!(panics(|| kernel.scan(&[], &[], &mut out)));
        assert!(panics(|| kernel.scan_many(&query, 0, &rows[..8], &mut out)));
        assert!(panics(|| kernel.scan_many(&query, 4, &rows, &mut out)), "a row and a bit too many");
        assert!(panics(|| kernel.scan_many(&query[..3], 4, &rows[..8], &mut out)), "a broken query");
        assert!(panics(|| kernel.scan_many(&query, 4, &rows[..4], &mut out)), "long out");
        kernel.gather(&query, &rows, &[1, 0], &mut out);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_values_stay_within_rounding(
        pairs in prop::collection::vec((-1e4_f32..1e4, -1e4_f32..1e4), 0..=130),
        scale in -12_i32..12,
    ) {
        let query = pairs.iter().map(|p| p.0 * (scale as f32).exp2()).collect::<Vec<_>>();
        let row = pairs.iter().map(|p| p.1).collect::<Vec<_>>();
        let narrow = elements::<f16>(&row);
        for op in Op::ALL {
            for kernel in all_kernels::<f32>(op) {
                prop_assert_eq!(near(op, &query, &row, kernel.one(&query, &row)), Ok(()));
            }
            for kernel in all_kernels::<f16>(op) {
                prop_assert_eq!(near(op, &query, &narrow, kernel.one(&query, &narrow)), Ok(()));
            }
        }
    }

    #[test]
    fn every_half_widens_exactly(bits in prop::collection::vec(any::<u16>(), 1..=40)) {
        let row = bits.iter().map(|&b| f16::from_bits(b)).filter(|x| x.is_finite()).collect::<Vec<_>>();
        // Picks one element at a time, so that the sum is that element.
        for at in 0..row.len() {
            let mut query = vec![0.0; row.len()];
            query[at] = 1.0;
            for kernel in all_kernels::<f16>(Op::Dot) {
                prop_assert_eq!(kernel.one(&query, &row), row[at].to_f32());
            }
        }
    }
}

/// Prints nanoseconds per row; run with `cargo test --release -p vectra-core time_per_row -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn time_per_row() {
    measure::<f32>();
    measure::<f16>();
}

#[allow(clippy::disallowed_methods, reason = "measures real time and asserts nothing")]
fn measure<E: Element>() {
    const ROWS: usize = 65_536;
    const DIMS: usize = 384;
    let mut memory = crate::memory::AlignedBuf::zeroed(ROWS * DIMS * size_of::<E>());
    let rows = memory.as_pod_mut::<E>().expect("whole rows");
    rows.copy_from_slice(&elements::<E>(&numbers(5, ROWS * DIMS)));
    let query = numbers(6, DIMS);
    let slots = numbers(7, ROWS).iter().map(|x| ((x + 1.0) * 32_767.5) as u32).collect::<Vec<_>>();
    let mut out = vec![0.0; ROWS];
    let best = |call: &mut dyn FnMut()| {
        let time = |_| {
            let start = std::time::Instant::now();
            call();
            start.elapsed()
        };
        (0..15).map(time).min().expect("fifteen runs").as_nanos() as f64 / ROWS as f64
    };
    for op in Op::ALL {
        for kernel in all_kernels::<E>(op) {
            let scan = best(&mut || kernel.scan(&query, rows, &mut out));
            let gather = best(&mut || kernel.gather(&query, rows, &slots, &mut out));
            let hot = best(&mut || {
                let slots = slots.iter().map(|slot| slot % 32).collect::<Vec<_>>();
                kernel.gather(&query, rows, &slots, &mut out);
            });
            let many = measure_many(kernel, rows, DIMS);
            eprintln!(
                "{} {op:?} {:8} scan {scan:6.1} gather {gather:6.1} in cache {hot:6.1} of 48 queries {many:6.2}",
                E::KIND,
                kernel.name()
            );
        }
    }
}

/// Nanoseconds per pair of one of 48 queries with a row.
#[allow(clippy::disallowed_methods, reason = "measures real time and asserts nothing")]
fn measure_many<E: Element>(kernel: &Kernels<E>, rows: &[E], dims: usize) -> f64 {
    const QUERIES: usize = 48;
    const BLOCK: usize = 128;
    let mut memory = crate::memory::AlignedBuf::zeroed(QUERIES * dims * size_of::<f32>());
    let queries = memory.as_pod_mut::<f32>().expect("whole numbers");
    queries.copy_from_slice(&numbers(8, QUERIES * dims));
    let mut out = vec![0.0; QUERIES * BLOCK];
    // Block by block, since other work on the machine disturbs a few, not half of them.
    let time = |rows| {
        let start = std::time::Instant::now();
        kernel.scan_many(queries, dims, rows, &mut out);
        start.elapsed().as_nanos()
    };
    let mut times: Vec<u128> = rows.chunks_exact(BLOCK * dims).map(time).collect();
    times.sort_unstable();
    times[times.len() / 2] as f64 / (QUERIES * BLOCK) as f64
}
