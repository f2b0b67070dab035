//! What an endpoint is to serve, and who said so.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    contract::Contract,
    endpoint::{BuildError, admin},
    service::Service,
};

/// A service that somebody wants to be served.
pub(crate) struct Offer {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) origin: Origin,
    /// Its requests run one after the other, whether or not the contract demands it.
    pub(crate) sequential: bool,
}

/// A contract that is to be served, as an error names it: the class, the version, the trait that it was written as, and who serves
/// it.
#[derive(Clone, Copy)]
pub struct Origin {
    contract: &'static Contract,
    location: &'static Location<'static>,
    discovered: Option<&'static str>,
}

impl Origin {
    pub(crate) fn by_hand(contract: &'static Contract, location: &'static Location<'static>) -> Self {
        Origin { contract, location, discovered: None }
    }

    /// The contract.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// The line that says so: of the call of [`Builder::serve`](crate::endpoint::Builder::serve), or of the implementation's
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
        let Contract { name, version, path, .. } = self.contract;
        write!(f, "`{name}` {version} (")?;
        if !path.is_empty() {
            write!(f, "`{path}`, ")?;
        }
        match self.discovered {
            None => f.write_str("by `serve`")?,
            Some(name) => write!(f, "by the discovered `{name}`")?,
        }
        write!(f, " at {}:{})", self.location.file(), self.location.line())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Finds a major of a class that is served twice.
pub(crate) fn distinct(all: impl IntoIterator<Item = Origin>) -> Result<(), BuildError> {
    let mut seen: Vec<Origin> = Vec::new();
    for second in all {
        let key = |origin: &Origin| (origin.contract.name, origin.contract.version.major);
        if let Some(&first) = seen.iter().find(|first| key(first) == key(&second)) {
            return Err(BuildError::Duplicate { first, second });
        }
        seen.push(second);
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
            .map(|found| {
                let (contract, location) = (found.contract(), found.location());
                (found, Origin { contract, location, discovered: Some(found.type_name()) })
            })
            .collect();
        distinct(offers.iter().map(|offer| offer.origin).chain(found.iter().map(|(_, origin)| *origin)))?;
        if found.is_empty() {
            tracing::warn!(%endpoint, "nothing was discovered. {WHY}");
        }
        for (found, origin) in found {
            let contract = found.contract();
            let at = format_args!("{}:{}", origin.location.file(), origin.location.line());
            tracing::info!(%endpoint, class = contract.name, version = %contract.version, r#type = found.type_name(), %at, "discovered");
            let service = found.make().map_err(|cause| BuildError::Instance { origin, cause })?;
            offers.push(Offer { service, origin, sequential: contract.sequential });
        }
        Ok(())
    }
}

/// The first entry of what may be called that names no method of these contracts, nor of `Admin`, which every endpoint serves.
pub(super) fn names_nothing<'a>(only: &'a [String], contracts: &[&'static Contract]) -> Option<&'a str> {
    let named = |entry: &str| {
        let Some((class, method)) = entry.split_once('.') else { return false };
        let of_class = contracts.iter().copied().chain([&admin::CONTRACT]).filter(|contract| contract.name == class);
        of_class.flat_map(|contract| contract.methods).any(|known| method == "*" || known.name == method)
    };
    only.iter().map(String::as_str).find(|entry| !named(entry))
}
