use std::fmt::{self, Display, Formatter, Write};

use super::{Description, ErrorDescription, MethodDescription, ParamDescription, Style, VariantDescription};

/// As a person reads it: each method with its arguments, its result, its errors, its promises and its documentation.
impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.class, self.version)?;
        if self.sequential {
            f.write_str(" (one request after the other)")?;
        }
        f.write_char('\n')?;
        indented(f, 1, &self.docs)?;
        for method in &self.methods {
            write!(f, "\n{method}")?;
        }
        if let Some(events) = &self.events {
            writeln!(f, "\n    publishes {}:", events.name)?;
            for kind in &events.kinds {
                let fields: Vec<_> = kind.fields.iter().map(|field| format!("{}: {}", field.name, field.ty.name)).collect();
                let docs = kind.docs.lines().next().map(|first| format!(": {first}")).unwrap_or_default();
                indented(f, 2, &format!("{}({}){docs}", kind.key, fields.join(", ")))?;
            }
        }
        Ok(())
    }
}

impl Display for MethodDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "    {}(", self.name)?;
        for (index, param) in self.params.iter().enumerate() {
            write!(f, "{}{param}", if index == 0 { "" } else { ", " })?;
        }
        f.write_char(')')?;
        match &self.result {
            Some(result) => writeln!(f, " -> {}", result.name)?,
            None => f.write_char('\n')?,
        }
        indented(f, 2, &self.docs)?;
        for promise in promises(self) {
            indented(f, 2, &promise)?;
        }
        if let Some(ErrorDescription { name, variants: Some(variants) }) = &self.error
            && !variants.is_empty()
        {
            indented(f, 2, &format!("raises {name}:"))?;
            for variant in variants {
                indented(f, 3, &variant.to_string())?;
            }
        }
        Ok(())
    }
}

fn promises(method: &MethodDescription) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(note) = &method.deprecated {
        lines.push(if note.is_empty() { "deprecated".to_owned() } else { format!("deprecated: {note}") });
    }
    if !method.aliases.is_empty() {
        lines.push(format!("also called {}", method.aliases.join(", ")));
    }
    let mut said = Vec::new();
    said.extend(method.since.map(|since| format!("since {since}")));
    said.extend(method.oneway.then(|| "one-way: nobody waits for its end".to_owned()));
    said.extend(method.idempotent.then(|| "idempotent".to_owned()));
    said.extend((method.style == Style::Named).then(|| "arguments by name".to_owned()));
    said.extend(method.timeout_ms.map(|millis| format!("timeout {}", Time(millis))));
    said.extend(method.ttl_ms.map(|millis| format!("ttl {}", Time(millis))));
    said.extend(method.progress.as_ref().map(|progress| format!("reports progress ({})", progress.name)));
    said.extend(method.error.as_ref().filter(|e| e.variants.is_none()).map(|error| format!("raises {}", error.name)));
    if !said.is_empty() {
        lines.push(said.join("; "));
    }
    lines
}

impl Display for ParamDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty.name)?;
        match &self.default {
            Some(default) => write!(f, " = {default}"),
            None => Ok(()),
        }
    }
}

impl Display for VariantDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.module.starts_with("rmi.") {
            write!(f, "{}.", self.module)?;
        }
        f.write_str(&self.class)?;
        if !self.fields.is_empty() {
            let field = |field: &super::FieldDescription| match &field.name {
                Some(name) => format!("{name}: {}", field.ty.name),
                None => field.ty.name.clone(),
            };
            let fields: Vec<_> = self.fields.iter().map(field).collect();
            write!(f, "({})", fields.join(", "))?;
        }
        match self.docs.lines().next() {
            Some(first) => write!(f, ": {first}"),
            None => Ok(()),
        }
    }
}

/// Milliseconds in the largest unit that divides them.
struct Time(u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let (unit, name) = units.into_iter().find(|(unit, _)| self.0.is_multiple_of(*unit)).unwrap_or((1, "ms"));
        write!(f, "{}{name}", self.0 / unit)
    }
}

fn indented(f: &mut Formatter<'_>, depth: usize, text: &str) -> fmt::Result {
    for line in text.lines() {
        if line.is_empty() { f.write_char('\n')? } else { writeln!(f, "{:1$}{line}", "", 4 * depth)? }
    }
    Ok(())
}
