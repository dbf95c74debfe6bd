//! `vectra query`: nearest neighbours.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use vectra::{Filter, Hit, ItemId, Profile, Snapshot, metadata_to_json};

use super::checkpoint;
use crate::args::{QueryArgs, Question};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::input::{NpyFile, VectorFile};
use crate::output::{Output, id_json, shell_word, vector_json};

const VECTOR_HINT: &str =
    "write --vector '@FILE.npy[ROW]' or --vector '[0.1, 0.2, ...]'; --vectors FILE asks every row";

pub(super) fn run(args: &QueryArgs, output: &mut Output) -> Result<Exit> {
    let filter = args.filter.as_deref().map(vectra::mongo).transpose().map_err(|e| {
        Failure::from(&e).hint(r#"for example --filter '{"section": "games", "size": {"$lt": 1000}}'"#)
    })?;
    if let Some(path) = &args.question.vectors {
        return many(args, path, filter, output);
    }
    let given = args.question.vector.as_deref().map(parse_vector).transpose()?;
    let snapshot = checkpoint::snapshot(&args.index, args.at.as_deref())?;
    let (vector, like) = match given {
        Some(vector) => (vector, None),
        None => like(&snapshot, args)?,
    };
    // The item itself is nearest to itself and is left out, so one more is needed.
    let mut query = snapshot.query(&vector).top_k(args.k.saturating_add(usize::from(like.is_some())));
    if let Some(filter) = filter {
        query = query.filter(filter);
    }
    if let Some(ef) = args.effort.ef {
        query = query.ef(ef);
    }
    if let Some(recall) = args.effort.recall {
        query = query.recall(recall);
    }
    if args.exact {
        query = query.exact();
    }
    if args.with_vectors {
        query = query.with_vectors();
    }
    let started = Instant::now();
    let (mut hits, profile) = query.run_profiled().map_err(|e| query_failure(&e, &args.index))?;
    let took = started.elapsed();
    hits.retain(|hit| Some(&hit.id) != like.as_ref());
    hits.truncate(args.k);
    if output.is_json() {
        let mut json = as_json(&hits, &profile, took);
        if let Some(recall) = args.effort.recall {
            json["planned"] = planned_json(recall, &profile);
        }
        output.json(&json)?;
    } else {
        show(&hits, &profile, took, output)?;
        if let Some(recall) = args.effort.recall {
            output.line(planned(recall, &profile))?;
        }
    }
    Ok(Exit::Ok)
}

/// One query for each row of the file at `path`.
fn many(args: &QueryArgs, path: &Path, filter: Option<Filter>, output: &mut Output) -> Result<Exit> {
    let rows = VectorFile::open(path)?.rows()?;
    let vectors = rows.map(|row| row.map(|row| row.vector)).collect::<std::result::Result<Vec<_>, _>>()?;
    let snapshot = checkpoint::snapshot(&args.index, args.at.as_deref())?;
    let mut batch = snapshot.query_batch(&vectors).top_k(args.k);
    if let Some(filter) = filter {
        batch = batch.filter(filter);
    }
    if let Some(ef) = args.effort.ef {
        batch = batch.ef(ef);
    }
    if let Some(recall) = args.effort.recall {
        batch = batch.recall(recall);
    }
    if args.exact {
        batch = batch.exact();
    }
    if args.with_vectors {
        batch = batch.with_vectors();
    }
    let started = Instant::now();
    let (answers, profile) = batch.run_profiled().map_err(|e| query_failure(&e, &args.index))?;
    let took = started.elapsed();
    for (query, hits) in answers.iter().enumerate() {
        if output.is_json() {
            output.json(&json!({"query": query, "hits": hits_json(hits)}))?;
        } else {
            output.heading(&format!("query {query}"))?;
            table(hits, output)?;
        }
    }
    if !output.is_json() {
        let (count, distances) = (answers.len(), profile.distances);
        let milliseconds = took.as_secs_f64() * 1e3;
        output.line(format!("{count} queries in {milliseconds:.2} ms, {distances} distances computed"))?;
    }
    Ok(Exit::Ok)
}

/// The vector and id of the item that neighbours are wanted of.
fn like(snapshot: &Snapshot, args: &QueryArgs) -> Result<(Vec<f32>, Option<ItemId>)> {
    let Question { like, .. } = &args.question;
    let id = like.as_ref().expect("the command line asks for a vector or an item");
    let item = folder::find(snapshot, id).map_err(|e| Failure::of_index(&e, &args.index))?;
    let item = item.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no item with the id `{id}`"))
            .hint("--like takes the id of an item of the index; --vector takes a vector")
    })?;
    Ok((item.vector, Some(item.id)))
}

