//! What is done to an index while it is measured.

mod build;
mod churn;
mod codes;
mod effort;
mod exact;
mod gate;
mod interfere;
mod progress;
mod query;
mod throughput;
mod unsealed;

use std::fs::File;
use std::time::Instant;

use vectra::{Builder, ErrorKind, Index, Mode};

use crate::Outcome;
use crate::args::AnnArgs;
use crate::data::Array;
use crate::measure;
use crate::report::{Point, Report};
use crate::truth::{Judge, Rows};
use build::{Built, build};
pub(crate) use churn::churn;
pub(crate) use codes::{Rung, codes};
pub(crate) use gate::gate;
pub(crate) use interfere::interfere;
pub(crate) use progress::Progress;
use query::{Asker, Effort, Queries};
pub(crate) use throughput::throughput;
pub(crate) use unsealed::unsealed;

/// The largest effort that a search for a recall tries.
const EF_MAX: usize = 65_536;
/// Turns of exact scans with plain reading.
const SCAN_TURNS: usize = 33;

/// An index that was just opened, and how long that took.
struct Opened {
    index: Index,
    open_s: f64,
    first_answer_s: f64,
}

/// Nearest neighbours: opens the index, building it first if it is not there, and measures every setting asked for.
pub(crate) fn ann(args: &AnnArgs) -> Outcome<Report> {
    let mut truth = Array::open(&args.truth)?;
    let queries = Queries::read(&args.queries, args.queries_from, args.queries_max)?;
    let mut base = args.base.as_deref().map(Array::open).transpose()?;
    let (opened, built) = open_or_build(args, base.as_mut(), queries.all()[0])?;
    let Opened { index, open_s, first_answer_s } = opened;
    check(args, &index, base.as_ref(), queries.dim())?;
    if args.quantization.is_some() || args.memory_budget.is_some() {
        let progress = Progress::new("encoding");
        index.set_quantization(args.quantization.unwrap_or_default(), args.memory_budget)?;
        index.wait_optimized()?;
        drop(progress);
        tell_codes(&index);
    }
    index.wait_optimized()?;
    let index_bytes = measure::folder_bytes(&args.index)?;
    let queries = queries.all();
    let asker = Asker { index: &index, queries: &queries, k: args.k, threads: args.threads };
    let progress = Progress::new("asking every query once");
    asker.pass(0..queries.len(), Effort::Default)?;
    let (rss_bytes, resident, items) = (measure::resident_bytes(), measure::resident(), index.stats().items);
    drop(progress);
    let rows = base.map_or(Rows::Index(&index), Rows::File);
    let mut judge = Judge::new(args.metric, args.k, (&mut truth, args.queries_from), &queries, rows)?;
    let mut points = points(args, &asker, &mut judge)?;
    let mut exact_scan = None;
    if args.exact {
        let progress = Progress::new("measuring the exact scan");
        let point = asker.point(0..queries.len(), Effort::Exact, "exact".to_owned(), &mut judge)?;
        exact_scan = Some(exact::Turns::new(&index, &queries, args.k).take(SCAN_TURNS)?);
        drop(progress);
        points.push(point);
    }
    drop(judge);
    index.close()?;
    Ok(Report {
        build_s: built.map(|built| built.seconds),
        build_write_s: built.map(|built| built.write_seconds),
        build_peak_rss_bytes: built.and_then(|built| built.peak_rss_bytes),
        index_bytes,
        open_s,
        first_answer_s,
        rss_bytes,
        resident,
        items,
        points,
        exact_scan,
    })
}

fn open_or_build(
    args: &AnnArgs,
    base: Option<&mut Array<File>>,
    query: &[f32],
) -> Outcome<(Opened, Option<Built>)> {
    let missing = match open(args, query) {
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        opened => return Ok((opened?, None)),
    };
    let Some(base) = base else {
        return Err(format!("{missing}; give --base to build the index").into());
    };
    let built = build(base, &args.index, args.metric, args.threads)?;
    Ok((open(args, query)?, Some(built)))
}

