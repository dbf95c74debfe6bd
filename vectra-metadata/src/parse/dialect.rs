//! The top of a filter: fields and logical operators.

use serde_json::{Map, Value as Json};
use vectra_core::Filter;
use vectra_core::filter::Test;

use super::{FILTER_DEPTH_MAX, FILTER_NODES_MAX, ParseError};

/// What stands in errors where a field's path would.
pub(super) const TOP: &str = "filter";

/// Operators of the dialect that this database knows and does not offer.
const UNSUPPORTED: [&str; 26] = [
    "$all",
    "$bitsAllClear",
    "$bitsAllSet",
    "$bitsAnyClear",
    "$bitsAnySet",
    "$box",
    "$center",
    "$centerSphere",
    "$comment",
    "$elemMatch",
    "$expr",
    "$geoIntersects",
    "$geoWithin",
    "$jsonSchema",
    "$maxDistance",
    "$minDistance",
    "$mod",
    "$near",
    "$nearSphere",
    "$options",
    "$polygon",
    "$regex",
    "$size",
    "$text",
    "$type",
    "$where",
];

/// Operators that stand at a field.
const AT_FIELD: [&str; 10] = ["$eq", "$exists", "$gt", "$gte", "$in", "$lt", "$lte", "$ne", "$nin", "$not"];

/// A filter from the Mongo-style dialect.
///
/// Fields with a value or with `$eq $ne $gt $gte $lt $lte $in $nin $exists $not`, joined by `$and $or $nor`; members
/// of one object must all hold and `{}` matches everything. `$ne`, `$nin` and `$nor` become negations.
///
/// Beyond the dialect's own rules these are errors too: `$`-keys inside plain values, and ordering comparisons with
/// arrays or objects. [`ParseError`] names operator and path.
pub fn mongo(json: &Json) -> Result<Filter, ParseError> {
    Parser { nodes: 0 }.filter(json, TOP, FILTER_DEPTH_MAX)
}

/// Counts what it has made.
pub(super) struct Parser {
    nodes: usize,
}

impl Parser {
    /// One more node.
    pub(super) fn node(&mut self, filter: Filter) -> Result<Filter, ParseError> {
        self.nodes += 1;
        if self.nodes > FILTER_NODES_MAX {
            return Err(ParseError::TooManyNodes { max: FILTER_NODES_MAX });
        }
        Ok(filter)
    }

    /// A test on a field.
    pub(super) fn field(&mut self, path: &str, test: Test) -> Result<Filter, ParseError> {
        self.node(Filter::field(path, test))
    }

    /// A negation.
    pub(super) fn not(&mut self, inner: Filter) -> Result<Filter, ParseError> {
        self.node(inner.not())
    }

    /// All of `parts`; one alone stands for itself.
    pub(super) fn all(&mut self, mut parts: Vec<Filter>) -> Result<Filter, ParseError> {
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                self.node(Filter::And(parts))
            }
        }
    }

    fn filter(&mut self, json: &Json, place: &str, depth_left: usize) -> Result<Filter, ParseError> {
        let Json::Object(members) = json else {
            return Err(ParseError::NotAnObject { place: place.to_owned(), found: type_name(json) });
        };
        let depth_left = deeper(depth_left)?;
        let parts = members
            .iter()
            .map(|(key, value)| self.member(key, value, depth_left))
            .collect::<Result<_, _>>()?;
        self.all(parts)
    }

    fn member(&mut self, key: &str, value: &Json, depth_left: usize) -> Result<Filter, ParseError> {
        match key {
            "$and" => {
                let parts = self.parts(key, value, depth_left)?;
                self.node(Filter::And(parts))
            }
            "$or" => {
                let parts = self.parts(key, value, depth_left)?;
                self.node(Filter::Or(parts))
            }
            "$nor" => {
                let parts = self.parts(key, value, depth_left)?;
                let any = self.node(Filter::Or(parts))?;
                self.not(any)
            }
            operator if operator.starts_with('$') => Err(not_here(operator, TOP)),
            path => {
                check_path(path)?;
                self.clauses(path, value, depth_left)
            }
        }
    }

    fn parts(&mut self, operator: &str, json: &Json, depth_left: usize) -> Result<Vec<Filter>, ParseError> {
        let Json::Array(parts) = json else {
            return Err(operand(operator, TOP, "an array of filters", json));
        };
        if parts.is_empty() {
            return Err(ParseError::Empty { operator: operator.to_owned(), path: TOP.to_owned() });
        }
        parts.iter().map(|part| self.filter(part, operator, depth_left)).collect()
    }

    /// The tests at `path`: operators, or a plain value to equal.
    fn clauses(&mut self, path: &str, value: &Json, depth_left: usize) -> Result<Filter, ParseError> {
        match operators_of(value, path)? {
            Some(operators) => self.operators(path, operators, depth_left),
            None => self.equal(path, value),
        }
    }
}

/// One level further down.
pub(super) fn deeper(depth_left: usize) -> Result<usize, ParseError> {
    depth_left.checked_sub(1).ok_or(ParseError::TooDeep { max: FILTER_DEPTH_MAX })
}

/// The object if its members are operators; an error if only some are.
pub(super) fn operators_of<'j>(
    json: &'j Json,
    path: &str,
) -> Result<Option<&'j Map<String, Json>>, ParseError> {
    let Json::Object(members) = json else { return Ok(None) };
    let Some(operator) = members.keys().find(|key| key.starts_with('$')) else { return Ok(None) };
    if members.keys().all(|key| key.starts_with('$')) {
        return Ok(Some(members));
    }
    Err(ParseError::Mixed { operator: operator.clone(), path: path.to_owned() })
}

/// The error for an operator that cannot stand at `path`.
pub(super) fn not_here(operator: &str, path: &str) -> ParseError {
    let (operator, path) = (operator.to_owned(), path.to_owned());
    if UNSUPPORTED.contains(&operator.as_str()) {
        return ParseError::Unsupported { operator, path };
    }
    let reason = match operator.as_str() {
        "$and" | "$or" | "$nor" => "it joins whole filters and stands outside fields",
        known if AT_FIELD.contains(&known) => "it stands inside a field's value",
        _ => return ParseError::UnknownOperator { operator, path },
    };
    ParseError::Misplaced { operator, path, reason }
}

/// The error for an operand of the wrong type.
pub(super) fn operand(operator: &str, path: &str, expected: &'static str, found: &Json) -> ParseError {
    let (operator, path) = (operator.to_owned(), path.to_owned());
    ParseError::Operand { operator, path, expected, found: type_name(found) }
}

/// Parts between dots are not empty and do not begin with `$`.
fn check_path(path: &str) -> Result<(), ParseError> {
    let bad = path.split('.').any(|part| part.is_empty() || part.starts_with('$'));
    if bad { Err(ParseError::Path { path: path.to_owned() }) } else { Ok(()) }
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
