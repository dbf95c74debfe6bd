//! A scan over codes of one's own: documents with a few attributes of sixteen or 256 grades, and a query that says what each
//! grade costs.
//!
//! `cargo run --release --example fastscan`

use std::time::Duration;

use vectra_core::env::{Clock, OsClock};
use vectra_core::testing::oracle::Dice;
use vectra_quant::fastscan::{Layout, Tables, nearest, nearest_of};

fn main() {
    const ROWS: u32 = 200_000;
    const QUERIES: usize = 64;
    let mut dice = Dice::new(1);
    for layout in [Layout::nibbles(64), Layout::bytes(32)] {
        // A byte for each attribute of each row; a real program has these already.
        let codes: Vec<u8> =
            (0..ROWS as usize * layout.columns()).map(|_| dice.below(layout.codes()) as u8).collect();
        let mut blocks = vec![0; layout.bytes_for(ROWS as usize)];
        layout.pack(&codes, &mut blocks);

        // What each grade of each attribute costs, for each query: any numbers will do.
        let mut costs =
            || (0..layout.columns() * layout.codes()).map(|_| dice.gaussian()).collect::<Vec<f32>>();
        let costs: Vec<Vec<f32>> = (0..QUERIES).map(|_| costs()).collect();
        let tables: Vec<Tables> = costs.iter().map(|costs| Tables::new(layout, costs)).collect();
        let queries: Vec<&Tables> = tables.iter().collect();

        let (alone, one_by_one) = timed(|| {
            queries.iter().map(|query| nearest_of(query, &blocks, ROWS, 5, |_| true)).collect::<Vec<_>>()
        });
        let (together, at_once) = timed(|| nearest(&queries, &blocks, ROWS, 5, |_| true));
        assert_eq!(alone, together, "the answers are the same");

        let best = together[0][0];
        let mut row = vec![0; layout.columns()];
        layout.unpack(&blocks, best.row as usize, &mut row);
        let cost = |(at, code): (usize, &u8)| costs[0][at * layout.codes() + usize::from(*code)];
        let exact: f32 = row.iter().enumerate().map(cost).sum();
        let (found, error) = (queries[0].value(best.sum), queries[0].error_max());
        assert!((found - exact).abs() <= error, "the bytes of the tables are as good as they say");
        println!(
            "{} columns of {} bits: row {} costs {exact:.2} (found as {found:.2}, at most {error:.2} off)",
            layout.columns(),
            layout.bits(),
            best.row
        );
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(ROWS) / QUERIES as f64;
        println!("  {:.2} ns a row one by one, {:.2} ns all at once", each(one_by_one), each(at_once));
    }
}

/// What `work` gives, and how long it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let clock = OsClock::new();
    let start = clock.now();
    let result = work();
    (result, clock.now().saturating_sub(start))
}
