//! Sets out of a seed: vectors, queries of their kind or of another, true neighbours, and fields that go with them.

mod clustered128;
mod dot;
mod exact;
mod l2;
mod mixture;
mod ood768;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vectra::Metric;

use crate::Outcome;
use crate::args::GenerateArgs;
use crate::data::{Array, ArrayWriter, Dtype, Partial};
use crate::workload::Progress;

/// The true neighbours of a query, if the set has so many rows.
const NEIGHBOURS: usize = 100;
/// Rows between two looks at how far it got.
const STRIDE: u64 = 1024;

/// A set that need not be kept anywhere: any row at any time, fixed by kind, seed and number.
trait Source {
    /// Components of a vector.
    fn dim(&self) -> usize;

    /// Adds row `n` to `out`, which holds zeros.
    fn row(&self, n: u64, out: &mut [f32]);

    /// Adds query `n` to `out`, which holds zeros.
    fn query(&self, n: u64, out: &mut [f32]);

    /// The metadata of row `n`, which is `row`.
    fn fields(&self, _n: u64, _row: &[f32]) -> Option<Value> {
        None
    }
}

/// The sets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// 768 components, f16, cosine: clusters of few dimensions, queries out of distribution, fields.
    Ood768,
    /// 128 components, f32, l2: not negative, heavy-tailed, scales that differ.
    L2,
    /// 200 components, f32, dot: lengths that vary, queries of another distribution.
    Dot,
    /// 128 components, f32, cosine: clusters, queries of the same distribution.
    Clustered128,
}

impl Kind {
    fn source(self, seed: u64) -> Box<dyn Source> {
        match self {
            Self::Ood768 => Box::new(ood768::Ood768::new(seed)),
            Self::L2 => Box::new(l2::L2::new(seed)),
            Self::Dot => Box::new(dot::Dot::new(seed)),
            Self::Clustered128 => Box::new(clustered128::Clustered128::new(seed)),
        }
    }

    fn metric(self) -> Metric {
        match self {
            Self::Ood768 | Self::Clustered128 => Metric::Cosine,
            Self::L2 => Metric::L2,
            Self::Dot => Metric::Dot,
        }
    }

    fn dtype(self) -> Dtype {
        if self == Self::Ood768 { Dtype::F16 } else { Dtype::F32 }
    }
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Generated {
    metric: String,
    rows: u64,
    queries: u64,
    dim: usize,
    base: PathBuf,
    query_file: PathBuf,
    truth: PathBuf,
    fields: Option<PathBuf>,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, queries, dim, metric, .. } = self;
        writeln!(f, "{rows} rows and {queries} queries of {dim} components, metric {metric}")?;
        let written = [&self.base, &self.query_file, &self.truth].into_iter().chain(&self.fields);
        written.into_iter().try_for_each(|path| writeln!(f, "{}", path.display()))
    }
}

/// Writes a set into a folder.
pub(crate) fn generate(args: &GenerateArgs) -> Outcome<Generated> {
    if args.rows > i32::MAX as u64 {
        return Err(format!(
            "--rows is {}; row numbers are i32, so at most {} are possible",
            args.rows,
            i32::MAX
        )
        .into());
    }
    let (kind, source) = (args.kind, args.kind.source(args.seed));
    let element = if kind.dtype() == Dtype::F16 { "f16" } else { "f32" };
    let file = |name: &str| args.out.join(name);
    let generated = Generated {
        metric: kind.metric().to_string(),
        rows: args.rows,
        queries: args.query_count,
        dim: source.dim(),
        base: file(&format!("base.{element}.npy")),
        query_file: file(&format!("queries.{element}.npy")),
        truth: file("groundtruth.npy"),
        fields: source.fields(0, &vec![0.0; source.dim()]).map(|_| file("fields.jsonl")),
    };
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let named =
        |path: &Path, done: std::io::Result<()>| done.map_err(|error| format!("{}: {error}", path.display()));
    named(&generated.query_file, write_queries(&*source, kind, &generated))?;
    named(&generated.base, write_rows(&*source, kind, &generated))?;
    let mut base = Array::open(&generated.base)?;
    let mut queries = Array::open(&generated.query_file)?;
    let asked = exact::Asked {
        metric: kind.metric(),
        queries: queries.vectors(0, queries.rows())?,
        k: NEIGHBOURS.min(base.rows()),
        threads: args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
    };
    let truth = exact::nearest(&mut base, &asked)?;
    let write = || -> std::io::Result<()> {
        let mut writer = ArrayWriter::create(&generated.truth, Dtype::I32, args.query_count, asked.k)?;
        truth.iter().try_for_each(|row| writer.numbers(row))?;
        writer.finish()
    };
    named(&generated.truth, write())?;
    Ok(generated)
}

fn write_queries(source: &dyn Source, kind: Kind, to: &Generated) -> std::io::Result<()> {
    let mut array = ArrayWriter::create(&to.query_file, kind.dtype(), to.queries, to.dim)?;
    let mut query = vec![0.0; to.dim];
    for n in 0..to.queries {
        query.fill(0.0);
        source.query(n, &mut query);
        array.floats(&query)?;
    }
    array.finish()
}

/// The rows, and in the same pass their fields.
fn write_rows(source: &dyn Source, kind: Kind, to: &Generated) -> std::io::Result<()> {
    let progress = Progress::new("writing rows");
    let mut array = ArrayWriter::create(&to.base, kind.dtype(), to.rows, to.dim)?;
    let mut fields = to.fields.as_deref().map(Partial::create).transpose()?;
    let mut row = vec![0.0; to.dim];
    for n in 0..to.rows {
        row.fill(0.0);
        source.row(n, &mut row);
        array.floats(&row)?;
        if let (Some(file), Some(value)) = (&mut fields, source.fields(n, &row)) {
            writeln!(file, "{value}")?;
        }
        if n.is_multiple_of(STRIDE) {
            progress.at(n as usize, to.rows as usize);
        }
    }
    fields.map_or(Ok(()), Partial::finish)?;
    array.finish()
}

#[cfg(test)]
mod tests;
