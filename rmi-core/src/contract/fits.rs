//! Whether what one side writes is understood by the other.

use serde_json::{Map, Value};

use super::{TypeDescription, compatibility::Reader, types::without_paths};

/// How a type stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Same,
    Fits,
    Breaks,
}

/// By the names of the types.
pub(super) fn names(old: &str, new: &str, reader: Reader) -> Fit {
    let (old, new) = (canonical(old), canonical(new));
    if old == new {
        return Fit::Same;
    }
    let (reads, written) = match reader {
        Reader::New => (new, old),
        Reader::Old => (old, new),
    };
    let inner = reads.strip_prefix("Option<").and_then(|inner| inner.strip_suffix('>'));
    let wider = inner.is_some_and(|inner| inner == written || contains(inner, &written));
    if wider || contains(&reads, &written) { Fit::Fits } else { Fit::Breaks }
}

/// A type as a value has it: what it is lent as, and where it is defined, do not count.
fn canonical(name: &str) -> String {
    fn lent(name: &str) -> &str {
        name.trim_start_matches('&').trim_start_matches("'static ")
    }
    let name = without_paths(lent(name));
    let is_array = name.contains(';');
    let (mut element, mut slices) = (name.as_str(), 0);
    while let Some(inner) = element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && !is_array
    {
        (element, slices) = (lent(inner), slices + 1);
    }
    let element = if element == "str" { "String" } else { element };
    format!("{}{element}{}", "Vec<".repeat(slices), ">".repeat(slices))
}

/// Whether every whole number of one type is one of another.
fn contains(wide: &str, narrow: &str) -> bool {
    let bits = |name: &str| {
        let (signed, bits) =
            name.strip_prefix('i').map(|bits| (true, bits)).or_else(|| Some((false, name.strip_prefix('u')?)))?;
        Some((signed, bits.parse::<u16>().ok()?))
    };
    match (bits(wide), bits(narrow)) {
        (Some((true, wide)), Some((false, narrow))) => wide > narrow,
        (Some((one, wide)), Some((other, narrow))) => one == other && wide >= narrow,
        _ => false,
    }
}

/// By their schemas; `None` unless both have one.
pub(super) fn schemas(old: &TypeDescription, new: &TypeDescription, reader: Reader) -> Option<Fit> {
    let (old, new) = (old.schema.as_ref()?, new.schema.as_ref()?);
    let same = Accepts::new(old, new).everything() && Accepts::new(new, old).everything();
    let (reads, written) = match reader {
        Reader::New => (new, old),
        Reader::Old => (old, new),
    };
    Some(if same && shape(old) == shape(new) {
        Fit::Same
    } else if Accepts::new(reads, written).everything() {
        Fit::Fits
    } else {
        Fit::Breaks
    })
}

/// What does not say which values are good.
const ANNOTATIONS: [&str; 10] =
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format", "$comment", "$defs"];

/// A schema without its annotations; names of properties are none.
fn shape(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key == "$defs" || !ANNOTATIONS.contains(&key.as_str()))
            .map(|(key, value)| {
                let value = match value {
                    Value::Object(named) if key == "properties" || key == "$defs" => {
                        named.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
                    }
                    other => shape(other),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        other => other.clone(),
    }
}

/// Whether one schema accepts everything that another does. What it does not know it takes to differ.
struct Accepts<'a> {
    wide: &'a Value,
    narrow: &'a Value,
    /// Pairs that were reached by a reference and hold if all that is being compared does: where types contain themselves.
    assumed: Vec<(&'a Value, &'a Value)>,
    depth: u32,
    steps: u32,
}

/// How deep schemas are followed. A description may come from a peer, and what it refers to in circles is as deep as it likes.
const DEEPEST: u32 = 128;
/// How many pairs are compared at most.
const LONGEST: u32 = 20_000;

impl<'a> Accepts<'a> {
    fn new(wide: &'a Value, narrow: &'a Value) -> Self {
        Accepts { wide, narrow, assumed: Vec::new(), depth: 0, steps: 0 }
    }

    fn everything(mut self) -> bool {
        self.schema(self.wide, self.narrow)
    }

    fn schema(&mut self, wide: &'a Value, narrow: &'a Value) -> bool {
        if self.depth == DEEPEST || self.steps == LONGEST {
            return false;
        }
        let referred = reference(wide).or(reference(narrow)).is_some();
        let (wide, narrow) = (resolve(self.wide, wide), resolve(self.narrow, narrow));
        let assumed = self.assumed.len();
        if referred {
            if self.assumed.iter().any(|(a, b)| std::ptr::eq(*a, wide) && std::ptr::eq(*b, narrow)) {
                return true;
            }
            self.assumed.push((wide, narrow));
        }
        (self.depth, self.steps) = (self.depth + 1, self.steps + 1);
        let accepted = self.resolved(wide, narrow);
        self.depth -= 1;
        if !accepted {
            // What it rested on may not hold either.
            self.assumed.truncate(assumed);
        }
        accepted
    }

    fn resolved(&mut self, wide: &'a Value, narrow: &'a Value) -> bool {
        let (wide, narrow) = match (wide, narrow) {
            (Value::Bool(true), _) | (_, Value::Bool(false)) => return true,
            (Value::Object(wide), Value::Object(narrow)) => (wide, narrow),
            (Value::Object(wide), _) => return wide.keys().all(|key| ANNOTATIONS.contains(&key.as_str())),
            _ => return false,
        };
        // Each alternative on its own.
        if let Some(alternatives) = alternatives(narrow) {
            return self.rest(wide, narrow) && alternatives.iter().all(|narrow| self.any(wide, narrow));
        }
        if let Some(alternatives) = alternatives(wide) {
            return alternatives.iter().any(|wide| self.attempt(wide, narrow));
        }
        self.demands(wide, narrow)
    }

