use std::fmt;

use super::Version;

/// One difference between two descriptions of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The method, by its new name; `None` when it is about the contract.
    pub method: Option<String>,
    /// What has changed.
    pub change: Change,
}

impl Finding {
    /// Whether callers of the old contract are not served by the new one as they were.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        self.change.is_breaking()
    }
}

/// What was changed, and what to do about it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "`{method}`: {}", self.change),
            None => fmt::Display::fmt(&self.change, f),
        }
    }
}

/// What has changed between two descriptions of a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Change {
    /// The class has another name.
    #[error("the class was `{old}`, and requests for it find nobody: keep the name, or serve the old contract as well")]
    ClassRenamed {
        /// What it was.
        old: String,
    },
    /// Another major: the old one has to be served beside it.
    #[error("major {old} is no longer described: serve it side by side with the new one, or wait until nobody asks for it")]
    MajorChanged {
        /// What it was.
        old: Version,
    },
    /// An older version than before.
    #[error("the version was {old} already: write that one, or a later one")]
    VersionLowered {
        /// What it was.
        old: Version,
    },
    /// Something was added, and the version does not say so.
    #[error("something was added, and the version is {version} as before: raise its minor, so that callers can tell")]
    VersionNotRaised {
        /// What it is.
        version: Version,
    },
    /// Requests run one after the other, or no longer do.
    #[error("whether requests run one after the other has changed: callers may rely on their order")]
    SequenceChanged {
        /// Whether they do now.
        sequential: bool,
    },
    /// A method is gone.
    #[error("the method is gone: put it back, deprecated if need be; if it has another name now, add `alias = \"..\"` to that")]
    MethodRemoved,
    /// A method is new.
    #[error("the method is new{}", if since.is_some() { "" } else { ": `since` can say with which version it came" })]
    MethodAdded {
        /// The version that it says it came with.
        since: Option<Version>,
    },
    /// A method has another name, and answers to the old one.
    #[error("it was `{old}`, and still answers to that")]
    MethodRenamed {
        /// The old name.
        old: String,
    },
    /// A method no longer answers to a name.
    #[error("it no longer answers to `{alias}`: put the alias back")]
    AliasRemoved {
        /// The name.
        alias: String,
    },
    /// A parameter is gone: whoever gives it is rejected.
    #[error("the parameter `{name}` is gone, and whoever gives it is rejected: keep it, with a default, and ignore it")]
    ParamRemoved {
        /// Its name.
        name: String,
    },
    /// A parameter has another name.
    #[error(
        "the parameter `{old}` is `{new}` now, and whoever gives it by name is rejected: write `#[remote(name = \"{old}\")]`"
    )]
    ParamRenamed {
        /// The old name.
        old: String,
        /// The new one.
        new: String,
    },
    /// A parameter is new.
    #[error(
        "the parameter `{name}` is new{}",
        if *optional { "" } else { ", and whoever does not know it is rejected: write `#[remote(default)]`, or make it an `Option`" }
    )]
    ParamAdded {
        /// Its name.
        name: String,
        /// It may be left out.
        optional: bool,
    },
    /// The parameters have another order.
    #[error(
        "the parameters have another order{}",
        if *positional { ", and callers give them by position: put new ones at the end, and keep the order of the others" } else { "" }
    )]
    ParamsReordered {
        /// Whether clients give them by position.
        positional: bool,
    },
    /// A parameter may no longer be left out.
    #[error("the parameter `{name}` may no longer be left out: give it its default back")]
    DefaultWithdrawn {
        /// Its name.
        name: String,
    },
    /// A parameter may be left out now, or is another value then.
    #[error("the parameter `{name}` has another default, or one at last")]
    DefaultChanged {
        /// Its name.
        name: String,
    },
    /// A parameter, the result, the progress or a field has another type.
    #[error(
        "{what} is `{new}` and was `{old}`{}",
        if *fits { ", which does no harm" } else { ": keep the type, or give what is new another name" }
    )]
    Retyped {
        /// What has it.
        what: String,
        /// The old type.
        old: String,
        /// The new one.
        new: String,
        /// Whether what was understood by the other side still is.
        fits: bool,
    },
    /// A type has its name still, and another form.
    #[error(
        "{what}: the form of `{ty}` has changed{}",
        if *fits { ", which does no harm" } else {
            ": what one side says the other may not understand; put back what is missing, and let what is new be left out"
        }
    )]
    Reshaped {
        /// What has it.
        what: String,
        /// The type.
        ty: String,
        /// Whether what was understood by the other side still is.
        fits: bool,
    },
    /// Clients that are written from the contract give arguments in the other form. Both are read.
    #[error("clients give the arguments in the other form now; agents read both")]
    StyleChanged,
    /// The error can be an exception that it could not be. Old callers get it raw.
    #[error("it can raise `{class}` now, which callers of the old contract get as a raw exception")]
    ExceptionAdded {
        /// The class of the exception.
        class: String,
    },
    /// The error can no longer be an exception.
    #[error("it no longer raises `{class}`: callers may wait for it in vain")]
    ExceptionRemoved {
        /// The class of the exception.
        class: String,
    },
    /// A field of an exception is gone: old callers get it raw.
    #[error("`{class}` has lost {field}, without which callers of the old contract cannot read it: put it back")]
    ExceptionFieldRemoved {
        /// The class of the exception.
        class: String,
        /// The field.
        field: String,
    },
    /// It no longer says that running it twice does no harm.
    #[error("it is no longer idempotent, and callers retry it: keep that it is, or give what is not another name")]
    IdempotentWithdrawn,
    /// It says that running it twice does no harm.
    #[error("it is idempotent now")]
    IdempotentAdded,
    /// Nobody is answered any more.
    #[error("it is one-way now, and callers wait for an outcome: keep it, and give the one-way form another name")]
    OnewayAdded,
    /// There is an outcome now, which old callers do not wait for.
    #[error("it is no longer one-way; callers of the old contract do not wait for its outcome")]
    OnewayWithdrawn,
    /// It no longer reports progress.
    #[error("it no longer reports progress")]
    ProgressWithdrawn,
    /// It reports progress.
    #[error("it reports progress now")]
    ProgressAdded,
    /// Clients wait or requests live for another time.
    #[error("its {what} has changed: clients of the old contract keep theirs")]
    TimeChanged {
        /// `timeout` or `ttl`.
        what: &'static str,
    },
    /// It should not be used any more.
    #[error("it is deprecated now")]
    Deprecated,
    /// A kind of event is gone, or has another key: subscribers wait in vain.
    #[error("events of the key `{key}` are gone, and subscribers wait for them in vain: keep publishing them")]
    EventRemoved {
        /// The template of its keys.
        key: String,
    },
    /// A kind of event is new. Subscribers of the old contract skip it.
    #[error("events of the key `{key}` are new; subscribers of the old contract skip them")]
    EventAdded {
        /// The template of its keys.
        key: String,
    },
    /// A field of an event is gone, or travels elsewhere.
    #[error("events of the key `{key}` have lost `{field}`, without which old subscribers cannot read them: put it back")]
    EventFieldRemoved {
        /// The template of its keys.
        key: String,
        /// The field.
        field: String,
    },
}

