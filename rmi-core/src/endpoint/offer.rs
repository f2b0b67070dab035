//! What an endpoint is to serve, and who said so.

use std::{fmt, panic::Location, sync::Arc};

use crate::{contract::Contract, endpoint::BuildError, service::Service};

/// A service that somebody wants to be served.
pub(crate) struct Offer {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) origin: Origin,
}

/// Where it was said that a contract is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    location: &'static Location<'static>,
    discovered: Option<&'static str>,
}

impl Origin {
    pub(crate) fn by_hand(location: &'static Location<'static>) -> Self {
        Origin { location, discovered: None }
    }

    /// The line that says it: of the call of [`Builder::serve`](crate::endpoint::Builder::serve), or of the implementation's
    /// `#[remote]`.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The type of the implementation, if it was discovered.
    #[must_use]
    pub fn discovered_type(&self) -> Option<&'static str> {
        self.discovered
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.location.file(), self.location.line());
        match self.discovered {
            None => write!(f, "by `serve` at {file}:{line}"),
            Some(name) => write!(f, "by the discovered `{name}` at {file}:{line}"),
        }
    }
}

/// Finds a contract that is served twice.
pub(crate) fn distinct<'a>(all: impl IntoIterator<Item = (&'static Contract, &'a Origin)>) -> Result<(), BuildError> {
    let mut seen: Vec<(&'static Contract, &Origin)> = Vec::new();
    for (contract, origin) in all {
        if let Some((_, first)) = seen.iter().find(|(other, _)| other.name == contract.name) {
            return Err(BuildError::Duplicate { class: contract.name, first: **first, second: *origin });
        }
        seen.push((contract, origin));
    }
    Ok(())
}

#[cfg(feature = "discovery")]
pub(crate) use discovery::discover;

#[cfg(feature = "discovery")]
mod discovery {
    use super::{Offer, Origin, distinct};
    use crate::{
        address::Address,
        endpoint::BuildError,
        registry::{self, WHY},
    };

    /// Adds all that was found. Nothing is made before it is known that nothing is served twice.
    pub(crate) fn discover(endpoint: &Address, offers: &mut Vec<Offer>) -> Result<(), BuildError> {
        let found: Vec<_> = registry::discovered()
            .into_iter()
            .map(|found| (found, Origin { location: found.location(), discovered: Some(found.type_name()) }))
            .collect();
        let by_hand = offers.iter().map(|offer| (offer.service.contract(), &offer.origin));
        distinct(by_hand.chain(found.iter().map(|(found, origin)| (found.contract(), origin))))?;
        if found.is_empty() {
            tracing::warn!(%endpoint, "nothing was discovered. {WHY}");
        }
        for (found, origin) in found {
            let contract = found.contract();
            let at = format_args!("{}:{}", origin.location.file(), origin.location.line());
            tracing::info!(%endpoint, class = contract.name, version = %contract.version, r#type = found.type_name(), %at, "discovered");
            let service = found.make().map_err(|cause| BuildError::Instance { class: contract.name, origin, cause })?;
            offers.push(Offer { service, origin });
        }
        Ok(())
    }
}
