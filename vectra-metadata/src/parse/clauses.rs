//! The inside of a field: its operators.

use serde_json::{Map, Value as Json};
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};

use super::dialect::{Parser, deeper, not_here, operand, operators_of};
use super::{IN_LIST_MAX, ParseError};
use crate::json::value_from_json;

impl Parser {
    /// All of `operators` at `path`.
    pub(super) fn operators(
        &mut self,
        path: &str,
        operators: &Map<String, Json>,
        depth_left: usize,
    ) -> Result<Filter, ParseError> {
        let depth_left = deeper(depth_left)?;
        let parts = operators
            .iter()
            .map(|(operator, json)| self.operator(path, operator, json, depth_left))
            .collect::<Result<_, _>>()?;
        self.all(parts)
    }

    fn operator(
        &mut self,
        path: &str,
        operator: &str,
        json: &Json,
        depth_left: usize,
    ) -> Result<Filter, ParseError> {
        match operator {
            "$eq" => self.equal(path, json),
            "$ne" => {
                let equal = self.equal(path, json)?;
                self.not(equal)
            }
            "$gt" => self.field(path, Test::Gt(scalar(json, operator, path)?)),
            "$gte" => self.field(path, Test::Gte(scalar(json, operator, path)?)),
            "$lt" => self.field(path, Test::Lt(scalar(json, operator, path)?)),
            "$lte" => self.field(path, Test::Lte(scalar(json, operator, path)?)),
            "$in" => self.field(path, Test::In(list(json, operator, path)?)),
            "$nin" => {
                let among = self.field(path, Test::In(list(json, operator, path)?))?;
                self.not(among)
            }
            "$exists" => self.field(path, Test::Exists(truth(json, operator, path)?)),
            "$not" => {
                let Some(operators) = operators_of(json, path)? else {
                    return Err(bad_negation(json, path));
                };
                let inner = self.operators(path, operators, depth_left)?;
                self.not(inner)
            }
            other => Err(not_here(other, path)),
        }
    }

    /// Equal to `json`.
    pub(super) fn equal(&mut self, path: &str, json: &Json) -> Result<Filter, ParseError> {
        self.field(path, Test::Eq(plain(json, path)?))
    }
}

fn bad_negation(json: &Json, path: &str) -> ParseError {
    match json {
        Json::Object(members) if members.is_empty() => {
            ParseError::Empty { operator: "$not".to_owned(), path: path.to_owned() }
        }
        other => operand("$not", path, "an object of operators", other),
    }
}

/// A value without `$`-keys anywhere inside.
fn plain(json: &Json, path: &str) -> Result<Value, ParseError> {
    let value = value_from_json(json.clone())?;
    match dollar_key(&value) {
        Some(key) => Err(ParseError::Mixed { operator: key.to_owned(), path: path.to_owned() }),
        None => Ok(value),
    }
}

fn dollar_key(value: &Value) -> Option<&str> {
    match value {
        Value::Array(items) => items.iter().find_map(dollar_key),
        Value::Object(map) => map
            .iter()
            .find_map(|(key, item)| if key.starts_with('$') { Some(key.as_str()) } else { dollar_key(item) }),
        _ => None,
    }
}

/// What can be ordered: anything but arrays and objects.
fn scalar(json: &Json, operator: &str, path: &str) -> Result<Value, ParseError> {
    match json {
        Json::Array(_) | Json::Object(_) => {
            Err(operand(operator, path, "a number, string, boolean or null", json))
        }
        _ => value_from_json(json.clone()),
    }
}

fn list(json: &Json, operator: &str, path: &str) -> Result<Vec<Value>, ParseError> {
    let Json::Array(items) = json else {
        return Err(operand(operator, path, "an array of values", json));
    };
    if items.len() > IN_LIST_MAX {
        let (operator, path) = (operator.to_owned(), path.to_owned());
        return Err(ParseError::ListTooLong { operator, path, len: items.len(), max: IN_LIST_MAX });
    }
    items.iter().map(|item| plain(item, path)).collect()
}

/// A boolean; numbers count as the dialect counts them: zero is false.
fn truth(json: &Json, operator: &str, path: &str) -> Result<bool, ParseError> {
    match json {
        Json::Bool(b) => Ok(*b),
        Json::Number(n) => Ok(n.as_f64() != Some(0.0)),
        _ => Err(operand(operator, path, "a boolean", json)),
    }
}
