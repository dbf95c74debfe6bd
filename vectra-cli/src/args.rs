//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand};
use vectra::{Durability, ElementKind, FieldKind, IndexedField, ItemId, Metric, Quantization};

use crate::size;

/// Vectors in a folder: durable nearest-neighbour search with metadata.
#[derive(Debug, Parser)]
#[command(name = "vectra", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print the result, or the error, as JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl Cli {
    /// Reads the command line; `Err` is what to print instead, help for instance.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let cli = Self::try_parse()?;
        if cli.json && matches!(cli.command, Command::Demo(_)) {
            let text = "the demo tells a story and has no JSON: leave out --json";
            return Err(Self::command().error(clap::error::ErrorKind::ArgumentConflict, text));
        }
        Ok(cli)
    }

    /// Whether the result (and an error) is wanted as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an index from a built-in sample of real embeddings and ask it questions.
    Demo(DemoArgs),
    /// Make an empty index.
    Create(CreateArgs),
    /// Read vectors and metadata from files into an index, which is made if it is missing.
    Import(ImportArgs),
    /// Find the nearest neighbours of a vector or of an item.
    Query(QueryArgs),
    /// Compare queries with an exact scan: which share of the true neighbours they find.
    MeasureRecall(MeasureRecallArgs),
    /// Show one item.
    Get(GetArgs),
    /// Show settings, sizes and counts, and how vectors are encoded.
    Info(IndexArgs),
    /// Check that the index holds together, with --deep every stored byte; changes nothing.
    Verify(VerifyArgs),
    /// Remove items; ids that are not there are passed over.
    Delete(DeleteArgs),
    /// Drop what is dead, merge, and build every graph.
    Compact(IndexArgs),
    /// Change how vectors are encoded for search; without a name or a budget, show it.
    Quantize(QuantizeArgs),
    /// Copy an index, as it is now, into another folder; only what is not there yet.
    Backup(BackupArgs),
    /// Make an index from a backup.
    Restore(RestoreArgs),
    /// Keep the present state under a name, list such states, or drop one.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Save what can be read of a damaged index into a new one; lists what is lost.
    Salvage(SalvageArgs),
    /// Look into the log.
    #[command(subcommand)]
    Wal(WalCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalCommand {
    /// Show everything in the log, damaged or not; changes nothing.
    Dump(IndexArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Keep the present state.
    Create(CheckpointArgs),
    /// Show the names.
    List(IndexArgs),
    /// Forget one.
    Drop(CheckpointArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where to put the index (a fresh folder for temporary files unless given).
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Folder of the new index.
    pub(crate) index: PathBuf,
    /// Components per vector.
    #[arg(long, value_name = "N")]
    pub(crate) dim: u32,
    /// How distance is measured.
    #[arg(long, default_value = "cosine", value_parser = metric_parser())]
    pub(crate) metric: Metric,
    /// Precision in which vectors are stored.
    #[arg(long, default_value = "f32", value_parser = element_parser())]
    pub(crate) element: ElementKind,
    /// How many shards rows are spread over.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) shards: u16,
    /// Metadata field with an index of its own, e.g. `section:keyword` (kinds: keyword, number, bool); repeatable.
    #[arg(long = "index-field", value_name = "PATH:KIND", value_parser = parse_field)]
    pub(crate) index_fields: Vec<IndexedField>,
    /// When a write counts as done: `sync`, `none` or `interval:MS`.
    #[arg(long, default_value = "sync", value_parser = parse_durability)]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) encoding: Encoding,
}

/// How a new index encodes vectors for search.
#[derive(Debug, Args)]
pub(crate) struct Encoding {
    /// How vectors are encoded for search: auto, sq8, sq4, or rabitq-1 to rabitq-8 [default: auto].
    #[arg(long, value_name = "NAME", value_parser = parse_quantization)]
    pub(crate) quantization: Option<Quantization>,
    /// How much memory codes and graphs may take, e.g. 24MiB; auto chooses codes that fit.
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) memory_budget: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct QuantizeArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// How vectors are to be encoded: auto, sq8, sq4, or rabitq-1 to rabitq-8.
    #[arg(value_name = "NAME", value_parser = parse_quantization)]
    pub(crate) quantization: Option<Quantization>,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// How much memory there is.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct Budget {
    /// How much memory codes and graphs may take, e.g. 24MiB; auto chooses codes that fit.
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) memory_budget: Option<u64>,
    /// As much memory as they like.
    #[arg(long)]
    pub(crate) no_memory_budget: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Vectors: .npy (f32 or f16), .fvecs, .jsonl or .jsonl.gz.
    pub(crate) file: PathBuf,
    /// Folder of the index; made with the file's dimension and precision if it is missing.
    #[arg(long, value_name = "INDEX")]
    pub(crate) into: PathBuf,
    /// Metadata: .jsonl or .jsonl.gz, one object per row in row order.
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
    /// How a new index measures distance [default: cosine].
    #[arg(long, value_parser = metric_parser())]
    pub(crate) metric: Option<Metric>,
    /// Take ids from this metadata field instead of row numbers.
    #[arg(long, value_name = "FIELD")]
    pub(crate) ids_from: Option<String>,
    /// Metadata field that a new index indexes, e.g. `section:keyword`; repeatable.
    #[arg(long = "index-field", value_name = "PATH:KIND", value_parser = parse_field)]
    pub(crate) index_fields: Vec<IndexedField>,
    /// Write through the log, so many rows at a time; otherwise rows are loaded past it, a million at a time. Either is
    /// all or nothing.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// Pass over rows that are in the index already with the same vector.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) encoding: Encoding,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) question: Question,
    /// How many neighbours to return.
    #[arg(short, long = "top-k", value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    /// Only items whose metadata satisfies this, e.g. '{"year": {"$gte": 2020}}'.
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Compare with every item.
    #[arg(long, conflicts_with_all = ["ef", "recall"])]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Ask the index as it was when this checkpoint was made.
    #[arg(long, value_name = "NAME")]
    pub(crate) at: Option<String>,
    /// Also return the vectors of the hits.
    #[arg(long)]
    pub(crate) with_vectors: bool,
}

/// How hard to look.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Effort {
    /// Width of the candidate pool: larger finds more and takes longer.
    #[arg(long, value_name = "N")]
    pub(crate) ef: Option<usize>,
    /// Share of the true neighbours to find, from 0.5 to 1; the index knows what that takes.
    #[arg(long, value_name = "SHARE")]
    pub(crate) recall: Option<f32>,
}

