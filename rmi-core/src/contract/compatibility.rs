use std::fmt;

use super::{
    Change, Description, ErrorDescription, EventKindDescription, Finding, MethodDescription, ParamDescription, Style,
    TypeDescription, fits,
};

/// What has changed between two descriptions of a contract, in the order of the methods: first what is about the contract, then
/// what is about methods that were there, then what is new.
///
/// Types are compared by their JSON Schemas where both descriptions have them, else by their names: paths, and the difference
/// between a reference and what owns it, do not count.
#[must_use]
pub fn compare(old: &Description, new: &Description) -> Vec<Finding> {
    let mut findings = Findings::default();
    if old.class != new.class {
        findings.add(None, Change::ClassRenamed { old: old.class.clone() });
    }
    if old.version.major != new.version.major {
        findings.add(None, Change::MajorChanged { old: old.version });
    } else if new.version < old.version {
        findings.add(None, Change::VersionLowered { old: old.version });
    }
    if old.sequential != new.sequential {
        findings.add(None, Change::SequenceChanged { sequential: new.sequential });
    }
    let mut kept = Vec::new();
    for before in &old.methods {
        match new.method(&before.name) {
            None => findings.add(Some(&before.name), Change::MethodRemoved),
            Some(after) => {
                kept.push(after.name.as_str());
                method(before, after, &mut findings);
            }
        }
    }
    for added in new.methods.iter().filter(|method| !kept.contains(&method.name.as_str())) {
        findings.add(Some(&added.name), Change::MethodAdded { since: added.since });
    }
    events(old, new, &mut findings);
    if new.version == old.version && findings.0.iter().any(|finding| finding.change.is_addition()) {
        findings.add(None, Change::VersionNotRaised { version: new.version });
    }
    findings.0
}

/// Says no when callers of the old contract would not be served by the new one as they were.
///
/// # Errors
///
/// Some of the changes are breaking.
pub fn check_compatible(old: impl Into<Description>, new: impl Into<Description>) -> Result<(), Incompatible> {
    let (old, new) = (old.into(), new.into());
    let breaking: Vec<_> = compare(&old, &new).into_iter().filter(Finding::is_breaking).collect();
    if breaking.is_empty() {
        return Ok(());
    }
    Err(Incompatible { old: format!("{} {}", old.class, old.version), new: format!("{} {}", new.class, new.version), breaking })
}

/// Fails a test when callers of the old contract would not be served by the new one as they were.
///
/// The old one is usually a description that was written down when the contract was released (with [`Description::to_json`]),
/// because its trait is gone:
///
/// ```
/// # use rmi_core::contract::Description;
/// # #[rmi_core::remote(name = "dhcp", version = "1.1")]
/// # trait Dhcp {
/// #     async fn lookup(&self, ip: &str) -> Result<String, std::convert::Infallible>;
/// #     #[remote(since = "1.1")]
/// #     async fn release(&self, ip: &str) -> Result<(), std::convert::Infallible>;
/// # }
/// use rmi_core::{Client, contract::assert_compatible};
///
/// # let stored = r#"{"class": "dhcp", "version": "1.0", "methods": [
/// #     {"name": "lookup", "params": [{"name": "ip", "type": "&str"}], "result": {"type": "String"}}]}"#;
/// // In a test: let stored = include_str!("../contracts/dhcp-1.0.json");
/// let old: Description = stored.parse()?;
/// assert_compatible(old, DhcpClient::CONTRACT);
/// # Ok::<(), rmi_core::json::JsonError>(())
/// ```
///
/// # Panics
///
/// There is a breaking change; the message names every one, and says what to do about it.
#[track_caller]
#[allow(clippy::panic, reason = "it is an assertion")]
pub fn assert_compatible(old: impl Into<Description>, new: impl Into<Description>) {
    if let Err(incompatible) = check_compatible(old, new) {
        panic!("{incompatible}");
    }
}

