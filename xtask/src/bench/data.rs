//! A seeded, clustered set of vectors with queries and their exact neighbours.
//!
//! Rows are drawn around gaussian centres, so neighbourhoods overlap as those of embeddings do. Queries are
//! fresh draws with a little more noise: none of them is a row.

/// Centres that rows and queries are drawn around.
pub(super) const CLUSTERS: usize = 200;
/// Standard deviation of a row around its centre; centres have standard deviation 1.
const SPREAD: f64 = 0.8;
/// Standard deviation of what is added to a query's draw.
const QUERY_NOISE: f64 = 0.1;

/// What decides a set's content.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) rows: usize,
    pub(super) queries: usize,
    /// Components per vector.
    pub(super) dim: usize,
}

/// The vectors, row after row.
pub(super) struct Set {
    pub(super) base: Vec<f32>,
    pub(super) queries: Vec<f32>,
    dim: usize,
}

impl Set {
    /// Draws the set; the same shape gives the same bytes.
    pub(super) fn generate(shape: Shape) -> Self {
        let mut random = Gaussian::new(shape.seed);
        let centres: Vec<f64> = (0..CLUSTERS * shape.dim).map(|_| random.draw()).collect();
        let mut draw = |count: usize, noise: f64| {
            let mut rows = Vec::with_capacity(count * shape.dim);
            for _ in 0..count {
                let centre = (random.next_u64() % CLUSTERS as u64) as usize * shape.dim;
                for mean in &centres[centre..centre + shape.dim] {
                    rows.push((mean + random.draw() * SPREAD + random.draw() * noise) as f32);
                }
            }
            rows
        };
        let base = draw(shape.rows, 0.0);
        let queries = draw(shape.queries, QUERY_NOISE);
        Self { base, queries, dim: shape.dim }
    }

    /// The `k` nearest rows of every query under squared Euclidean distance, nearest first, ties by row.
    ///
    /// `k` is at most the number of rows.
    pub(super) fn truth(&self, k: usize) -> Vec<i32> {
        let mut truth = Vec::with_capacity(self.queries.len() / self.dim * k);
        for query in self.queries.chunks_exact(self.dim) {
            let rows = self.base.chunks_exact(self.dim).enumerate();
            let mut scored: Vec<(f64, i32)> =
                rows.map(|(row, vector)| (squared_distance(query, vector), row as i32)).collect();
            let order = |a: &(f64, i32), b: &(f64, i32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if k < scored.len() {
                scored.select_nth_unstable_by(k, order);
                scored.truncate(k);
            }
            scored.sort_unstable_by(order);
            truth.extend(scored.iter().map(|(_, row)| *row));
        }
        truth
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(x - y)).map(|difference| difference * difference).sum()
}

/// Normally distributed numbers from `SplitMix64` through the Box-Muller transform.
struct Gaussian {
    state: u64,
    spare: Option<f64>,
}

impl Gaussian {
    fn new(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16.
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in (0, 1]: never 0, whose logarithm is infinite.
    fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { seed: 7, rows: 400, queries: 20, dim: 6 };

    #[test]
    fn the_seed_decides_everything() {
        let (one, same) = (Set::generate(SHAPE), Set::generate(SHAPE));
        let other = Set::generate(Shape { seed: 8, ..SHAPE });
        assert_eq!((one.base.len(), one.queries.len()), (2400, 120));
        assert!(one.base == same.base && one.queries == same.queries);
        assert!(one.base != other.base);
    }

    #[test]
    fn draws_have_mean_zero_and_variance_one() {
        let mut random = Gaussian::new(1);
        let draws: Vec<f64> = (0..20_000).map(|_| random.draw()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn no_query_is_a_row() {
        let set = Set::generate(SHAPE);
        for query in set.queries.chunks_exact(SHAPE.dim) {
            assert!(set.base.chunks_exact(SHAPE.dim).all(|row| row != query));
        }
    }

    #[test]
    fn the_truth_is_the_sorted_scan() {
        let set = Set::generate(SHAPE);
        let k = 5;
        for (query, found) in set.queries.chunks_exact(SHAPE.dim).zip(set.truth(k).chunks_exact(k)) {
            let mut all: Vec<(f64, i32)> = (0..SHAPE.rows)
                .map(|row| (squared_distance(query, &set.base[row * SHAPE.dim..][..SHAPE.dim]), row as i32))
                .collect();
            all.sort_by(|a, b| a.partial_cmp(b).expect("draws are finite"));
            let expected: Vec<i32> = all[..k].iter().map(|(_, row)| *row).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn equal_rows_are_told_by_number_and_k_may_be_all() {
        let set = Set { base: vec![1.0, 0.0, 1.0], queries: vec![0.0], dim: 1 };
        assert_eq!(set.truth(2), [1, 0]);
        assert_eq!(set.truth(3), [1, 0, 2]);
    }
}
