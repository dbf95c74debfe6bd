//! Blocks of codes as a quantizer of its own would use them.

use vectra_core::testing::oracle::Dice;
use vectra_quant::fastscan::{Found, Layout, Tables, nearest, nearest_of, scan_many};

/// Code books of `codes` points in each of some spaces of `width` dimensions, drawn from the vectors themselves.
struct Books {
    layout: Layout,
    width: usize,
    points: Vec<f32>,
}

impl Books {
    fn new(layout: Layout, width: usize, vectors: &[f32], dice: &mut Dice) -> Self {
        let dim = layout.columns() * width;
        let mut points = Vec::new();
        for column in 0..layout.columns() {
            for _ in 0..layout.codes() {
                let from = dice.below(vectors.len() / dim) * dim + column * width;
                points.extend_from_slice(&vectors[from..from + width]);
            }
        }
        Self { layout, width, points }
    }

    /// The squared distances of a query to all points: its tables.
    fn tables(&self, query: &[f32]) -> Vec<f32> {
        let codes = self.layout.codes();
        let distance = |(i, point): (usize, &[f32])| {
            let part = &query[i / codes * self.width..][..self.width];
            part.iter().zip(point).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        self.points.chunks(self.width).enumerate().map(distance).collect()
    }

    /// The code of the nearest point in each column.
    fn encode(&self, vector: &[f32]) -> Vec<u8> {
        let nearest = |table: &[f32]| {
            let codes = 0..table.len();
            codes.min_by(|a, b| table[*a].total_cmp(&table[*b])).expect("there are points") as u8
        };
        self.tables(vector).chunks(self.layout.codes()).map(nearest).collect()
    }
}

/// Vectors in clusters, their codes, their blocks, and queries.
fn setting(layout: Layout, rows: usize) -> (Books, Vec<u8>, Vec<u8>, Vec<Vec<f32>>) {
    let mut dice = Dice::new(7);
    let dim = 4 * layout.columns();
    let vectors = vectra_core::testing::oracle::clustered(rows, dim, 20, 0.3, 8);
    let books = Books::new(layout, 4, &vectors, &mut dice);
    let codes: Vec<u8> = vectors.chunks(dim).flat_map(|vector| books.encode(vector)).collect();
    let mut blocks = Vec::new();
    layout.append(&mut blocks, 0, &codes);
    let queries = vectors.chunks(dim).step_by(rows / 12);
    let near = queries.map(|vector| vector.iter().map(|x| x + 0.1 * dice.gaussian()).collect()).collect();
    (books, codes, blocks, near)
}

fn exact(values: &[f32], codes: &[u8], columns: usize) -> Vec<f64> {
    let entries = values.len() / columns;
    let sum = |codes: &[u8]| {
        codes.iter().enumerate().map(|(i, code)| f64::from(values[i * entries + usize::from(*code)])).sum()
    };
    codes.chunks(columns).map(sum).collect()
}

#[test]
fn bytes_find_what_the_numbers_find() {
    for layout in [Layout::nibbles(24), Layout::bytes(12)] {
        let (books, codes, blocks, queries) = setting(layout, 3000);
        let mut same = 0;
        for query in &queries {
            let values = books.tables(query);
            let tables = Tables::new(layout, &values);
            let sums = exact(&values, &codes, layout.columns());
            let by_sum = |a: &u32, b: &u32| sums[*a as usize].total_cmp(&sums[*b as usize]).then(a.cmp(b));
            let mut order: Vec<u32> = (0..3000).collect();
            order.sort_by(by_sum);
            let found = nearest_of(&tables, &blocks, 3000, 40, |_| true);
            for Found { sum, row } in &found {
                let error = (f64::from(tables.value(*sum)) - sums[*row as usize]).abs();
                assert!(error <= f64::from(tables.error_max()) * 1.001, "{error}");
            }
            // Ranges that far clusters make wide leave few steps to near ones: the numbers have the last word.
            let mut best: Vec<u32> = found.iter().map(|found| found.row).collect();
            best.sort_by(by_sum);
            same += best[..10].iter().filter(|row| order[..10].contains(row)).count();
        }
        let share = same as f64 / (10 * queries.len()) as f64;
        assert!(share > 0.98, "{layout:?}: {share} in common");
    }
}

#[test]
fn many_queries_and_growing_blocks_change_nothing() {
    let layout = Layout::nibbles(5);
    let (books, codes, blocks, queries) = setting(layout, 1500);
    let tables: Vec<Tables> = queries.iter().map(|query| Tables::new(layout, &books.tables(query))).collect();
    let queries: Vec<&Tables> = tables.iter().collect();
    let mut grown = Vec::new();
    for (row, code) in codes.chunks(5).enumerate() {
        layout.append(&mut grown, row, code);
    }
    assert_eq!(grown, blocks);
    let mut sums = vec![0; 1500 * queries.len()];
    scan_many(&queries, &blocks, 1500, &mut sums);
    let answers = nearest(&queries, &blocks, 1500, 7, |row| row % 2 == 0);
    for ((query, sums), answer) in queries.iter().zip(sums.chunks(1500)).zip(answers) {
        let mut order: Vec<u32> = (0..1500).filter(|row| row % 2 == 0).collect();
        order.sort_by_key(|row| (sums[*row as usize], *row));
        assert_eq!(answer.iter().map(|found| found.row).collect::<Vec<_>>(), order[..7]);
        assert!(answer.iter().all(|found| found.sum == sums[found.row as usize]));
        assert_eq!(nearest_of(query, &grown, 1500, 7, |row| row % 2 == 0), answer);
    }
}