/// Callers of the old contract would not be served by the new one as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incompatible {
    /// Class and version of the old contract.
    pub old: String,
    /// Class and version of the new one.
    pub new: String,
    /// Every breaking change.
    pub breaking: Vec<Finding>,
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} breaks callers of {}; undo this, or make it a new major:", self.new, self.old)?;
        self.breaking.iter().try_for_each(|finding| write!(f, "\n  * {finding}"))
    }
}

impl std::error::Error for Incompatible {}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, method: Option<&str>, change: Change) {
        self.0.push(Finding { method: method.map(str::to_owned), change });
    }

    /// `reader` understands what it is given in the one form, and is given the other.
    fn types(&mut self, method: Option<&str>, what: &str, old: &TypeDescription, new: &TypeDescription, reader: Reader) {
        let change = match (fits::names(&old.name, &new.name, reader), fits::schemas(old, new, reader)) {
            (fits::Fit::Same, None | Some(fits::Fit::Same)) => return,
            (fits::Fit::Same, Some(fit)) => {
                Change::Reshaped { what: what.to_owned(), ty: new.name.clone(), fits: fit == fits::Fit::Fits }
            }
            (fit, by_schema) => Change::Retyped {
                what: what.to_owned(),
                old: old.name.clone(),
                new: new.name.clone(),
                fits: by_schema.unwrap_or(fit) != fits::Fit::Breaks,
            },
        };
        self.add(method, change);
    }
}

/// Who reads values of a type, and so has to understand what the other writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The agent, which is of the new contract: parameters.
    New,
    /// The callers, which are of the old one: results, progress, errors, events.
    Old,
}

fn method(old: &MethodDescription, new: &MethodDescription, findings: &mut Findings) {
    let name = Some(new.name.as_str());
    if old.name != new.name {
        findings.add(name, Change::MethodRenamed { old: old.name.clone() });
    }
    for alias in old.aliases.iter().filter(|alias| !new.answers_to(alias)) {
        findings.add(name, Change::AliasRemoved { alias: alias.clone() });
    }
    params(old, new, findings);
    if old.style != new.style {
        findings.add(name, Change::StyleChanged);
    }
    match (old.oneway, new.oneway) {
        (false, true) => findings.add(name, Change::OnewayAdded),
        (true, false) => findings.add(name, Change::OnewayWithdrawn),
        _ => {
            if let (Some(old), Some(new)) = (&old.result, &new.result) {
                findings.types(name, "the result", old, new, Reader::Old);
            }
            if let (Some(old), Some(new)) = (&old.error, &new.error) {
                errors(name, old, new, findings);
            }
        }
    }
    match (&old.progress, &new.progress) {
        (Some(old), Some(new)) => findings.types(name, "the progress", old, new, Reader::Old),
        (Some(_), None) => findings.add(name, Change::ProgressWithdrawn),
        (None, Some(_)) => findings.add(name, Change::ProgressAdded),
        (None, None) => {}
    }
    match (old.idempotent, new.idempotent) {
        (true, false) => findings.add(name, Change::IdempotentWithdrawn),
        (false, true) => findings.add(name, Change::IdempotentAdded),
        _ => {}
    }
    for (what, old, new) in [("timeout", old.timeout_ms, new.timeout_ms), ("ttl", old.ttl_ms, new.ttl_ms)] {
        if old != new {
            findings.add(name, Change::TimeChanged { what });
        }
    }
    if old.deprecated.is_none() && new.deprecated.is_some() {
        findings.add(name, Change::Deprecated);
    }
}

