//! Embeddings of two kinds of things in one space: rows of one kind, queries of the other.

use serde_json::{Value, json};

use super::Source;
use super::mixture::{Directions, Shares, add, blur, dot, stretch};
use crate::noise::Noise;

const DIM: usize = 768;
const CLUSTERS: usize = 1000;
/// What centres are mixed from.
const TOPICS: usize = 32;
/// What rows are spread along, each cluster along some of them.
const ATOMS: usize = 512;
/// The fewest dimensions of a cluster; the most are 20 more.
const CLUSTER_DIMS: u64 = 20;
/// Categories, of which each has many clusters.
const CATEGORIES: usize = 40;

/// Unit vectors: clusters of 20 to 40 dimensions and of very unequal size, around centres that have few dimensions
/// themselves.
///
/// Queries lie apart from all rows in one common direction, spread over the clusters evenly, between two of them, and
/// with more noise: what is nearest to them is farther than rows are from each other. Rows differ in how far they lie
/// in that direction, too; those that lie far are near to many queries.
#[derive(Debug)]
pub(super) struct Ood768 {
    seed: u64,
    shares: Shares,
    topics: Directions,
    atoms: Directions,
    /// Where all rows lie, and where all queries lie.
    means: Directions,
    /// Of each cluster, its place among the topics.
    centres: Vec<f32>,
}

impl Ood768 {
    pub(super) fn new(seed: u64) -> Self {
        let directions = |what, count| Directions::new(&mut Noise::of(seed, what, 0), count, DIM);
        // Together of length 1, nearly.
        let centres = Noise::of(seed, "centres", 0).bells(CLUSTERS * TOPICS, 1.0 / (TOPICS as f32).sqrt());
        Self {
            seed,
            shares: Shares::by_rank(CLUSTERS),
            topics: directions("topics", TOPICS),
            atoms: directions("atoms", ATOMS),
            means: directions("means", 2),
            centres,
        }
    }

    /// Adds `share` of what makes the cluster, and a step within it that `noise` draws.
    fn place(&self, cluster: usize, share: f32, noise: &mut Noise, out: &mut [f32]) {
        let centre = &self.centres[cluster * TOPICS..][..TOPICS];
        self.topics.add(&centre.iter().map(|x| share * x).collect::<Vec<_>>(), out);
        let mut own = Noise::of(self.seed, "cluster", cluster as u64);
        let dims = CLUSTER_DIMS + own.next() % (CLUSTER_DIMS + 1);
        let spread = (0.4 + 0.4 * own.share()) / (dims as f32).sqrt();
        for _ in 0..dims {
            let atom = (own.next() % ATOMS as u64) as usize;
            let width = 0.5 + own.share();
            add(share * spread * width * noise.bell(), self.atoms.get(atom), out);
        }
    }

    /// The cluster of a row and the rest of its numbers.
    fn row_noise(&self, n: u64) -> (usize, Noise) {
        let mut noise = Noise::of(self.seed, "row", n);
        (self.shares.draw(&mut noise), noise)
    }
}

impl Source for Ood768 {
    fn dim(&self) -> usize {
        DIM
    }

    fn row(&self, n: u64, out: &mut [f32]) {
        let (cluster, mut noise) = self.row_noise(n);
        add(0.5, self.means.get(0), out);
        add(0.1 * noise.bell(), self.means.get(1), out);
        self.place(cluster, 1.0, &mut noise, out);
        blur(&mut noise, 0.15, out);
        stretch(1.0, out);
    }

    fn query(&self, n: u64, out: &mut [f32]) {
        let mut noise = Noise::of(self.seed, "query", n);
        add(0.3, self.means.get(0), out);
        add(0.8, self.means.get(1), out);
        let (first, second) = (self.shares.any(&mut noise), self.shares.any(&mut noise));
        self.place(first, 0.8, &mut noise, out);
        self.place(second, 0.3, &mut noise, out);
        blur(&mut noise, 0.5, out);
        stretch(1.0, out);
    }

