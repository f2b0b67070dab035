//! What stands on a command line for a value: JSON where it is JSON, and a string where it is not.

use std::time::Duration;

use rmi_core::Json;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::ending::Ending;

/// A value of the command line: `7`, `[1,2]` and `"7"` are JSON; `hello` is a string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value(pub(crate) Json);

impl std::str::FromStr for Value {
    type Err = rmi_core::json::JsonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Json::parse(text.trim()).or_else(|_| Json::encode(text)).map(Value)
    }
}

/// A named argument: `K=JSON`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    name: String,
    value: Json,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let value: Value = value.parse().map_err(|e: rmi_core::json::JsonError| e.to_string())?;
                Ok(Named { name: name.to_owned(), value: value.0 })
            }
            _ => Err("write the parameter's name, `=` and its value, as in `times=3`".to_owned()),
        }
    }
}

/// Named arguments as one object.
pub(crate) struct NamedArguments<'a>(pub(crate) &'a [Named]);

impl NamedArguments<'_> {
    /// Says which name is given twice, if one is.
    pub(crate) fn check(&self) -> Result<(), Box<Ending>> {
        for (at, named) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|other| other.name == named.name) {
                return Err(Ending::usage(format!("--kw `{}` is given twice", named.name)).try_this("one of them"));
            }
        }
        Ok(())
    }
}

impl Serialize for NamedArguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for named in self.0 {
            map.serialize_entry(&named.name, &named.value)?;
        }
        map.end()
    }
}

/// What is called: `CLASS.METHOD`. The class may have dots of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) class: String,
    pub(crate) method: String,
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('.') {
            Some((class, method)) if !class.is_empty() && !method.is_empty() => {
                Ok(Method { class: class.to_owned(), method: method.to_owned() })
            }
            _ => Err("write the class, a dot and the method, as in `Dog.bark`".to_owned()),
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.class, self.method)
    }
}

/// A time with its unit: `10s`, `250ms`, `1m30s`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("no time at all is not enough for anything".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}; write a number with its unit, as in 10s, 250ms or 1m30s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_json_and_the_rest_are_strings() {
        let cases = [
            ("7", "7"),
            ("hello", "\"hello\""),
            ("\"7\"", "\"7\""),
            ("[1, 2]", "[1, 2]"),
            ("true", "true"),
            ("", "\"\""),
            ("-1", "-1"),
            ("01", "\"01\""),
            ("{a}", "\"{a}\""),
            ("say \"hi\"", r#""say \"hi\"""#),
        ];
        for (text, json) in cases {
            assert_eq!(text.parse::<Value>().unwrap().0.as_str(), json);
        }
    }

    #[test]
    fn named_arguments_have_a_name_and_a_value() {
        let named: Vec<Named> = ["times=3", "words=a=b", "empty="].map(|text| text.parse().unwrap()).into();
        assert_eq!(serde_json::to_string(&NamedArguments(&named)).unwrap(), r#"{"times":3,"words":"a=b","empty":""}"#);
        assert!("=3".parse::<Named>().is_err() && "times".parse::<Named>().is_err());
        assert!(NamedArguments(&[named[0].clone(), named[0].clone()]).check().is_err());
    }

    #[test]
    fn a_method_is_behind_the_last_dot() {
        let method: Method = "a.b.c".parse().unwrap();
        assert_eq!((method.class.as_str(), method.method.as_str()), ("a.b", "c"));
        assert!(["bark", ".bark", "Dog."].iter().all(|text| text.parse::<Method>().is_err()));
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("1m30s"), Ok(Duration::from_secs(90)));
        assert!(time("10").is_err() && time("0s").is_err() && time("soon").is_err());
    }
}
