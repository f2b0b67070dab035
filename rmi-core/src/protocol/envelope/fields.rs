//! The envelope as it is parsed: flat structs of what may be there, borrowed from the text, in one pass.
//!
//! Every value that is not itself taken apart here stays raw, so that no form that a peer gives it can fail the parse: only
//! text that is not JSON does, and a key that is given twice, which two readers could read in two ways.

use super::names;
use crate::{
    message::Statuses,
    scan::{ScanError, Scanner, Value},
};

/// A value that may be there. `null` is there.
pub(super) type Raw<'a> = Option<Value<'a>>;

/// Why a text is no envelope.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParseError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    #[error("the message is not an object")]
    NoObject,
}

/// A value that should be an object.
#[derive(Default)]
pub(super) enum Part<T> {
    /// The key is missing.
    #[default]
    Absent,
    /// It is something else.
    Other,
    /// It is an object.
    Object(T),
}

/// A field of an object: it knows how it takes its value. Filled where it lies, because an envelope is too large to be handed on.
trait Field<'a> {
    fn is_there(&self) -> bool;
    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError>;
}

impl<'a> Field<'a> for Raw<'a> {
    fn is_there(&self) -> bool {
        self.is_some()
    }

    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError> {
        *self = Some(scanner.value()?);
        Ok(())
    }
}

impl<'a, T: Fields<'a>> Field<'a> for Part<T> {
    fn is_there(&self) -> bool {
        !matches!(self, Part::Absent)
    }

    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError> {
        if scanner.peek() != Some(b'{') {
            *self = Part::Other;
            scanner.value()?;
            return Ok(());
        }
        *self = Part::Object(T::default());
        match self {
            Part::Object(fields) => fields.parse(scanner),
            Part::Absent | Part::Other => Ok(()),
        }
    }
}

/// An object whose known keys are fields.
trait Fields<'a>: Default {
    /// Takes members for as long as they come in the order in which the fields stand here, which is that of what we and gofer
    /// write, so that no key has to be read to be known. Whether there are others.
    fn in_order(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, ParseError>;

    /// Takes the value of a key; false when the key is not known.
    fn member(&mut self, key: &str, scanner: &mut Scanner<'a>) -> Result<bool, ParseError>;

    fn parse(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError> {
        let mut more = scanner.object()? && self.in_order(scanner)?;
        while more {
            let key = scanner.key()?;
            let unescaped;
            let name = match key.plain() {
                Some(name) => name,
                None => {
                    unescaped = key.unescaped().unwrap_or_default();
                    &unescaped
                }
            };
            if !self.member(name, scanner)? {
                scanner.value()?;
            }
            more = scanner.another()?;
        }
        Ok(())
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $object:ident { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $object<'a> {
            $(pub(super) $field: $kind,)*
        }

        impl<'a> Fields<'a> for $object<'a> {
            fn in_order(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, ParseError> {
                $(if scanner.take_key(concat!("\"", stringify!($field), "\":")) {
                    self.$field.fill(scanner)?;
                    if !scanner.another()? {
                        return Ok(false);
                    }
                })*
                Ok(true)
            }

            fn member(&mut self, key: &str, scanner: &mut Scanner<'a>) -> Result<bool, ParseError> {
                match key {
                    $(stringify!($field) => {
                        if self.$field.is_there() {
                            return Err(ParseError::Twice(stringify!($field)));
                        }
                        self.$field.fill(scanner)?;
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    )*};
}

fields! {
    /// All keys that any kind of message has.
    Envelope {
        code: Raw<'a>,
        completed: Raw<'a>,
        data: Raw<'a>,
        description: Raw<'a>,
        details: Raw<'a>,
        replyto: Raw<'a>,
        request: Part<RequestPart<'a>>,
        result: Part<ResultPart<'a>>,
        rmi: Part<Extras<'a>>,
        routing: Routing<'a>,
        sn: Raw<'a>,
        status: Raw<'a>,
        timestamp: Raw<'a>,
        total: Raw<'a>,
        version: Raw<'a>,
    }

    /// The object `request`.
    RequestPart {
        args: Raw<'a>,
        classname: Raw<'a>,
        cntr: Raw<'a>,
        kwargs: Raw<'a>,
        kws: Raw<'a>,
        method: Raw<'a>,
    }

    /// The object `result`.
    ResultPart {
        exval: Raw<'a>,
        retval: Raw<'a>,
        xargs: Raw<'a>,
        xclass: Raw<'a>,
        xmodule: Raw<'a>,
        xstate: Raw<'a>,
    }

    /// The object `rmi`.
    Extras {
        code: Raw<'a>,
        event: Part<EventPart<'a>>,
        group: Raw<'a>,
        retry_after: Raw<'a>,
        statuses: Wanted,
        trace: Raw<'a>,
        ttl: Raw<'a>,
        version: Raw<'a>,
    }

    /// The object `rmi.event`.
    EventPart {
        body: Raw<'a>,
        key: Raw<'a>,
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope that a text is into an empty one.
    pub(super) fn read(&mut self, text: &'a str) -> Result<(), ParseError> {
        let mut scanner = Scanner::new(text);
        if scanner.peek() != Some(b'{') {
            scanner.value()?;
            return Err(ParseError::NoObject);
        }
        self.parse(&mut scanner)?;
        Ok(scanner.end()?)
    }
}

/// `[sender, destination]`; what is not there, or not in this form, is `None`.
#[derive(Default)]
pub(super) struct Routing<'a> {
    pub(super) from: Raw<'a>,
    pub(super) to: Raw<'a>,
    given: bool,
}

impl<'a> Field<'a> for Routing<'a> {
    fn is_there(&self) -> bool {
        self.given
    }

    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError> {
        self.given = true;
        if scanner.peek() != Some(b'[') {
            scanner.value()?;
            return Ok(());
        }
        scanner.array(|scanner, index| {
            let value = scanner.value()?;
            match index {
                0 => self.from = Some(value),
                1 => self.to = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The names of statuses; `None` when it is not an array. Names that are not known are left out.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) statuses: Option<Statuses>,
    given: bool,
}

impl<'a> Field<'a> for Wanted {
    fn is_there(&self) -> bool {
        self.given
    }

    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ParseError> {
        self.given = true;
        if scanner.peek() != Some(b'[') {
            scanner.value()?;
            return Ok(());
        }
        let mut wanted = Statuses::NONE;
        scanner.array(|scanner, _| {
            names::want(&mut wanted, scanner.value()?.get().trim_matches('"'));
            Ok(())
        })?;
        self.statuses = Some(wanted);
        Ok(())
    }
}

/// The first two elements of an array that has no more; `None` when it is something else.
pub(super) fn pair(value: Value<'_>) -> Option<[Raw<'_>; 2]> {
    let mut elements = [None, None];
    let mut more = false;
    let mut scanner = Scanner::new(value.get());
    let scanned = scanner.array(|scanner, index| {
        let value = scanner.value()?;
        match elements.get_mut(index) {
            Some(element) => *element = Some(value),
            None => more = true,
        }
        Ok(())
    });
    (scanned.is_ok() && !more).then_some(elements)
}
