//! The grammar of `#[remote(..)]`: what is written where.

use proc_macro2::Ident;

/// Where options are written, and which ones.
pub(crate) struct Level {
    /// "a method"
    pub(super) on: &'static str,
    options: &'static [Form],
}

/// An option, and how it is written.
struct Form {
    key: &'static str,
    written: &'static str,
}

const fn form(key: &'static str, written: &'static str) -> Form {
    Form { key, written }
}

/// `#[remote(..)]` on a trait.
pub(crate) static TRAIT: Level = Level {
    on: "a trait",
    options: &[
        form("name", "name = \"..\""),
        form("version", "version = \"1.0\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("params", "params = named"),
        form("sequential", "sequential"),
        form("events", "events = Type"),
        form("crate", "crate = \"path\""),
        form("client", "client = false"),
        form("server", "server = false"),
    ],
};

/// `#[remote(..)]` on an implementation.
pub(crate) static IMPLEMENTATION: Level = Level {
    on: "an implementation",
    options: &[
        form("new", "new = path"),
        form("per_call", "per_call"),
        form("server", "server = path"),
        form("crate", "crate = \"path\""),
    ],
};

/// `#[remote(..)]` on a method.
pub(crate) static METHOD: Level = Level {
    on: "a method",
    options: &[
        form("name", "name = \"..\""),
        form("alias", "alias = \"..\""),
        form("timeout", "timeout = \"30s\""),
        form("ttl", "ttl = \"5s\""),
        form("idempotent", "idempotent"),
        form("oneway", "oneway"),
        form("inline", "inline"),
        form("params", "params = named"),
        form("since", "since = \"1.1\""),
    ],
};

/// `#[remote(..)]` on an argument.
pub(crate) static ARGUMENT: Level = Level {
    on: "an argument",
    options: &[
        form("name", "name = \"..\""),
        form("default", "default"),
        form("default", "default = expr"),
        form("context", "context"),
    ],
};

/// `#[remote(..)]` on an enum that derives `RemoteError`.
pub(crate) static ENUM: Level = Level {
    on: "an error enum",
    options: &[
        form("name", "name = \"..\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("crate", "crate = \"path\""),
    ],
};

/// `#[remote(..)]` on a struct that derives `RemoteError`.
pub(crate) static STRUCT: Level = Level {
    on: "an error struct",
    options: &[
        form("name", "name = \"..\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("class", "class = \"ValueError\""),
        form("module", "module = \"builtins\""),
        form("skip", "skip"),
        form("crate", "crate = \"path\""),
    ],
};

/// `#[remote(..)]` on a variant.
pub(crate) static VARIANT: Level = Level {
    on: "a variant",
    options: &[
        form("name", "name = \"..\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("class", "class = \"ValueError\""),
        form("module", "module = \"builtins\""),
        form("skip", "skip"),
    ],
};

/// `#[remote(..)]` on a field.
pub(crate) static FIELD: Level = Level { on: "a field", options: &[form("name", "name = \"..\""), form("skip", "skip")] };

/// `#[remote(..)]` on an enum that derives `RemoteEvent`.
pub(crate) static EVENT_ENUM: Level = Level {
    on: "an event enum",
    options: &[
        form("name", "name = \"..\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("crate", "crate = \"path\""),
    ],
};

/// `#[remote(..)]` on a struct that derives `RemoteEvent`.
pub(crate) static EVENT_STRUCT: Level = Level {
    on: "an event struct",
    options: &[
        form("key", "key = \"dog.barked.{name}\""),
        form("name", "name = \"..\""),
        form("rename_all", "rename_all = \"camelCase\""),
        form("crate", "crate = \"path\""),
    ],
};

/// `#[remote(..)]` on a variant of an event.
pub(crate) static EVENT_VARIANT: Level = Level {
    on: "a variant of an event",
    options: &[form("key", "key = \"dog.barked.{name}\""), form("rename_all", "rename_all = \"camelCase\"")],
};

/// `#[remote(..)]` on a field of an event.
pub(crate) static EVENT_FIELD: Level = Level {
    on: "a field of an event",
    options: &[form("name", "name = \"..\""), form("body", "body"), form("default", "default")],
};

impl Level {
    /// Every option, by its key.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().map(|option| option.key)
    }

    /// How an option is written.
    pub(super) fn written(&self, key: &str) -> &'static str {
        self.options.iter().rfind(|o| o.key == key).map_or("", |o| o.written)
    }

    /// Every option as it is written.
    pub(super) fn list(&self) -> String {
        let forms: Vec<_> = self.options.iter().map(|o| format!("`{}`", o.written)).collect();
        forms.join(", ")
    }

    /// Whether there is such an option here.
    fn has(&self, key: &Ident) -> bool {
        self.options.iter().any(|o| key == o.key)
    }

    /// Where else the same macro has such an option.
    pub(super) fn elsewhere(&self, key: &Ident) -> Option<&'static Level> {
        let families: [&[&'static Level]; 3] = [
            &[&TRAIT, &METHOD, &ARGUMENT, &IMPLEMENTATION],
            &[&VARIANT, &FIELD, &STRUCT, &ENUM],
            &[&EVENT_VARIANT, &EVENT_FIELD, &EVENT_STRUCT, &EVENT_ENUM],
        ];
        let family = families.into_iter().find(|levels| levels.iter().any(|level| std::ptr::eq(*level, self)))?;
        family.iter().find(|level| level.has(key)).copied()
    }
}