    /// `category` follows the cluster, `level` rises in the direction of a topic, and one row in 400 has the tag
    /// `rare`; in one category one in 40.
    fn fields(&self, n: u64, row: &[f32]) -> Option<Value> {
        let (cluster, _) = self.row_noise(n);
        let category = cluster % CATEGORIES;
        let mut noise = Noise::of(self.seed, "fields", n);
        let level = 100.0 * (dot(row, self.topics.get(0)) + 0.05 * noise.bell());
        let mut fields = json!({ "category": format!("c{category:02}"), "level": level.round() });
        if noise.next().is_multiple_of(if category == 7 { 40 } else { 400 }) {
            fields["tag"] = "rare".into();
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vectra::Metric;

    use super::super::tests::{queries, rows};
    use super::*;
    use crate::truth::distance;

    /// The nearest rows of a vector: their distances and numbers.
    fn nearest(rows: &[Vec<f32>], to: &[f32], except: usize) -> Vec<(f64, usize)> {
        let others = rows.iter().enumerate().filter(|(n, _)| *n != except);
        let mut all: Vec<(f64, usize)> = others.map(|(n, x)| (distance(Metric::Dot, to, x), n)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.truncate(10);
        all
    }

    #[test]
    fn queries_are_farther_from_rows_than_rows_are_and_have_hubs() {
        let set = Ood768::new(1);
        let (rows, queries) = (rows(&set, 1500), queries(&set, 60));
        for vector in rows.iter().chain(&queries) {
            assert!((dot(vector, vector) - 1.0).abs() < 1e-4, "unit length");
        }
        let mean = |found: &[Vec<(f64, usize)>]| {
            found.iter().map(|found| 1.0 + found[0].0).sum::<f64>() / found.len() as f64
        };
        let inside: Vec<_> = (0..60).map(|n| nearest(&rows, &rows[n], n)).collect();
        let outside: Vec<_> = queries.iter().map(|query| nearest(&rows, query, usize::MAX)).collect();
        assert!(mean(&outside) > 1.3 * mean(&inside), "{} and {}", mean(&outside), mean(&inside));
        let most = |found: &[Vec<(f64, usize)>]| {
            let mut times = BTreeMap::new();
            found.iter().flatten().for_each(|(_, n)| *times.entry(*n).or_insert(0) += 1);
            times.into_values().max().expect("something was found")
        };
        assert!(most(&outside) > most(&inside), "{} and {}", most(&outside), most(&inside));
    }

    #[test]
    fn fields_follow_the_vectors() {
        let set = Ood768::new(2);
        let rows = rows(&set, 2000);
        let fields: Vec<Value> =
            (0..).zip(&rows).map(|(n, row)| set.fields(n, row).expect("this kind has fields")).collect();
        let rare = fields.iter().filter(|fields| fields["tag"] == "rare").count();
        assert!((1..40).contains(&rare), "{rare} rare rows");
        // Rows of one category are nearer to each other than to others.
        let same = |n: usize| fields[nearest(&rows, &rows[n], n)[0].1]["category"] == fields[n]["category"];
        let kept = (0..50).filter(|n| same(*n)).count();
        assert!(kept > 25, "{kept} of 50 have the category of their neighbour");
        let level = |n: usize| fields[n]["level"].as_f64().expect("a number");
        let along = |n: usize| f64::from(dot(&rows[n], set.topics.get(0)));
        let all = 0..rows.len();
        let mean = |values: &dyn Fn(usize) -> f64| all.clone().map(values).sum::<f64>() / rows.len() as f64;
        let covary = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
            let (mean_a, mean_b) = (mean(a), mean(b));
            all.clone().map(|n| (a(n) - mean_a) * (b(n) - mean_b)).sum::<f64>()
        };
        let correlation = covary(&level, &along) / (covary(&level, &level) * covary(&along, &along)).sqrt();
        assert!(correlation > 0.8, "{correlation}");
    }
}