    fn any(&mut self, wide: &'a Map<String, Value>, narrow: &'a Value) -> bool {
        match alternatives(wide) {
            Some(wide) => wide.iter().any(|wide| self.schema(wide, narrow)),
            None => match resolve(self.narrow, narrow) {
                Value::Object(narrow) => self.demands(wide, narrow),
                _ => false,
            },
        }
    }

    fn attempt(&mut self, wide: &'a Value, narrow: &'a Map<String, Value>) -> bool {
        match resolve(self.wide, wide) {
            Value::Bool(accepts) => *accepts,
            Value::Object(wide) => self.demands(wide, narrow),
            _ => false,
        }
    }

    /// Beside its alternatives the narrow schema says nothing that would need to be looked at.
    fn rest(&self, wide: &Map<String, Value>, narrow: &Map<String, Value>) -> bool {
        let beside = |object: &Map<String, Value>| {
            object.keys().any(|key| !ANNOTATIONS.contains(&key.as_str()) && !ALTERNATIVES.contains(&key.as_str()))
        };
        !beside(narrow) || shape(&Value::Object(wide.clone())) == shape(&Value::Object(narrow.clone()))
    }

    fn demands(&mut self, wide: &'a Map<String, Value>, narrow: &'a Map<String, Value>) -> bool {
        knows(wide, narrow) && wide.iter().all(|(keyword, demand)| self.keyword(keyword, demand, narrow))
    }

    fn keyword(&mut self, keyword: &str, demand: &'a Value, narrow: &'a Map<String, Value>) -> bool {
        let given = narrow.get(keyword);
        match (keyword, demand) {
            (keyword, _) if ANNOTATIONS.contains(&keyword) => true,
            ("type", demand) => narrow_types(narrow).is_some_and(|given| given.iter().all(|ty| has_type(demand, ty))),
            ("enum", Value::Array(values)) => match (given, narrow.get("const")) {
                (Some(Value::Array(given)), _) => given.iter().all(|value| values.contains(value)),
                (_, Some(value)) => values.contains(value),
                _ => false,
            },
            ("const", value) => {
                given == Some(value) || narrow.get("enum").is_some_and(|all| *all == Value::from(vec![value.clone()]))
            }
            ("required", Value::Array(names)) => {
                let given = given.and_then(Value::as_array);
                names.iter().all(|name| given.is_some_and(|given| given.contains(name)))
            }
            ("properties", Value::Object(properties)) => {
                let given = given.and_then(Value::as_object);
                properties.iter().all(|(name, wide)| match given.and_then(|given| given.get(name)) {
                    Some(narrow) => self.schema(wide, narrow),
                    // A value may have one of this name all the same; nobody who writes a type of ours does.
                    None => true,
                })
            }
            // Whoever writes a type writes the properties that it names.
            ("additionalProperties", Value::Bool(false)) => true,
            ("items" | "additionalProperties", wide) => given.is_some_and(|narrow| self.schema(wide, narrow)),
            ("prefixItems", Value::Array(wide)) => given.and_then(Value::as_array).is_some_and(|narrow| {
                narrow.len() == wide.len() && wide.iter().zip(narrow).all(|(wide, narrow)| self.schema(wide, narrow))
            }),
            ("minimum" | "minItems" | "minLength", demand) => limit(demand, given, |demand, given| demand <= given),
            ("maximum" | "maxItems" | "maxLength", demand) => limit(demand, given, |demand, given| demand >= given),
            (_, demand) => given.map(shape) == Some(shape(demand)),
        }
    }
}

const ALTERNATIVES: [&str; 2] = ["anyOf", "oneOf"];

/// Whether a closed object has every property that another names.
fn knows(wide: &Map<String, Value>, narrow: &Map<String, Value>) -> bool {
    let has = |key: &String| wide.get("properties").is_some_and(|properties| properties.get(key).is_some());
    wide.get("additionalProperties") != Some(&Value::Bool(false))
        || narrow.get("properties").and_then(Value::as_object).is_none_or(|properties| properties.keys().all(has))
}

fn alternatives(schema: &Map<String, Value>) -> Option<&Vec<Value>> {
    ALTERNATIVES.iter().find_map(|key| schema.get(*key)).and_then(Value::as_array)
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

/// What a reference into the definitions of its own document refers to.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = reference(schema).and_then(|path| root.pointer(path.strip_prefix('#')?));
    target.unwrap_or(schema)
}

fn narrow_types(narrow: &Map<String, Value>) -> Option<Vec<&str>> {
    match narrow.get("type") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
        _ => {
            let of = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            match (narrow.get("const"), narrow.get("enum")) {
                (Some(value), _) => Some(vec![of(value)]),
                (None, Some(Value::Array(values))) => Some(values.iter().map(of).collect()),
                _ => None,
            }
        }
    }
}

fn has_type(demand: &Value, ty: &str) -> bool {
    let is = |demand: &Value| demand == ty || (ty == "integer" && demand == "number");
    match demand {
        Value::Array(several) => several.iter().any(is),
        one => is(one),
    }
}

fn limit(demand: &Value, given: Option<&Value>, holds: impl Fn(f64, f64) -> bool) -> bool {
    let given = given.and_then(Value::as_f64);
    demand.as_f64().zip(given).is_some_and(|(demand, given)| holds(demand, given))
}
