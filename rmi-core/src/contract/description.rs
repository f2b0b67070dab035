use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Carried, Contract, Direction, ErrorVariant, EventContract, EventField, EventKind, Method, Param, Style, Type, Version,
};

/// What a contract says about itself, as data that can be written down, sent and compared.
///
/// As JSON it is an object without what there is nothing to say about; what a reader does not know it skips. Checked into a
/// repository it is what the contract of tomorrow is [compared](super::compare) with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// The wire name: the class of requests.
    pub class: String,
    /// The contract's version.
    pub version: Version,
    /// The documentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Its requests run one after the other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sequential: bool,
    /// The methods, in the order of their declaration.
    pub methods: Vec<MethodDescription>,
    /// The events that it publishes, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventDescription>,
}

/// What is said about the events of a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventDescription {
    /// Their name in Rust.
    #[serde(rename = "type")]
    pub name: String,
    /// The documentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The kinds of events, in the order of their declaration.
    pub kinds: Vec<EventKindDescription>,
}

/// What is said about one kind of event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventKindDescription {
    /// Its name in Rust, which is not on the wire.
    pub name: String,
    /// The template of its keys.
    pub key: String,
    /// The documentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The fields, in the order of their declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<EventFieldDescription>,
}

/// What is said about a field of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventFieldDescription {
    /// The name on the wire.
    pub name: String,
    /// The type.
    #[serde(flatten)]
    pub ty: TypeDescription,
    /// Where it travels.
    #[serde(default, skip_serializing_if = "is_body")]
    pub carried: Carried,
    /// It may be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

/// What is said about a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MethodDescription {
    /// The wire name.
    pub name: String,
    /// Other names that it answers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The documentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The version that it came with; `None` when it has been there from the start of its major.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Version>,
    /// It should not be used any more; the text, which may be empty, says what to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The parameters, in the order of their declaration.
    pub params: Vec<ParamDescription>,
    /// How clients that are written from the contract give the arguments. Both forms are always read.
    #[serde(default, skip_serializing_if = "is_positional")]
    pub style: Style,
    /// The type of the result; `None` for a one-way method, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TypeDescription>,
    /// What it raises; `None` for a one-way method, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDescription>,
    /// The type of the details of its progress; `None` when it reports none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<TypeDescription>,
    /// Running it twice does no harm.
    #[serde(default, skip_serializing_if = "is_false")]
    pub idempotent: bool,
    /// Nobody waits for its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oneway: bool,
    /// How long a client waits for the outcome unless the call says otherwise, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long a request may wait before it starts unless the call says otherwise, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

/// What is said about a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParamDescription {
    /// The wire name.
    pub name: String,
    /// The type.
    #[serde(flatten)]
    pub ty: TypeDescription,
    /// A caller may leave it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// What it is then, in Rust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What is said about a type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeDescription {
    /// Its name in Rust, as the trait spells it.
    #[serde(rename = "type")]
    pub name: String,
    /// Its JSON Schema, draft 2020-12, where the agent has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// What is said about the error of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorDescription {
    /// Its name in Rust.
    #[serde(rename = "type")]
    pub name: String,
    /// The exceptions that it can be; `None` when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<VariantDescription>>,
}

/// What is said about one exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VariantDescription {
    /// The module of its class: `xmodule`.
    pub module: String,
    /// Its class: `xclass`.
    pub class: String,
    /// The documentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The fields that travel: those without a name by their place in `xargs`, the others in `xstate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDescription>,
    /// A part of it stays behind, so that it arrives as a raw exception.
    #[serde(default, skip_serializing_if = "is_false")]
    pub raw: bool,
}

/// What is said about a field of an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FieldDescription {
    /// The name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type.
    #[serde(flatten)]
    pub ty: TypeDescription,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_body(carried: &Carried) -> bool {
    *carried == Carried::Body
}

