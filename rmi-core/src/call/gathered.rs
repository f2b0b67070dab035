use std::{fmt, vec};

use crate::{address::Address, error::CallError, message::Exception};

/// What the agents of a group answered, in the order of their addresses. An agent whose answer was not waited for is not in it.
#[derive(Debug)]
pub struct Gathered<T, E = Exception> {
    answers: Vec<(Address, Result<T, CallError<E>>)>,
}

impl<T, E> Gathered<T, E> {
    /// From answers with the place of their address.
    pub(crate) fn new(mut answers: Vec<(usize, Address, Result<T, CallError<E>>)>) -> Self {
        answers.sort_unstable_by_key(|(place, ..)| *place);
        Gathered { answers: answers.into_iter().map(|(_, address, answer)| (address, answer)).collect() }
    }

    /// How many agents answered or failed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Every agent with its answer.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Result<T, CallError<E>>)> {
        self.answers.iter().map(|(address, answer)| (address, answer))
    }

    /// The agents that succeeded, with their results.
    pub fn ok(&self) -> impl Iterator<Item = (&Address, &T)> {
        self.iter().filter_map(|(address, answer)| Some((address, answer.as_ref().ok()?)))
    }

    /// The agents that failed, with what went wrong.
    pub fn failed(&self) -> impl Iterator<Item = (&Address, &CallError<E>)> {
        self.iter().filter_map(|(address, answer)| Some((address, answer.as_ref().err()?)))
    }

    /// Whether every agent succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.answers.iter().all(|(_, answer)| answer.is_ok())
    }

    /// The answer of an agent: the first, when its address was given more than once.
    #[must_use]
    pub fn get(&self, address: &str) -> Option<&Result<T, CallError<E>>> {
        self.iter().find(|(at, _)| at.as_str() == address).map(|(_, answer)| answer)
    }

    /// Every result.
    ///
    /// # Errors
    ///
    /// At least one agent failed.
    pub fn into_result(self) -> Result<Vec<(Address, T)>, GroupFailed<T, E>> {
        if !self.is_ok() {
            return Err(GroupFailed { gathered: self, missing: 0 });
        }
        Ok(self.answers.into_iter().filter_map(|(address, answer)| Some((address, answer.ok()?))).collect())
    }
}

impl<T, E> IntoIterator for Gathered<T, E> {
    type Item = (Address, Result<T, CallError<E>>);
    type IntoIter = vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.answers.into_iter()
    }
}

/// Fewer agents of a group succeeded than had to. What the others answered is in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupFailed<T, E = Exception> {
    /// What was answered.
    pub gathered: Gathered<T, E>,
    /// How many agents the group has too few. Then none was called.
    pub missing: usize,
}

impl<T, E> fmt::Display for GroupFailed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many of them are said one by one.
        const SHOWN: usize = 3;
        let failed = self.gathered.failed().count();
        if self.missing > 0 {
            let missing = self.missing;
            return write!(f, "the group has too few agents, by {missing}, for as many results: none was called");
        }
        write!(f, "{failed} of {} agents failed", self.gathered.len())?;
        for (place, (address, error)) in self.gathered.failed().take(SHOWN).enumerate() {
            write!(f, "{} `{address}`: {error}", if place == 0 { ":" } else { ";" })?;
        }
        if failed > SHOWN { f.write_str("; and so on") } else { Ok(()) }
    }
}

impl<T: fmt::Debug, E: fmt::Debug> std::error::Error for GroupFailed<T, E> {}
