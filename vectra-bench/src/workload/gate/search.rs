//! An index of generated vectors: built, opened again, and asked.

use vectra::{
    Builder, Durability, ElementKind, FieldKind, Filter, Hit, Index, Item, ItemId, Metric, Profile, Settings,
    mongo,
};

use super::record::Record;
use super::world::World;
use crate::Outcome;
use crate::data::Synthetic;
use crate::truth::{self, count_right};

/// Neighbours per query.
const K: usize = 10;
/// Rows written at a time.
const BATCH_ROWS: u64 = 500;
/// Queries come out of rows beyond any that an index has.
const QUERIES_FROM: u64 = 1 << 32;
/// Components are multiples of one in so many. Sums of their products are then exact in single precision, whatever the
/// order in which an instruction set adds them up.
const GRID: f32 = 16.0;
/// Values of the field `tag`.
const TAGS: u64 = 40;

/// How rows get in, and where they are when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// By a bulk load, into one segment with a graph.
    Bulk,
    /// In batches through the log, into one segment with a graph.
    Batches,
    /// In batches through the log, and still in memory.
    Unsealed,
}

/// Which items a query wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    All,
    /// Three quarters of the items, by an indexed number.
    Most,
    /// One in forty, by an indexed keyword.
    Tag,
    /// One in seven, by a field without an index.
    Plain,
}

impl Want {
    fn has(self, n: u64, rows: u64) -> bool {
        match self {
            Self::All => true,
            Self::Most => n >= rows / 4,
            Self::Tag => n % TAGS == 3,
            Self::Plain => n % 7 == 3,
        }
    }

    fn filter(self, rows: u64) -> vectra::Result<Option<Filter>> {
        let text = match self {
            Self::All => return Ok(None),
            Self::Most => format!(r#"{{"n": {{"$gte": {}}}}}"#, rows / 4),
            Self::Tag => r#"{"tag": "t3"}"#.to_owned(),
            Self::Plain => r#"{"plain": 3}"#.to_owned(),
        };
        mongo(&text).map(Some)
    }
}

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Default,
    Ef(usize),
    Exact,
}

/// One way to ask every query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) name: &'static str,
    pub(super) effort: Effort,
    pub(super) want: Want,
}

/// An index and what it is asked.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) name: &'static str,
    pub(super) metric: Metric,
    pub(super) element: ElementKind,
    pub(super) dim: usize,
    pub(super) rows: u64,
    pub(super) load: Load,
    pub(super) queries: u64,
    pub(super) asks: Vec<Ask>,
    /// The graph's degree and build effort, if not the default.
    pub(super) graph: Option<(usize, usize)>,
}

impl Search {
    /// Builds, opens and asks; adds what that took to `record`.
    pub(super) fn run(&self, record: &mut Record) -> Outcome<()> {
        let world = World::new(self.dim as u64);
        self.build(&world, record)?;
        let begun = world.traffic();
        let index = world.builder().open("/index")?;
        world.rest();
        let traffic = world.traffic().since(begun);
        record.count(format!("{}/open/read_bytes", self.name), traffic.read_bytes);
        record.count(format!("{}/open/syncs", self.name), traffic.syncs);
        let begun = world.traffic();
        self.ask(&index, record)?;
        let traffic = world.traffic().since(begun);
        record.count(format!("{}/asked/read_bytes", self.name), traffic.read_bytes);
        record.count(format!("{}/asked/written_bytes", self.name), traffic.written_bytes);
        Ok(index.close()?)
    }

    fn settings(&self) -> Outcome<Settings> {
        let mut settings = Settings::new(u32::try_from(self.dim)?)
            .with_metric(self.metric)
            .with_element(self.element)
            .with_indexed_field("tag", FieldKind::Keyword)
            .with_indexed_field("n", FieldKind::Number);
        if let Some((m, ef_construction)) = self.graph {
            settings = settings.with_graph(m, ef_construction);
        }
        Ok(settings)
    }

    fn item(&self, n: u64) -> Item {
        let tag = format!("t{}", n % TAGS);
        let metadata = [("tag", tag.into()), ("n", n.into()), ("plain", (n % 7).into())];
        Item::new(n, self.vector(n)).with_metadata(metadata)
    }

    fn vector(&self, n: u64) -> Vec<f32> {
        on_grid(self.set().vector(n).into_iter())
    }

    /// Halfway between two rows, mostly of different clusters: further from the data than the data is from itself.
    fn query(&self, n: u64) -> Vec<f32> {
        let [one, other] = [0, self.queries].map(|more| self.set().vector(QUERIES_FROM + more + n));
        on_grid(one.iter().zip(&other).map(|(a, b)| (a + b) / 2.0))
    }