fn parse_vector(text: &str) -> Result<Vec<f32>> {
    let Some(reference) = text.strip_prefix('@') else {
        return serde_json::from_str(text).map_err(|e| {
            Failure::new(Exit::Invalid, format!("the vector is not a JSON array of numbers: {e}"))
                .hint(VECTOR_HINT)
        });
    };
    let (path, row) = split_row(reference).ok_or_else(|| {
        Failure::new(Exit::Invalid, format!("`{text}` does not name a row of a file")).hint(VECTOR_HINT)
    })?;
    let file = NpyFile::open(Path::new(path))?;
    if row.is_none() && file.len() != 1 {
        let text = format!("{path} has {} rows; say which one", file.len());
        return Err(Failure::new(Exit::Invalid, text).hint(format!("for example --vector '@{path}[0]'")));
    }
    Ok(file.row(row.unwrap_or(0))?)
}

/// Splits `FILE[ROW]`; without brackets there is no row.
fn split_row(text: &str) -> Option<(&str, Option<u64>)> {
    match text.strip_suffix(']') {
        None => Some((text, None)),
        Some(inside) => {
            let (path, row) = inside.rsplit_once('[')?;
            Some((path, Some(row.parse().ok()?)))
        }
    }
}

fn as_json(hits: &[Hit], profile: &Profile, took: Duration) -> Json {
    json!({
        "hits": hits_json(hits),
        "took_us": took.as_micros() as u64,
        "distances": profile.distances,
        "hops": profile.hops,
    })
}

fn hits_json(hits: &[Hit]) -> Json {
    let hit = |(at, hit): (usize, &Hit)| {
        let metadata = hit.metadata.as_ref().map_or(Json::Null, metadata_to_json);
        let (id, distance) = (id_json(&hit.id), vector_json(&[hit.distance])[0].take());
        let mut json = json!({"rank": at + 1, "id": id, "distance": distance, "metadata": metadata});
        if let Some(vector) = &hit.vector {
            json["vector"] = vector_json(vector);
        }
        json
    };
    hits.iter().enumerate().map(hit).collect()
}

fn show(hits: &[Hit], profile: &Profile, took: Duration, output: &mut Output) -> Result<()> {
    table(hits, output)?;
    let (found, distances) = (hits.len(), profile.distances);
    output
        .line(format!("{found} found in {:.2} ms, {distances} distances computed", took.as_secs_f64() * 1e3))
}

fn table(hits: &[Hit], output: &mut Output) -> Result<()> {
    let row = |(at, hit): (usize, &Hit)| {
        let metadata = hit.metadata.as_ref().map(metadata_to_json).filter(|json| !json.is_null());
        let mut text = metadata.map(|json| json.to_string()).unwrap_or_default();
        if let Some(vector) = &hit.vector {
            text = format!("{}  {text}", vector_json(vector));
        }
        vec![(at + 1).to_string(), hit.id.to_string(), format!("{:.6}", hit.distance), text]
    };
    let rows: Vec<Vec<String>> = hits.iter().enumerate().map(row).collect();
    output.table(&[">rank", "id", ">distance", "metadata"], &rows)
}

/// What a query for a recall was planned for, and by which rules.
pub(super) fn planned_json(recall: f32, profile: &Profile) -> Json {
    let recall = vector_json(&[recall])[0].take();
    json!({"recall": recall, "calibrated": profile.calibrated, "uncalibrated": profile.uncalibrated})
}

fn planned(recall: f32, profile: &Profile) -> String {
    let Profile { segments, calibrated, uncalibrated, .. } = *profile;
    let scanned = segments - calibrated - uncalibrated;
    format!(
        "planned for recall {recall}: {calibrated} segments by calibration, {uncalibrated} by rule of thumb, \
         {scanned} scanned"
    )
}

/// An error of the query itself, or of the index behind it.
pub(super) fn query_failure(error: &vectra::Error, path: &Path) -> Failure {
    let failure = Failure::of_index(error, path);
    if failure.exit() == Exit::Invalid {
        let name = shell_word(&path.display().to_string());
        return failure.hint(format!("vectra info {name} shows the dimension of the index"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_off() {
        assert_eq!(split_row("a.npy[3]"), Some(("a.npy", Some(3))));
        assert_eq!(split_row("a[1].npy[0]"), Some(("a[1].npy", Some(0))));
        assert_eq!(split_row("a.npy"), Some(("a.npy", None)));
        assert_eq!(split_row("a.npy[x]"), None);
        assert_eq!(split_row("a.npy]"), None);
    }

    #[test]
    fn vectors_are_read_from_json() {
        assert_eq!(parse_vector("[1, -2.5]").expect("a vector"), [1.0, -2.5]);
        assert_eq!(parse_vector("[1, null]").expect_err("no number").exit(), Exit::Invalid);
        assert_eq!(parse_vector("@gone.npy[0]").expect_err("no file").exit(), Exit::NotFound);
    }
}