impl Change {
    /// Whether callers, or subscribers, of the old contract are not served by the new one as they were.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        match self {
            Change::ClassRenamed { .. }
            | Change::MajorChanged { .. }
            | Change::VersionLowered { .. }
            | Change::MethodRemoved
            | Change::AliasRemoved { .. }
            | Change::ParamRemoved { .. }
            | Change::ParamRenamed { .. }
            | Change::DefaultWithdrawn { .. }
            | Change::ExceptionFieldRemoved { .. }
            | Change::IdempotentWithdrawn
            | Change::OnewayAdded
            | Change::EventRemoved { .. }
            | Change::EventFieldRemoved { .. } => true,
            Change::SequenceChanged { sequential } => !sequential,
            Change::ParamAdded { optional, .. } => !optional,
            Change::ParamsReordered { positional } => *positional,
            Change::Retyped { fits, .. } | Change::Reshaped { fits, .. } => !fits,
            Change::VersionNotRaised { .. }
            | Change::MethodAdded { .. }
            | Change::MethodRenamed { .. }
            | Change::DefaultChanged { .. }
            | Change::StyleChanged
            | Change::ExceptionAdded { .. }
            | Change::ExceptionRemoved { .. }
            | Change::IdempotentAdded
            | Change::OnewayWithdrawn
            | Change::ProgressWithdrawn
            | Change::ProgressAdded
            | Change::TimeChanged { .. }
            | Change::Deprecated
            | Change::EventAdded { .. } => false,
        }
    }

    /// Whether it is something that callers can use and could not before.
    pub(super) fn is_addition(&self) -> bool {
        matches!(
            self,
            Change::MethodAdded { .. } | Change::ParamAdded { .. } | Change::ExceptionAdded { .. } | Change::EventAdded { .. }
        )
    }
}