    fn set(&self) -> Synthetic {
        Synthetic { seed: self.dim as u64, dim: self.dim }
    }

    fn build(&self, world: &World, record: &mut Record) -> Outcome<()> {
        let index = Builder::create(world.builder(), "/index", self.settings()?)?;
        if self.load == Load::Bulk {
            index.load_items((0..self.rows).map(|n| self.item(n)))?;
        } else {
            let writer = index.with_durability(Durability::None);
            for first in (0..self.rows).step_by(usize::try_from(BATCH_ROWS)?) {
                let rows = first..(first + BATCH_ROWS).min(self.rows);
                writer.insert_items(rows.map(|n| self.item(n)).collect())?;
            }
            index.sync()?;
        }
        if self.load != Load::Unsealed {
            index.wait_optimized()?;
        }
        world.rest();
        let (written, traffic) = (index.stats().written, world.traffic());
        for (what, value) in [
            ("log_bytes", written.log),
            ("rows_bytes", written.rows),
            ("metadata_bytes", written.metadata),
            ("index_bytes", written.index),
            ("written_bytes", traffic.written_bytes),
            ("read_bytes", traffic.read_bytes),
            ("syncs", traffic.syncs),
        ] {
            record.count(format!("{}/build/{what}", self.name), value);
        }
        Ok(index.close()?)
    }

    /// Asks every query in every way, and judges the answers by distances in double precision.
    fn ask(&self, index: &Index, record: &mut Record) -> Outcome<()> {
        let rows: Vec<Vec<f32>> = (0..self.rows).map(|n| self.vector(n)).collect();
        let filters: Vec<Option<Filter>> =
            self.asks.iter().map(|ask| ask.want.filter(self.rows)).collect::<vectra::Result<_>>()?;
        let mut tallies = vec![(Profile::default(), 0); self.asks.len()];
        for n in 0..self.queries {
            let query = self.query(n);
            let distances: Vec<f64> =
                rows.iter().map(|row| truth::distance(self.metric, &query, row)).collect();
            for ((ask, filter), (profile, right)) in self.asks.iter().zip(&filters).zip(&mut tallies) {
                let (hits, counts) = asked(index, &query, ask.effort, filter.clone())?;
                *profile += counts;
                *right += count_right(&scored(&hits, &distances)?, self.limit(ask.want, &distances), K);
            }
        }
        for (ask, (profile, right)) in self.asks.iter().zip(tallies) {
            let name = format!("{}/{}", self.name, ask.name);
            for (what, value) in [
                ("distances", profile.distances),
                ("hops", profile.hops),
                ("exact_reads", profile.exact_reads),
                ("segments", profile.segments),
                ("filter_evaluations", profile.filter_evaluations),
                ("unverified", profile.unverified),
            ] {
                record.count(format!("{name}/{what}"), value);
            }
            record.recall(name, right as f64 / (self.queries * K as u64) as f64);
        }
        Ok(())
    }

    /// The distance up to which a wanted row is right.
    fn limit(&self, want: Want, distances: &[f64]) -> f64 {
        let wanted = (0..).zip(distances).filter(|(n, _)| want.has(*n, self.rows));
        let mut wanted: Vec<f64> = wanted.map(|(_, distance)| *distance).collect();
        let (_, worst, _) = wanted.select_nth_unstable_by(K - 1, f64::total_cmp);
        truth::limit(*worst)
    }
}

fn on_grid(vector: impl Iterator<Item = f32>) -> Vec<f32> {
    vector.map(|x| (x * GRID).round() / GRID).collect()
}

fn asked(
    index: &Index,
    query: &[f32],
    effort: Effort,
    filter: Option<Filter>,
) -> vectra::Result<(Vec<Hit>, Profile)> {
    let mut builder = index.query(query).top_k(K);
    if let Some(filter) = filter {
        builder = builder.filter(filter);
    }
    match effort {
        Effort::Default => builder.run_profiled(),
        Effort::Ef(ef) => builder.ef(ef).run_profiled(),
        Effort::Exact => builder.exact().run_profiled(),
    }
}

/// Row numbers with their distances.
fn scored(hits: &[Hit], distances: &[f64]) -> Outcome<Vec<(u64, f64)>> {
    let row = |hit: &Hit| match &hit.id {
        ItemId::U64(n) => usize::try_from(*n).ok().and_then(|at| distances.get(at)).map(|d| (*n, *d)),
        _ => None,
    };
    hits.iter().map(|hit| row(hit).ok_or_else(|| format!("there is no item {}", hit.id).into())).collect()
}