fn open(args: &AnnArgs, query: &[f32]) -> vectra::Result<Opened> {
    let mode = if args.lean { Mode::Lean } else { Mode::Map };
    let start = Instant::now();
    let index = Builder::new().threads(args.threads).mode(mode).open(&args.index)?;
    let open_s = start.elapsed().as_secs_f64();
    index.query(query).top_k(args.k).without_metadata().run()?;
    Ok(Opened { index, open_s, first_answer_s: start.elapsed().as_secs_f64() })
}

/// Says what the segments are searched on.
fn tell_codes(index: &Index) {
    for segment in index.stats().shards.iter().flat_map(|shard| &shard.segments) {
        let Some(codes) = segment.codes else { continue };
        let bytes = u64::from(segment.rows) * codes.row_bytes as u64 + segment.graph_bytes;
        let vectra::SegmentStats { rows, .. } = segment;
        println!(
            "{rows} rows on {} of {} components, {} B a row, {bytes} B with the graph",
            codes.codec, codes.components, codes.row_bytes
        );
    }
}

/// Refuses an index that is not what the arguments say: its figures would be another's.
fn check(args: &AnnArgs, index: &Index, base: Option<&Array<File>>, dim: usize) -> Outcome<()> {
    let settings = index.settings();
    let folder = args.index.display();
    if settings.metric != args.metric {
        let (found, asked) = (settings.metric, args.metric);
        return Err(format!("{folder}: the index measures by {found}, not {asked}").into());
    }
    if settings.dim as usize != dim {
        return Err(format!("{folder}: the index has {} components, queries have {dim}", settings.dim).into());
    }
    match base.map(Array::rows) {
        Some(rows) if rows as u64 != index.stats().items => {
            let items = index.stats().items;
            let hint = "remove the folder to build it anew";
            Err(format!("{folder}: the index has {items} items, the base {rows} rows; {hint}").into())
        }
        _ => Ok(()),
    }
}

/// Everything but the exact scan.
fn points(args: &AnnArgs, asker: &Asker<'_>, judge: &mut Judge<'_>) -> Outcome<Vec<Point>> {
    let all = 0..asker.queries.len();
    if args.ef.is_empty() && args.recall.is_empty() && args.reach.is_empty() {
        let _progress = Progress::new("measuring the default");
        return Ok(vec![asker.point(all, Effort::Default, "default".to_owned(), judge)?]);
    }
    let mut points = Vec::new();
    for ef in &args.ef {
        let setting = format!("ef={ef}");
        let _progress = Progress::new(format!("measuring {setting}"));
        points.push(asker.point(all.clone(), Effort::Ef(*ef), setting, judge)?);
    }
    for target in &args.recall {
        let setting = format!("recall={target}");
        let _progress = Progress::new(format!("measuring {setting}"));
        points.push(asker.point(all.clone(), Effort::Recall(*target), setting, judge)?);
    }
    for target in &args.reach {
        points.push(reaching(*target, asker, judge)?);
    }
    Ok(points)
}

/// The least effort that reaches `target` on the first half of the queries, measured on the second half.
fn reaching(target: f32, asker: &Asker<'_>, judge: &mut Judge<'_>) -> Outcome<Point> {
    let count = asker.queries.len();
    if count < 2 {
        return Err("--reach takes at least two queries".into());
    }
    let setting = format!("reach={target}");
    let _progress = Progress::new(format!("looking for {setting}"));
    let rows = usize::try_from(asker.index.stats().items).unwrap_or(usize::MAX);
    let ef_max = rows.clamp(asker.k, EF_MAX.max(asker.k));
    let found = effort::least(asker.k, ef_max, f64::from(target), |ef| {
        asker.point(0..count / 2, Effort::Ef(ef), String::new(), judge).map(|point| point.recall)
    })?;
    let ef = found.ok_or_else(|| format!("no effort up to {ef_max} reaches recall {target}"))?;
    asker.point(count / 2..count, Effort::Ef(ef), setting, judge)
}