/// What `measure-recall` asks.
#[derive(Debug, Args)]
pub(crate) struct MeasureRecallArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// File of query vectors (.npy, .fvecs or .jsonl), the kind that is really asked.
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// How many random items are asked for their neighbours; 200 if there is no file.
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<usize>,
    /// Decides which random items.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many neighbours to ask for.
    #[arg(short, long = "top-k", value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    #[command(flatten)]
    pub(crate) effort: Effort,
}

/// What is looked for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Question {
    /// A row of a file, as `@FILE.npy[ROW]`, or a JSON array of numbers.
    #[arg(long, value_name = "VECTOR", allow_hyphen_values = true)]
    pub(crate) vector: Option<String>,
    /// Every row of this file (.npy, .fvecs, .jsonl, .jsonl.gz), all at once; with --json a line for each.
    #[arg(long, value_name = "FILE")]
    pub(crate) vectors: Option<PathBuf>,
    /// What lies near this item, itself left out.
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    pub(crate) like: Option<ItemId>,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// Digits name a number, the hyphenated form a UUID, anything else a string.
    #[arg(value_parser = parse_id)]
    pub(crate) id: ItemId,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// Digits name a number, the hyphenated form a UUID, anything else a string.
    #[arg(required = true, value_parser = parse_id)]
    pub(crate) ids: Vec<ItemId>,
}

#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// Read every byte and look at every row, code and link.
    #[arg(long)]
    pub(crate) deep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// Folder of the backup: new, empty, or with an earlier backup of the same index.
    pub(crate) dir: PathBuf,
    /// Link part files instead of copying them, on one file system: quick, but one medium holds both.
    #[arg(long)]
    pub(crate) link: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Folder of the backup.
    pub(crate) backup: PathBuf,
    /// Folder of the new index; new or empty.
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// Folder of the index.
    pub(crate) index: PathBuf,
    /// 1 to 64 of a-z, 0-9, `_` and `-`.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct SalvageArgs {
    /// Folder of the damaged index; it is not changed.
    pub(crate) index: PathBuf,
    /// Folder of the new index; new or empty.
    #[arg(long, value_name = "NEW")]
    pub(crate) out: PathBuf,
    /// Components per vector, for when no manifest can be read.
    #[arg(long, value_name = "N")]
    pub(crate) dim: Option<u32>,
    /// How distance is measured, for when no manifest can be read.
    #[arg(long, default_value = "cosine", value_parser = metric_parser())]
    pub(crate) metric: Metric,
    /// Precision in which vectors are stored, for when no manifest can be read.
    #[arg(long, default_value = "f32", value_parser = element_parser())]
    pub(crate) element: ElementKind,
    /// How many shards there are, for when no manifest can be read.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) shards: u16,
    /// Metadata field with an index of its own, for when no manifest can be read; repeatable.
    #[arg(long = "index-field", value_name = "PATH:KIND", value_parser = parse_field)]
    pub(crate) index_fields: Vec<IndexedField>,
}

