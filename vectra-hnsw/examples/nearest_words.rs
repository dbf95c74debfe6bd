//! Finds words spelt like a given one: a graph over the caller's own vectors, without a database.
//!
//! Each word becomes the counts of its letter pairs. Run with `cargo run -p vectra-hnsw --example nearest_words -- helo`.

use vectra_core::admit::All;
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_hnsw::{Hnsw, Params, Scratch};

const DIM: usize = 64;

const WORDS: &str = "apple apply ample maple people purple simple sample temple tremble ripple cripple triple \
    hello hallow hollow yellow fellow mellow jello cello shell spell smell swell quell help helm held \
    search sea season seal reach teach beach peach bleach breach preach starch march arch larch \
    vector victor factor doctor actor tractor sector rector hector nectar graph grape grasp grass glass \
    class clasp clash flash flesh fresh thresh thrash crash trash brash brush crush plush blush";

/// The vectors of all words, one after another.
struct Words {
    vectors: Vec<[f32; DIM]>,
}

/// Counts of letter pairs, hashed into `DIM` places, scaled to length 1.
fn spelling(word: &str) -> [f32; DIM] {
    let mut counts = [0.0_f32; DIM];
    let padded: Vec<u8> = [b"^", word.as_bytes(), b"$"].concat();
    for pair in padded.windows(2) {
        counts[(usize::from(pair[0]) * 31 + usize::from(pair[1])) % DIM] += 1.0;
    }
    let norm = counts.iter().map(|x| x * x).sum::<f32>().sqrt();
    counts.map(|x| x / norm)
}

/// A spelling to compare with: one minus the cosine.
struct Spelling<'a> {
    words: &'a Words,
    query: &'a [f32],
}

impl Scorer for Spelling<'_> {
    fn score(&mut self, slot: u32) -> f32 {
        1.0 - self.query.iter().zip(&self.words.vectors[slot as usize]).map(|(a, b)| a * b).sum::<f32>()
    }
}

impl VectorStore for Words {
    type Scorer<'a> = Spelling<'a>;

    fn len(&self) -> usize {
        self.vectors.len()
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> Spelling<'a> {
        Spelling { words: self, query }
    }

    fn bind_slot(&self, slot: u32) -> Spelling<'_> {
        Spelling { words: self, query: &self.vectors[slot as usize] }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<&str> = WORDS.split_whitespace().collect();
    let words = Words { vectors: names.iter().map(|word| spelling(word)).collect() };
    let hnsw = Hnsw::build(&words, &Params { m: 8, ..Params::default() }, 1, &|_| true)?;
    let asked = std::env::args().nth(1).unwrap_or_else(|| "purpel".to_owned());
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let query = spelling(&asked);
    let params = SearchParams::new(5, 32);
    let counts = hnsw.search(&mut words.bind(&query), &params, &All, &mut scratch, &mut found);
    println!("{asked} is spelt like ({} of {} words compared):", counts.distances, names.len());
    for near in found {
        println!("  {:.3} {}", near.distance, names[near.slot as usize]);
    }
    Ok(())
}