fn params(old: &MethodDescription, new: &MethodDescription, findings: &mut Findings) {
    let name = Some(new.name.as_str());
    let find = |params: &[ParamDescription], name: &str| params.iter().position(|param| param.name == name);
    let mut places = Vec::new();
    for (place, before) in old.params.iter().enumerate() {
        // What stands in its place, and was not there before, is it under another name.
        let renamed = || {
            let after = new.params.get(place)?;
            (find(&old.params, &after.name).is_none() && old.params.len() == new.params.len()).then_some(place)
        };
        let Some(at) = find(&new.params, &before.name).or_else(renamed) else {
            findings.add(name, Change::ParamRemoved { name: before.name.clone() });
            continue;
        };
        places.push(at);
        let after = &new.params[at];
        if before.name != after.name {
            findings.add(name, Change::ParamRenamed { old: before.name.clone(), new: after.name.clone() });
        }
        findings.types(name, &format!("the parameter `{}`", after.name), &before.ty, &after.ty, Reader::New);
        if before.optional && !after.optional {
            findings.add(name, Change::DefaultWithdrawn { name: after.name.clone() });
        } else if before.optional != after.optional || before.default != after.default {
            findings.add(name, Change::DefaultChanged { name: after.name.clone() });
        }
    }
    let mut shifted = false;
    for (place, added) in new.params.iter().enumerate() {
        if !places.contains(&place) {
            findings.add(name, Change::ParamAdded { name: added.name.clone(), optional: added.optional });
            // Before one that was there it takes the other's place.
            shifted |= places.iter().any(|other| *other > place);
        }
    }
    if shifted || !places.is_sorted() {
        findings.add(name, Change::ParamsReordered { positional: old.style == Style::Positional });
    }
}

fn errors(method: Option<&str>, old: &ErrorDescription, new: &ErrorDescription, findings: &mut Findings) {
    let (Some(before), Some(after)) = (&old.variants, &new.variants) else {
        let plain = |error: &ErrorDescription| TypeDescription { name: error.name.clone(), schema: None };
        findings.types(method, "the error", &plain(old), &plain(new), Reader::Old);
        return;
    };
    for variant in before {
        let same = |other: &&super::VariantDescription| other.class == variant.class && other.module == variant.module;
        let Some(now) = after.iter().find(same) else {
            findings.add(method, Change::ExceptionRemoved { class: variant.class.clone() });
            continue;
        };
        let unnamed =
            |fields: &[super::FieldDescription]| fields.iter().filter(|f| f.name.is_none()).cloned().collect::<Vec<_>>();
        let places = unnamed(&now.fields);
        let mut place = 0;
        for field in &variant.fields {
            let found = match &field.name {
                Some(name) => now.fields.iter().find(|f| f.name.as_ref() == Some(name)),
                None => {
                    place += 1;
                    places.get(place - 1)
                }
            };
            let what =
                field.name.as_ref().map_or_else(|| format!("field {}", place.saturating_sub(1)), |name| format!("`{name}`"));
            match found {
                Some(found) => {
                    let what = format!("{what} of `{}`", variant.class);
                    findings.types(method, &what, &field.ty, &found.ty, Reader::Old);
                }
                None => findings.add(method, Change::ExceptionFieldRemoved { class: variant.class.clone(), field: what }),
            }
        }
    }
    for variant in after {
        if !before.iter().any(|other| other.class == variant.class && other.module == variant.module) {
            findings.add(method, Change::ExceptionAdded { class: variant.class.clone() });
        }
    }
}

fn events(old: &Description, new: &Description, findings: &mut Findings) {
    fn kinds(description: &Description) -> &[EventKindDescription] {
        description.events.as_ref().map_or(&[], |events| &events.kinds)
    }
    for before in kinds(old) {
        // The names of the fields in a key are nobody else's business.
        let Some(after) = kinds(new).iter().find(|kind| kind.pattern() == before.pattern()) else {
            findings.add(None, Change::EventRemoved { key: before.key.clone() });
            continue;
        };
        for field in before.fields.iter().filter(|field| field.carried.is_in_body()) {
            match after.fields.iter().find(|other| other.carried.is_in_body() && other.name == field.name) {
                Some(found) => {
                    let what = format!("`{}` of the event `{}`", field.name, before.key);
                    findings.types(None, &what, &field.ty, &found.ty, Reader::Old);
                }
                None if field.optional => {}
                None => {
                    let (key, field) = (before.key.clone(), field.name.clone());
                    findings.add(None, Change::EventFieldRemoved { key, field });
                }
            }
        }
    }
    for after in kinds(new) {
        if !kinds(old).iter().any(|kind| kind.pattern() == after.pattern()) {
            findings.add(None, Change::EventAdded { key: after.key.clone() });
        }
    }
}
