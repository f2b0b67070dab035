//! Which requests are meant, by the data that their callers gave them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    endpoint::admin::number::{compare, same},
    json::{Json, JsonError},
};

/// Which requests are meant, by the data that their callers gave them ([`Call::data`](crate::Call::data)).
///
/// Written as gofer writes it: one operator and its operand. All but `and` and `or` look at the whole data. A request without
/// data meets no criteria, `neq` included: what says nothing about itself is not meant by accident.
///
/// ```
/// use rmi_core::endpoint::Criteria;
///
/// let job = Criteria::has("job", 7)?.and(Criteria::has("user", "ann")?);
/// assert_eq!(serde_json::to_string(&job).unwrap(), r#"{"and":[{"match":{"job":7}},{"match":{"user":"ann"}}]}"#);
/// assert!(job.matches(&serde_json::json!({"job": 7, "user": "ann", "step": 3}).into()));
/// assert!(!job.matches(&serde_json::json!({"job": 7}).into()));
/// # Ok::<(), rmi_core::json::JsonError>(())
/// ```
///
/// Read from the wire, it has at most [`Criteria::MAX_DEPTH`] levels and [`Criteria::MAX_TERMS`] operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Criteria(#[serde(deserialize_with = "bounded")] Form);

/// gofer's form: an object with one key, the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Match(Map<String, Value>),
    Eq(Value),
    Neq(Value),
    In(Vec<Value>),
    Gt(Value),
    Lt(Value),
    And(Box<(Form, Form)>),
    Or(Box<(Form, Form)>),
}

impl Criteria {
    /// How deep `and` and `or` may be nested in criteria that are read.
    pub const MAX_DEPTH: usize = 16;
    /// How many operators criteria that are read may have.
    pub const MAX_TERMS: usize = 256;

    /// The data is an object that has this member with this value: `match`.
    ///
    /// # Errors
    ///
    /// The value does not serialise as JSON.
    pub fn has(key: impl Into<String>, value: impl Serialize) -> Result<Self, JsonError> {
        let value = json(value)?;
        Ok(Criteria(Form::Match(Map::from_iter([(key.into(), value)]))))
    }

    /// The data is an object that has every member of this one, with the same value; an empty one matches nothing: `match`. gofer
    /// lets a missing member count as a match; here it does not.
    ///
    /// # Errors
    ///
    /// The value does not serialise as an object.
    pub fn like(members: impl Serialize) -> Result<Self, JsonError> {
        match json(members)? {
            Value::Object(members) => Ok(Criteria(Form::Match(members))),
            _ => Err(JsonError::custom("`match` compares the members of an object")),
        }
    }

    /// The data is this value: `eq`.
    ///
    /// # Errors
    ///
    /// As [`Criteria::has`].
    pub fn eq(value: impl Serialize) -> Result<Self, JsonError> {
        Ok(Criteria(Form::Eq(json(value)?)))
    }

    /// There is data, and it is another value: `neq`.
    ///
    /// # Errors
    ///
    /// As [`Criteria::has`].
    pub fn neq(value: impl Serialize) -> Result<Self, JsonError> {
        Ok(Criteria(Form::Neq(json(value)?)))
    }

    /// The data is one of these values: `in`.
    ///
    /// # Errors
    ///
    /// As [`Criteria::has`].
    pub fn one_of<V: Serialize>(values: impl IntoIterator<Item = V>) -> Result<Self, JsonError> {
        Ok(Criteria(Form::In(values.into_iter().map(json).collect::<Result<_, _>>()?)))
    }

    /// The data is a greater number, or a later text, than this: `gt`. A number and a text are neither.
    ///
    /// # Errors
    ///
    /// As [`Criteria::has`].
    pub fn gt(value: impl Serialize) -> Result<Self, JsonError> {
        Ok(Criteria(Form::Gt(json(value)?)))
    }

    /// The data is a smaller number, or an earlier text, than this: `lt`. A number and a text are neither.
    ///
    /// # Errors
    ///
    /// As [`Criteria::has`].
    pub fn lt(value: impl Serialize) -> Result<Self, JsonError> {
        Ok(Criteria(Form::Lt(json(value)?)))
    }

    /// Both are met: `and`.
    #[must_use]
    pub fn and(self, other: Criteria) -> Self {
        Criteria(Form::And(Box::new((self.0, other.0))))
    }

    /// One of the two is met, or both: `or`.
    #[must_use]
    pub fn or(self, other: Criteria) -> Self {
        Criteria(Form::Or(Box::new((self.0, other.0))))
    }

    /// Whether this data meets the criteria.
    #[must_use]
    pub fn matches(&self, data: &Json) -> bool {
        data.decode::<Value>().is_ok_and(|data| !data.is_null() && self.0.matches(&data))
    }
}

impl Form {
    fn matches(&self, data: &Value) -> bool {
        match self {
            Form::Match(members) => {
                let has = |(key, value)| data.get(key).is_some_and(|found| same(found, value));
                !members.is_empty() && members.iter().all(has)
            }
            Form::Eq(value) => same(data, value),
            Form::Neq(value) => !same(data, value),
            Form::In(values) => values.iter().any(|value| same(data, value)),
            Form::Gt(value) => compare(data, value).is_some_and(std::cmp::Ordering::is_gt),
            Form::Lt(value) => compare(data, value).is_some_and(std::cmp::Ordering::is_lt),
            Form::And(both) => both.0.matches(data) && both.1.matches(data),
            Form::Or(both) => both.0.matches(data) || both.1.matches(data),
        }
    }

    /// How many operators there are, if they are not nested deeper than this.
    fn terms(&self, depth: usize) -> Option<usize> {
        match self {
            Form::And(both) | Form::Or(both) => {
                let depth = depth.checked_sub(1)?;
                Some(1 + both.0.terms(depth)? + both.1.terms(depth)?)
            }
            _ => Some(1),
        }
    }
}

fn json(value: impl Serialize) -> Result<Value, JsonError> {
    serde_json::to_value(value).map_err(JsonError)
}

fn bounded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Form, D::Error> {
    let form = Form::deserialize(deserializer)?;
    match form.terms(Criteria::MAX_DEPTH) {
        Some(terms) if terms <= Criteria::MAX_TERMS => Ok(form),
        _ => Err(serde::de::Error::custom(format!(
            "criteria have at most {} levels and {} operators; `in` compares with many values at once",
            Criteria::MAX_DEPTH,
            Criteria::MAX_TERMS
        ))),
    }
}
