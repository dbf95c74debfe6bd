//! JSON-like values: what an item's metadata is made of.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The deepest nesting accepted anywhere.
pub const VALUE_DEPTH_MAX: usize = 64;

/// A JSON-like value. Numbers keep 64-bit integers exactly and compare by value across the three number kinds.
///
/// `Int` holds everything an `i64` can hold; `UInt` only what lies above; `Float` only finite numbers.
/// The constructors ([`Value::from`], [`Value::float`]) keep these rules.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A finite floating-point number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Array(Vec<Value>),
    /// An object; keys are unique and sorted.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// A float, if it is finite.
    pub fn float(n: f64) -> Option<Self> {
        n.is_finite().then_some(Self::Float(n))
    }

    /// An empty object.
    pub fn object() -> Self {
        Self::Object(BTreeMap::new())
    }

    /// How deep the value is nested: 1 for a scalar, 2 for an array of scalars.
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// Whether it is one of the number kinds.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::UInt(_) | Self::Float(_))
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        if let Self::Object(map) = self { map.get(key) } else { None }
    }

    /// Compares two scalars of one type (null, bool, number, text); `None` across types and for arrays and objects.
    ///
    /// Numbers compare by exact value: `2^53 + 1` as an integer is greater than `2^53` as a float.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        use Value::{Bool, Float, Int, Null, Str, UInt};
        Some(match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Bool(a), Bool(b)) => a.cmp(b),
            (Str(a), Str(b)) => a.cmp(b),
            (Int(a), Int(b)) => a.cmp(b),
            (UInt(a), UInt(b)) => a.cmp(b),
            (Int(_), UInt(_)) => Ordering::Less,
            (UInt(_), Int(_)) => Ordering::Greater,
            (Float(a), Float(b)) => a.partial_cmp(b)?,
            (Int(a), Float(b)) => compare_int_float(i128::from(*a), *b),
            (UInt(a), Float(b)) => compare_int_float(i128::from(*a), *b),
            (Float(a), Int(b)) => compare_int_float(i128::from(*b), *a).reverse(),
            (Float(a), UInt(b)) => compare_int_float(i128::from(*b), *a).reverse(),
            _ => return None,
        })
    }
}

/// Exact comparison of an integer within 65 bits with a finite float.
fn compare_int_float(int: i128, float: f64) -> Ordering {
    const LIMIT: f64 = 36_893_488_147_419_103_232.0; // 2^65
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float <= -LIMIT {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    int.cmp(&(whole as i128)).then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal))
}

/// Equality by value: numbers across kinds, arrays element by element, objects by members.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Self::Int(n.into())
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        i64::try_from(n).map_or(Self::UInt(n), Self::Int)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Str(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Str(s)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(members: [(&str, Value); N]) -> Self {
        Self::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_exact_value() {
        let two53 = 9_007_199_254_740_992_i64;
        let cases = [
            (Value::Int(1), Value::Float(1.0), Ordering::Equal),
            (Value::Int(two53 + 1), Value::Float(9_007_199_254_740_992.0), Ordering::Greater),
            (Value::Int(-1), Value::Float(-1.5), Ordering::Greater),
            (Value::Int(-2), Value::Float(-1.5), Ordering::Less),
            (Value::UInt(u64::MAX), Value::Float(1.8e19), Ordering::Greater),
            (Value::UInt(u64::MAX), Value::Float(1e300), Ordering::Less),
            (Value::Int(i64::MIN), Value::Float(-1e300), Ordering::Greater),
            (Value::Int(0), Value::Float(-0.0), Ordering::Equal),
            (Value::Int(5), Value::UInt(u64::MAX), Ordering::Less),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(&b), Some(expected), "{a:?} {b:?}");
            assert_eq!(b.compare(&a), Some(expected.reverse()), "{b:?} {a:?}");
        }
    }

    #[test]
    fn types_do_not_compare_with_each_other() {
        assert_eq!(Value::Int(1).compare(&Value::from("1")), None);
        assert_eq!(Value::Null.compare(&Value::Bool(false)), None);
        assert_ne!(Value::Null, Value::Int(0));
    }

    #[test]
    fn large_unsigned_numbers_have_one_form() {
        assert!(matches!(Value::from(5_u64), Value::Int(5)));
        assert!(matches!(Value::from(u64::MAX), Value::UInt(u64::MAX)));
        assert!(Value::float(f64::NAN).is_none());
    }

    #[test]
    fn depth_counts_nesting() {
        assert_eq!(Value::Null.depth(), 1);
        assert_eq!(Value::from(vec![Value::from([("a", Value::Null)])]).depth(), 3);
    }
}