fn metric_parser() -> impl TypedValueParser<Value = Metric> {
    PossibleValuesParser::new(Metric::ALL.map(Metric::name))
        .map(|name| name.parse().expect("only names of metrics pass"))
}

fn element_parser() -> impl TypedValueParser<Value = ElementKind> {
    PossibleValuesParser::new(ElementKind::ALL.map(ElementKind::name))
        .map(|name| name.parse().expect("only names of element kinds pass"))
}

fn parse_id(text: &str) -> Result<ItemId, String> {
    ItemId::parse(text).map_err(|e| e.to_string())
}

fn parse_quantization(text: &str) -> Result<Quantization, String> {
    text.parse().map_err(|e: vectra::Error| e.to_string())
}

fn parse_field(text: &str) -> Result<IndexedField, String> {
    let (path, kind) = text.rsplit_once(':').ok_or("write PATH:KIND, e.g. section:keyword")?;
    let kind = match kind {
        "keyword" => FieldKind::Keyword,
        "number" => FieldKind::Number,
        "bool" => FieldKind::Bool,
        other => return Err(format!("`{other}` is no kind of index; there are keyword, number and bool")),
    };
    Ok(IndexedField { path: path.to_owned(), kind })
}

fn parse_durability(text: &str) -> Result<Durability, String> {
    match text {
        "sync" => Ok(Durability::Sync),
        "none" => Ok(Durability::None),
        _ => {
            let milliseconds = text.strip_prefix("interval:").and_then(|ms| ms.parse::<u64>().ok());
            let interval = milliseconds.map(|ms| Durability::Interval(Duration::from_millis(ms)));
            interval.ok_or_else(|| "write sync, none or interval:MS, e.g. interval:100".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn fields_and_durability_are_read() {
        let field = parse_field("a.b:number").expect("a field");
        assert_eq!((field.path.as_str(), field.kind), ("a.b", FieldKind::Number));
        assert!(parse_field("a").is_err());
        assert!(parse_field("a:text").expect_err("no such kind").contains("keyword"));
        assert_eq!(parse_durability("interval:5"), Ok(Durability::Interval(Duration::from_millis(5))));
        assert!(parse_durability("interval:x").is_err());
        assert!(parse_durability("always").is_err());
    }

    #[test]
    fn quantizations_are_read() {
        for known in Quantization::ALL {
            assert_eq!(parse_quantization(&known.to_string()), Ok(known));
        }
        assert!(parse_quantization("pq").expect_err("none").contains("rabitq-8"));
        let both = ["vectra", "quantize", "i", "--memory-budget", "1MiB", "--no-memory-budget"];
        assert!(Cli::try_parse_from(both).is_err());
        assert!(Cli::try_parse_from(&both[..5]).is_ok() && Cli::try_parse_from(&both[..3]).is_ok());
    }

    #[test]
    fn a_query_asks_one_thing() {
        assert!(Cli::try_parse_from(["vectra", "query", "i"]).is_err());
        assert!(Cli::try_parse_from(["vectra", "query", "i", "--like", "1", "--vector", "[1]"]).is_err());
        assert!(
            Cli::try_parse_from(["vectra", "query", "i", "--like", "1", "--exact", "--ef", "9"]).is_err()
        );
        assert!(
            Cli::try_parse_from(["vectra", "query", "i", "--like", "1", "--ef", "9", "--recall", "0.9"])
                .is_err()
        );
        assert!(Cli::try_parse_from(["vectra", "query", "i", "--vector", "[-1.5]", "-k", "3"]).is_ok());
    }
}