fn is_positional(style: &Style) -> bool {
    *style == Style::Positional
}

impl Contract {
    /// Everything that the contract says, as data.
    #[must_use]
    pub fn describe(&self) -> Description {
        Description {
            class: self.name.to_owned(),
            version: self.version,
            docs: self.docs.to_owned(),
            sequential: self.sequential,
            methods: self.methods.iter().map(|method| method.describe(self.name)).collect(),
            events: self.events.map(EventContract::describe),
        }
    }
}

impl Method {
    fn describe(&self, contract: &str) -> MethodDescription {
        let variants = |error: &Type| ErrorDescription {
            name: error.name().into_owned(),
            variants: self.errors.variants.map(|variants| variants.iter().map(|v| v.describe(contract)).collect()),
        };
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        MethodDescription {
            name: self.name.to_owned(),
            aliases: self.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            docs: self.docs.to_owned(),
            since: self.since,
            deprecated: self.deprecated.map(str::to_owned),
            params: self.params.iter().map(Param::describe).collect(),
            style: self.style,
            result: self.result.as_ref().map(Type::describe),
            error: self.error.as_ref().map(variants),
            progress: self.progress.as_ref().map(Type::describe),
            idempotent: self.idempotent,
            oneway: self.oneway,
            timeout_ms: self.timeout.map(millis),
            ttl_ms: self.ttl.map(millis),
        }
    }
}

impl Param {
    fn describe(&self) -> ParamDescription {
        ParamDescription {
            name: self.name.to_owned(),
            ty: TypeDescription { name: self.ty.to_owned(), schema: self.schema() },
            optional: self.is_optional(),
            default: self.default.then(|| self.default_value.to_owned()),
        }
    }
}

impl Type {
    fn describe(&self) -> TypeDescription {
        TypeDescription { name: self.name().into_owned(), schema: self.schema(Direction::Written) }
    }
}

impl ErrorVariant {
    fn describe(&self, contract: &str) -> VariantDescription {
        let field = |field: &super::ErrorField| FieldDescription { name: field.name.map(str::to_owned), ty: field.ty.describe() };
        VariantDescription {
            module: self.module.map_or_else(|| format!("rmi.{contract}"), str::to_owned),
            class: self.class.to_owned(),
            docs: self.docs.to_owned(),
            fields: self.fields.iter().map(field).collect(),
            raw: !self.rebuilt,
        }
    }
}

impl EventContract {
    fn describe(&self) -> EventDescription {
        let field = |field: &EventField| EventFieldDescription {
            name: field.name.to_owned(),
            ty: TypeDescription { name: field.ty.to_owned(), schema: field.schema() },
            carried: field.carried,
            optional: field.default,
        };
        let kind = |kind: &EventKind| EventKindDescription {
            name: kind.name.to_owned(),
            key: kind.key.to_owned(),
            docs: kind.docs.to_owned(),
            fields: kind.fields.iter().map(field).collect(),
        };
        let kinds = self.kinds.iter().map(kind).collect();
        EventDescription { name: self.name.to_owned(), docs: self.docs.to_owned(), kinds }
    }
}

impl EventKindDescription {
    /// The pattern of all its keys: the template with `*` for its fields.
    #[must_use]
    pub fn pattern(&self) -> String {
        super::events::pattern(&self.key)
    }
}

impl Description {
    /// The method that answers to a wire name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.answers_to(name))
    }

    /// As indented JSON with a line break at its end, to be kept in a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Its keys are texts and its values are JSON: it can be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl MethodDescription {
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl From<&Contract> for Description {
    fn from(contract: &Contract) -> Self {
        contract.describe()
    }
}

impl From<&Description> for Description {
    fn from(description: &Description) -> Self {
        description.clone()
    }
}

/// Reads what [`Description::to_json`] wrote.
impl FromStr for Description {
    type Err = crate::json::JsonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::json::Json::parse(text)?.decode()
    }
}
